"""Which v4l2loopback device is meant, and what is said where it cannot be had."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from streamfilter.errors import SinkError

if sys.platform != "linux":
    pytest.skip("v4l2loopback is Linux's", allow_module_level=True)

from streamfilter.sinks.v4l2loopback import (
    DeviceState,
    Hold,
    LoopbackDevice,
    check_usable,
    choose_device,
    loopback_devices,
)

FREE, BUSY, STUCK, DENIED = DeviceState


def _device(number: int, label: str, state: DeviceState = FREE) -> LoopbackDevice:
    return LoopbackDevice(Path(f"/dev/video{number}"), label, state, True)


OBS, OURS, DUMMY = _device(2, "OBS Virtual Camera"), _device(10, "physio-cam"), _device(11, "Dummy")


def test_the_one_labelled_for_this_program_comes_first() -> None:
    assert choose_device([OBS, OURS, DUMMY], None) is OURS
    assert choose_device([OBS, _device(9, "My PhysioCam"), DUMMY], None).number == 9
    assert choose_device([DUMMY, OBS], None) is OBS  # the lowest number


def test_only_a_device_that_can_be_written_to_is_taken_unasked() -> None:
    assert choose_device([_device(10, "physio-cam", BUSY), DUMMY], None) is DUMMY
    stuck = _device(10, "physio-cam", STUCK)
    assert choose_device([OBS, stuck], None) is stuck


@pytest.mark.parametrize("wanted", ["/dev/video10", "10", "010", "physio-cam", "PHYSIO", "sio-c"])
def test_a_device_is_named_by_path_number_or_label(wanted: str) -> None:
    assert choose_device([OBS, OURS, DUMMY], wanted) is OURS


def test_a_link_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to("/dev/video10")
    assert choose_device([OBS, OURS], str(link)) is OURS


def test_a_whole_label_comes_before_a_part_and_a_free_device_before_a_busy_one() -> None:
    long, short = _device(3, "camera two"), _device(4, "Camera")
    assert choose_device([long, short], "camera") is short
    assert choose_device([_device(3, "cam a", BUSY), _device(4, "cam b")], "cam").number == 4
    assert choose_device([_device(3, "cam a", BUSY)], "cam").state is BUSY


@pytest.mark.parametrize("wanted", ["/dev/video0", "0", "webcam", "/dev/v4l/by-id/none"])
def test_a_device_that_is_not_there_is_said_with_those_that_are(wanted: str) -> None:
    with pytest.raises(SinkError) as caught:
        choose_device([OBS, OURS], wanted)
    text = str(caught.value)
    assert repr(wanted) in text
    assert "OBS Virtual Camera (/dev/video2), physio-cam (/dev/video10)" in text
    assert "sudo modprobe v4l2loopback" in text


def test_no_device_at_all_and_none_free_are_told_apart() -> None:
    with pytest.raises(
        SinkError, match=r"v4l2loopback is not loaded; .*sudo modprobe v4l2loopback devices=1"
    ):
        choose_device([], None)
    with pytest.raises(SinkError, match=r"physio-cam \(/dev/video10\) is in use: .*stop that one"):
        choose_device([_device(10, "physio-cam", BUSY)], None)
    with pytest.raises(SinkError, match="usermod -a -G video"):
        choose_device([_device(10, "physio-cam", DENIED)], None)


def test_a_device_of_others_is_refused_with_what_to_do() -> None:
    check_usable(OURS)
    check_usable(_device(10, "physio-cam", STUCK))
    with pytest.raises(SinkError, match="in use"):
        check_usable(_device(10, "physio-cam", BUSY))
    with pytest.raises(SinkError, match=r"no permission .*usermod -a -G video"):
        check_usable(_device(10, "physio-cam", DENIED))


def _sysfs(root: Path, number: int, label: str, loopback: bool) -> None:
    folder = root / "sys" / f"video{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(label + "\n", encoding="utf-8")
    if loopback:
        (folder / "max_openers").write_text("10\n", encoding="ascii")
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev" / f"video{number}").touch()


def test_only_v4l2loopbacks_devices_are_listed_by_number(tmp_path: Path) -> None:
    _sysfs(tmp_path, 11, "Zwei é", loopback=True)
    _sysfs(tmp_path, 2, "Eins", loopback=True)
    _sysfs(tmp_path, 0, "webcam", loopback=False)
    _sysfs(tmp_path, 3, "gone", loopback=True)
    (tmp_path / "dev" / "video3").unlink()
    found = loopback_devices(tmp_path / "sys", tmp_path / "dev")
    assert [(device.number, device.label) for device in found] == [(2, "Eins"), (11, "Zwei é")]
    assert loopback_devices(tmp_path / "nowhere", tmp_path / "dev") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_device_without_permission_is_said_so(tmp_path: Path) -> None:
    _sysfs(tmp_path, 2, "Eins", loopback=True)
    (tmp_path / "dev" / "video2").chmod(0)
    assert loopback_devices(tmp_path / "sys", tmp_path / "dev")[0].state is DENIED


def test_a_hold_is_closed_once_and_then_an_error(tmp_path: Path) -> None:
    path = tmp_path / "video10"
    path.touch()
    hold = Hold(path)
    hold.close()
    hold.close()
    for call in (hold.check, hold.size):
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            call()
