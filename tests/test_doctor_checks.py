"""The doctor's checks: each on what is as it should be, and on what is not."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from packaging.requirements import Requirement

from streamfilter.artifact import Artifact, load_artifact
from streamfilter.capture.camera import CameraFormat, CameraSettings
from streamfilter.capture.cameras import CameraInfo
from streamfilter.config import FilterSettings
from streamfilter.doctor.cameras import check_camera, check_permission, video_nodes
from streamfilter.doctor.check import Check, Verdict, examined, ok
from streamfilter.doctor.editor import check_artifact, check_engines
from streamfilter.doctor.portrait import DrawnScene
from streamfilter.doctor.software import LINUX_PACKAGES, Package, check_packages, check_python
from streamfilter.doctor.speed import SMALLER, Speed, check_speed, measure_speed
from streamfilter.doctor.virtual_camera import check_loopback, is_installed
from streamfilter.engine import Engine, open_engine
from streamfilter.engine.select import ON_GPU, installed_engines
from streamfilter.errors import ArtifactError, EngineError, SinkError, SourceError
from streamfilter.face.detect import FaceDetector
from streamfilter.live.ports import Picture
from streamfilter.sinks.v4l2loopback import DeviceState, LoopbackDevice

ROOT = Path(__file__).resolve().parent.parent
MODPROBE = 'sudo modprobe v4l2loopback devices=1 video_nr=10 exclusive_caps=1 card_label="physio-cam"'


def commands(check: Check) -> list[str]:
    return [line.strip() for line in check.what_to_do.splitlines() if line.startswith("  ")]


def test_a_check_that_raises_is_a_failed_check_that_names_the_error() -> None:
    def breaks() -> Check:
        raise ZeroDivisionError("by nothing")

    found = examined("arithmetic", breaks)
    assert (found.name, found.verdict) == ("arithmetic", Verdict.FAIL)
    assert "ZeroDivisionError: by nothing" in found.what and found.what_to_do


def test_an_error_that_says_what_to_do_stands_as_it_is() -> None:
    def breaks() -> Check:
        raise ArtifactError("it is damaged: copy it again")

    assert examined("artifact", breaks) == Check("artifact", Verdict.FAIL, "it is damaged: copy it again")


# Software


def test_pythons_age() -> None:
    assert check_python((3, 11, 0)).verdict is Verdict.OK
    found = check_python((3, 10, 14))
    assert found.verdict is Verdict.FAIL and "3.10.14" in found.what and "3.11" in found.what_to_do


def test_the_packages_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {each.name: each.specifier for each in map(Requirement, project["dependencies"])}
    assert {package.name for package in LINUX_PACKAGES} == set(wanted)
    for package in LINUX_PACKAGES:
        oldest = ".".join(map(str, package.oldest))
        assert f">={oldest}" in str(wanted[package.name]).split(","), package.name


def test_the_installed_packages_will_do() -> None:
    found = check_packages(LINUX_PACKAGES)
    assert found.verdict is Verdict.OK and "onnxruntime 1." in found.what


def test_packages_that_are_missing_broken_or_old_are_named_with_the_command() -> None:
    def load(name: str) -> ModuleType:
        if name == "broken":
            raise OSError("libbroken.so.1: cannot open shared object file")
        module = ModuleType(name)
        module.__version__ = "1.9"  # type: ignore[attr-defined]
        return module

    packages = [
        Package("broken-one", "broken", (1,)),
        Package("old-one", "old", (1, 10)),
        Package("good-one", "good", (1, 9)),
    ]
    found = check_packages(packages, load)
    assert found.verdict is Verdict.FAIL
    assert "libbroken.so.1" in found.what and "old-one 1.9 is older than 1.10" in found.what
    assert "good-one" not in found.what
    assert commands(found)[0].endswith("--force-reinstall broken-one old-one")
    missing = check_packages([Package("x", "no_such_module_at_all", (1,))])
    assert missing.verdict is Verdict.FAIL and "no_such_module_at_all" in missing.what


# Editor


def test_the_packaged_artifact_is_told_with_hash_and_parity() -> None:
    found = check_artifact(load_artifact())
    assert found.verdict is Verdict.OK
    assert "sha256 verified" in found.what and "in gain" in found.what


def test_an_artifact_without_figures_passes_and_one_that_strayed_warns(tiny_artifact: Path) -> None:
    artifact = load_artifact(tiny_artifact)
    assert check_artifact(artifact).verdict is Verdict.OK
    artifact.manifest.measured["parity_max_gain_error"] = 0.003
    try:
        found = check_artifact(artifact)
    finally:
        del artifact.manifest.measured["parity_max_gain_error"]
    assert found.verdict is Verdict.WARN and "0.003" in found.what


def test_the_engines_that_load_and_the_one_that_auto_takes(tiny_artifact: Path) -> None:
    if set(installed_engines()) & set(ON_GPU):
        pytest.skip("a GPU engine is installed, and may fail here")
    found = check_engines(load_artifact(tiny_artifact))
    assert found.verdict is Verdict.OK
    assert re.search(
        r"auto takes (onnxruntime|openvino) \((the quickest|quicker to start|the only engine)", found.what
    )


def test_a_gpu_engine_that_is_installed_and_fails_is_a_warning(
    tiny_artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opener(artifact: Artifact, name: str) -> Engine:
        if name == "cuda":
            raise EngineError("no driver: install one")
        return open_engine(artifact, "onnxruntime")

    monkeypatch.setattr("streamfilter.doctor.editor.installed_engines", lambda: ("onnxruntime", "cuda"))
    found = check_engines(load_artifact(tiny_artifact), opener=opener)
    assert found.verdict is Verdict.WARN and "no driver: install one" in str(found)
    assert "tensorrt" not in str(found)


def test_a_graph_that_no_engine_takes_is_a_failed_check(tiny_artifact: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    artifact = replace(load_artifact(tiny_artifact), graph=b"no graph")
    found = check_engines(artifact)
    assert found.verdict is Verdict.FAIL and "cannot load" in found.what


# Speed


def test_the_trial_edits_the_drawn_face(tiny_artifact: Path) -> None:
    picture = Picture(320, 240, 30.0)
    speed = measure_speed(load_artifact(tiny_artifact), FilterSettings(), picture, 0.05)
    assert speed.picture == picture
    assert 0 < speed.p50 <= speed.p99
    assert 0 < speed.fps <= speed.alone


@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (360, 640)])
def test_the_detector_finds_the_drawn_face_once(size: tuple[int, int]) -> None:
    scene = DrawnScene(*size, 30.0)
    (face,) = FaceDetector().detect_frame(scene.frame(0))
    left, top, width, height = face.box
    assert face.score > 0.6
    assert (left + width / 2) / size[0] == pytest.approx(0.5, abs=0.05)
    assert (top + height / 2) / size[1] == pytest.approx(0.5, abs=0.1)
    assert scene.frame(3).seconds == pytest.approx(0.1)


def test_each_frame_of_the_drawn_scene_is_work() -> None:
    """A frame that is the last one again costs the filter nothing: it would be measured too fast."""
    scene = DrawnScene(320, 240, 30.0)
    for index in range(1, 33):
        assert not np.array_equal(scene.frame(index).y, scene.frame(index - 1).y)


def speed_of(fps: float, alone: float | None = None) -> Speed:
    return Speed(Picture(1280, 720, 30.0), fps, fps if alone is None else alone, 1000 / fps, 1100 / fps)


def test_a_machine_is_enough_only_just_or_too_slow() -> None:
    picture = Picture(1280, 720, 30.0)
    assert check_speed(picture, lambda _: speed_of(90)).verdict is Verdict.OK
    near = check_speed(picture, lambda tried: speed_of(60 if tried.width == 640 else 33))
    assert near.verdict is Verdict.WARN and "physio-cam --size 640x360" in commands(near)
    slow = check_speed(picture, lambda tried: speed_of(60 if tried.width == 640 else 12))
    assert slow.verdict is Verdict.FAIL and "too slow" in slow.what
    assert "physio-cam --size 640x360" in commands(slow) and "60 fps" in slow.what_to_do
    assert "--fps" not in slow.what_to_do


def test_where_a_smaller_picture_is_not_enough_fewer_frames_are_advised() -> None:
    slow = check_speed(Picture(1280, 720, 30.0), lambda tried: speed_of(20 if tried.width == 640 else 12))
    assert "--fps 15" in slow.what_to_do
    small = check_speed(SMALLER, lambda _: speed_of(20))
    assert "--fps 15" in small.what_to_do and "--size" not in small.what_to_do


def test_other_programs_that_take_the_processor_are_no_failure() -> None:
    found = check_speed(Picture(1280, 720, 30.0), lambda _: speed_of(20, alone=90))
    assert found.verdict is Verdict.WARN and "other programs" in found.what and "90 fps" in found.what_to_do


# Camera

HD = CameraFormat("MJPG", 1280, 720, (15.0, 30.0))
VGA = CameraFormat("YUYV", 640, 480, (30.0,))
WEBCAM = CameraInfo(0, "HD Webcam", "/dev/video0", formats=(HD, VGA))
LOOPBACK = CameraInfo(10, "physio-cam", "/dev/video10", is_loopback=True)


def test_a_camera_with_the_wanted_picture() -> None:
    found = check_camera([WEBCAM, LOOPBACK], CameraSettings())
    assert found.verdict is Verdict.OK
    assert "HD Webcam" in found.what and "1280x720 at 30 fps, MJPG" in found.what


def test_a_camera_without_the_wanted_picture_warns_with_the_setting() -> None:
    small = CameraInfo(0, "Old Webcam", "/dev/video0", formats=(VGA,))
    found = check_camera([small], CameraSettings())
    assert found.verdict is Verdict.WARN
    assert commands(found) == ["physio-cam --size 640x480 --fps 30"]


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_no_camera_fails_with_steps_for_the_system(system: str) -> None:
    for cameras in ([], [LOOPBACK]):
        found = check_camera(cameras, CameraSettings(), system)
        assert found.verdict is Verdict.FAIL and "no camera is there" in found.what
        assert ("/dev/video" in found.what_to_do) is (system == "linux")


def test_a_camera_that_is_busy_or_not_there_fails_with_its_own_words() -> None:
    busy = CameraInfo(0, "HD Webcam", "/dev/video0", problem="The camera HD Webcam is in use.")
    with pytest.raises(SourceError, match="in use"):
        check_camera([busy], CameraSettings())
    with pytest.raises(SourceError, match="Logitech"):
        check_camera([WEBCAM], CameraSettings(device="Logitech"))


@pytest.mark.parametrize(
    ("groups", "listed", "said"),
    [
        (["users"], False, "usermod -aG video"),
        (["users"], True, "log out and in"),
        (["users", "video"], True, "ls -l"),
    ],
)
def test_a_device_that_may_not_be_opened(groups: list[str], listed: bool, said: str, tmp_path: Path) -> None:
    gone = tmp_path / "video0"  # what is not there cannot be opened either: root may open all that is
    found = check_permission([gone], groups, listed)
    assert found.verdict is Verdict.FAIL
    assert str(gone) in found.what and said in found.what_to_do


def test_devices_that_may_be_opened(tmp_path: Path) -> None:
    for name in ("video10", "video2", "video", "videos", "vbi0"):
        (tmp_path / name).touch()
    nodes = video_nodes(tmp_path)
    assert [node.name for node in nodes] == ["video2", "video10"]
    assert check_permission(nodes, ["video"], True).verdict is Verdict.OK
    assert check_permission([], [], False).verdict is Verdict.OK


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_shut_device_is_named(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch(mode=0o000)
    assert check_permission([node], [], False).verdict is Verdict.FAIL


# Virtual camera


def loopback(number: int, state: DeviceState, exclusive: bool | None = True) -> LoopbackDevice:
    return LoopbackDevice(Path(f"/dev/video{number}"), "physio-cam", state, exclusive)


@pytest.mark.parametrize(
    ("ids", "package"),
    [
        (["debian"], "sudo apt install v4l2loopback-dkms"),
        (["linuxmint", "ubuntu", "debian"], "sudo apt install v4l2loopback-dkms"),
        (["arch"], "sudo pacman -S v4l2loopback-dkms"),
    ],
)
def test_a_missing_module_is_installed_and_loaded(ids: list[str], package: str) -> None:
    found = check_loopback([], None, False, False, ids)
    assert found.verdict is Verdict.FAIL
    assert commands(found) == [package, MODPROBE, "physio-cam install"]


def test_an_unknown_distribution_gets_words() -> None:
    found = check_loopback([], None, False, False, ["plan9"])
    assert "from your distribution's packages" in found.what_to_do
    assert commands(found)[0] == MODPROBE


def test_an_installed_module_is_loaded_and_an_empty_one_loaded_anew() -> None:
    assert commands(check_loopback([], None, False, True, ["debian"]))[0] == MODPROBE
    anew = check_loopback([], None, True, True, ["debian"])
    assert anew.verdict is Verdict.FAIL
    assert commands(anew) == ["sudo modprobe -r v4l2loopback", MODPROBE]


def test_a_virtual_camera_that_browsers_list() -> None:
    found = check_loopback([loopback(10, DeviceState.FREE)], None, True, True, [])
    assert found.verdict is Verdict.OK and "/dev/video10" in found.what
    assert check_loopback([loopback(10, DeviceState.STUCK)], None, True, True, []).verdict is Verdict.OK


def test_a_virtual_camera_that_browsers_do_not_list_warns() -> None:
    found = check_loopback([loopback(10, DeviceState.FREE, exclusive=False)], None, True, True, [])
    assert found.verdict is Verdict.WARN and "exclusive_caps" in found.what
    assert MODPROBE in commands(found)


def test_virtual_cameras_in_use_or_shut_or_of_another_name() -> None:
    busy = [loopback(10, DeviceState.BUSY), loopback(11, DeviceState.BUSY)]
    assert check_loopback(busy, None, True, True, []).verdict is Verdict.WARN
    assert check_loopback(busy, "11", True, True, []).verdict is Verdict.WARN
    free = [*busy, loopback(12, DeviceState.FREE)]
    assert check_loopback(free, None, True, True, []).what.startswith("physio-cam (/dev/video12)")
    shut = [loopback(10, DeviceState.DENIED, None)]
    assert check_loopback(shut, "10", True, True, []).verdict is Verdict.FAIL
    with pytest.raises(SinkError, match="permission"):
        check_loopback(shut, None, True, True, [])
    with pytest.raises(SinkError, match="Webcam"):
        check_loopback(free, "Webcam", True, True, [])


def test_the_module_is_looked_for_in_the_kernels_folder(tmp_path: Path) -> None:
    assert not is_installed(tmp_path / "none")
    (tmp_path / "modules.dep").write_text("kernel/drivers/media/uvcvideo.ko:\n")
    assert not is_installed(tmp_path)
    with_list = tmp_path / "list"
    with_list.mkdir()
    (with_list / "modules.dep").write_text("updates/dkms/v4l2loopback.ko.xz: kernel/videodev.ko\n")
    assert is_installed(with_list)
    shutil.rmtree(with_list)
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates/v4l2loopback.ko.zst").touch()
    assert is_installed(tmp_path)


def test_a_good_check_has_nothing_to_do() -> None:
    assert ok("x", "fine").what_to_do == ""
