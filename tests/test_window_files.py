"""The window mode by its command, the artifact's checks, and runs whose filter fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamfilter.artifact import load_artifact
from streamfilter.capture import open_source
from streamfilter.capture.synthetic import SyntheticSource
from streamfilter.cli.main import main
from streamfilter.contract import MANIFEST
from streamfilter.errors import ArtifactError, EngineError, UsageError
from streamfilter.file_pipeline import FileSettings, RunReport, filter_file
from streamfilter.frame import Frame
from streamfilter.frame_filter import FILTER_FAILED
from streamfilter.sinks import open_sink
from streamfilter.sinks.codec_settings import CodecSettings
from streamfilter.window.artifact import load_window_artifact, write_window_manifest
from streamfilter.window.contract import GRAPH
from streamfilter.window.engine import WindowEngine
from tests.face_scene import frame_of, scene
from tests.media_clips import write_clip
from tests.plain_filters import Filtered, inverted
from tests.window_artifact import build_window_artifact

LOSSLESS = CodecSettings(lossless=True)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_window_artifact(tmp_path_factory.mktemp("window") / "tiny")


@pytest.fixture
def copy(artifact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(artifact, tmp_path / "copy"))


def read(path: Path) -> list[Frame]:
    with open_source(path) as source:
        return list(source.frames())


def face_clip(path: Path, frames: int) -> Path:
    """A face at rest, without loss."""
    still = frame_of(scene([(160.0, 120.0, 90.0)], 320, 240))
    with SyntheticSource(320, 240, frames) as card:
        info = card.info
    sink = open_sink(path, info, LOSSLESS, overwrite=False)
    for index in range(frames):
        sink.write(replace(still, pts=index, time_base=info.time_base))
    sink.close()
    return path


def command(clip: Path, output: Path, artifact: Path, *more: str) -> int:
    files = ["--input", str(clip), "--output", str(output), "--artifact", str(artifact), "--lossless"]
    return main([*files, *more])


@pytest.mark.parametrize("frames", [40, 9])
def test_a_file_goes_through_the_window_mode(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], frames: int
) -> None:
    clip = face_clip(tmp_path / "in.mkv", frames)
    options = ["--mode", "window", "--window-hop", "10", "--hr", "60,0.5:120"]
    assert command(clip, tmp_path / "out.mkv", artifact, *options) == 0
    printed = capsys.readouterr()
    assert f"{frames} frames at" in printed.out and "shielded: 0" in printed.out
    late = "each frame leaves 15 frames (0.50 s) after it came"
    assert (late if frames > 15 else "the clip has 9") in printed.err
    face = (slice(100, 140), slice(140, 180))
    for ours, given in zip(read(tmp_path / "out.mkv"), read(clip), strict=True):
        assert ours.seconds == given.seconds
        assert not np.array_equal(ours.y[face], given.y[face])
        np.testing.assert_array_equal(ours.y[:10, :10], given.y[:10, :10])


def test_a_video_without_a_face_passes_bit_for_bit(artifact: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mkv", codec="ffv1", width=160, height=120, pts=list(range(20)))
    assert command(clip, tmp_path / "out.mkv", artifact, "--mode", "window", "--quiet") == 0
    for ours, given in zip(read(tmp_path / "out.mkv"), read(clip), strict=True):
        np.testing.assert_array_equal(ours.y, given.y)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--mode", "window", "--window-hop", "17"], UsageError.exit_code, "from 1 to 16"),
        (["--mode", "window", "--window-hop", "0"], UsageError.exit_code, "from 1 to 16"),
        (["--window-hop", "8"], UsageError.exit_code, "add --mode window"),
        (["--mode", "both"], UsageError.exit_code, "invalid choice"),
        (["--mode", "window", "--engine", "openvino"], EngineError.exit_code, "onnxruntime only"),
        (["--mode", "stream"], ArtifactError.exit_code, "is a window editor"),
        ([], ArtifactError.exit_code, "is a window editor"),
    ],
)
def test_options_that_do_not_fit_are_named_and_nothing_is_written(
    artifact: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    message: str,
) -> None:
    clip = write_clip(tmp_path / "in.mkv", codec="ffv1")
    assert command(clip, tmp_path / "out.mkv", artifact, *options) == code
    assert message in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == [clip.name]


def test_a_stream_editor_is_refused_in_window_mode(
    tiny_artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_clip(tmp_path / "in.mkv", codec="ffv1")
    assert command(clip, tmp_path / "out.mkv", tiny_artifact, "--mode", "window") == ArtifactError.exit_code
    assert "is a stream editor" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--mode", "window"], ["--window-hop", "8"]])
def test_live_cameras_have_no_window_mode(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(option) == UsageError.exit_code
    assert f"{option[0]} is for files" in capsys.readouterr().err


def test_the_artifact_is_read_as_it_was_written(artifact: Path) -> None:
    loaded = load_window_artifact(artifact)
    assert (loaded.manifest.window, loaded.manifest.crop_size, loaded.manifest.kind) == (16, 24, "window")
    assert loaded.conditioning.text(70.5, "tiny")[0, 0] == pytest.approx(0.705)
    with pytest.raises(ArtifactError, match="is a window editor"):
        load_artifact(artifact)


Edit = Callable[[dict[str, Any]], object]
BAD: dict[str, tuple[Edit, str]] = {
    "a newer format": (lambda d: d.update(format_version=3), "update physio-cam"),
    "an older format": (lambda d: d.update(format_version=1), "format_version should be 2"),
    "another kind": (lambda d: d.update(kind="cube"), "kind 'cube'"),
    "no kind": (lambda d: d.pop("kind"), "is a stream editor"),
    "missing key": (lambda d: d.pop("vae"), "lacks vae"),
    "unknown key": (lambda d: d.update(context=1), "unknown keys: context"),
    "window of one": (lambda d: d.update(window=1), "window 1 is outside"),
    "other window": (lambda d: d.update(window=17), "'crops' should be"),
    "other crop": (lambda d: d.update(crop_size=72), "'crops' should be"),
    "foreign input": (
        lambda d: d["inputs"].append({"name": "dt", "shape": [1], "dtype": "float32"}),
        "should take crops, text, phase",
    ),
    "no output": (lambda d: d["outputs"].pop(), "'edited' should be"),
    "text width": (lambda d: d["inputs"][1].update(shape=[1, 5]), "embeddings have 4 numbers"),
    "graph not listed": (lambda d: d["files"].pop(GRAPH), f"does not list {GRAPH}"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_manifest_says_what_is_wrong(copy: Path, case: str) -> None:
    edit, message = BAD[case]
    data = json.loads((copy / MANIFEST).read_text())
    edit(data)
    (copy / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(ArtifactError, match=message):
        load_window_artifact(copy)


def test_damage_and_absence_are_found(copy: Path, tmp_path: Path) -> None:
    content = (copy / GRAPH).read_bytes()
    (copy / GRAPH).write_bytes(content[:-1])
    with pytest.raises(ArtifactError, match="damaged"):
        load_window_artifact(copy)
    (copy / GRAPH).unlink()
    with pytest.raises(ArtifactError, match=f"holds no {GRAPH}"):
        load_window_artifact(copy)
    with pytest.raises(ArtifactError, match="no artifact folder"):
        load_window_artifact(tmp_path / "absent")


def test_a_graph_that_is_not_the_manifests_is_refused(copy: Path, tiny_artifact: Path) -> None:
    manifest = load_window_artifact(copy).manifest
    shutil.copyfile(tiny_artifact / "step.onnx", copy / GRAPH)
    write_window_manifest(copy, manifest)
    with pytest.raises(ArtifactError, match=r"in window\.onnx and absent"):
        WindowEngine(load_window_artifact(copy))
    (copy / GRAPH).write_bytes(b"no graph")
    write_window_manifest(copy, manifest)
    with pytest.raises(EngineError, match="cannot load"):
        WindowEngine(load_window_artifact(copy))


class Held:
    """A delayed filter that inverts luma, and raises when it takes frame ``fails_at`` and every ``every`` th
    after it; ``loses`` frames are kept for good."""

    notes = ("a note",)

    def __init__(self, delay: int, fails_at: int = 10**9, every: int = 10**9, loses: int = 0) -> None:
        self.delay, self.fails_at, self.every, self.loses = delay, fails_at, every, loses
        self.held: list[Frame] = []
        self.count = 0

    def push(self, frame: Frame) -> list[Filtered]:
        self.held.append(frame)
        self.count += 1
        past = self.count - 1 - self.fails_at
        if past >= 0 and past % self.every == 0:
            self.held.clear()
            raise RuntimeError("refused")
        return [self._out()] if len(self.held) > self.delay else []

    def finish(self) -> list[Filtered]:
        return [self._out() for _ in range(len(self.held) - self.loses)]

    def _out(self) -> Filtered:
        frame = self.held.pop(0)
        return Filtered(frame.with_planes(inverted(frame), frame.u, frame.v))

    def set_target(self, bpm: float) -> None:
        pass

    def close(self) -> None:
        pass


def run(clip: Path, output: Path, held: Held) -> RunReport:
    settings = FileSettings(clip, output, codec=LOSSLESS)
    return filter_file(settings, lambda: held, lambda progress: None, lambda: False)


@pytest.mark.parametrize(
    ("held", "cards"),
    [
        (Held(7), range(0)),
        (Held(7, fails_at=20), range(13, 21)),
        (Held(7, fails_at=3), range(4)),
        (Held(7, loses=2), range(38, 40)),
    ],
)
def test_frames_held_by_a_filter_that_fails_leave_as_cards(tmp_path: Path, held: Held, cards: range) -> None:
    clip = write_clip(tmp_path / "in.mkv", codec="ffv1", pts=list(range(40)))
    report = run(clip, tmp_path / "out.mkv", held)
    assert report.reasons == (((FILTER_FAILED, len(cards)),) if cards else ())
    assert (report.frames, report.notes[-1]) == (40, "a note")
    for index, (ours, given) in enumerate(zip(read(tmp_path / "out.mkv"), read(clip), strict=True)):
        assert ours.seconds == given.seconds
        if index in cards:
            assert (ours.u == 128).all()
        else:
            np.testing.assert_array_equal(ours.y, inverted(given))


def test_a_delayed_filter_that_keeps_failing_ends_the_run(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mkv", codec="ffv1", pts=list(range(80)))
    with pytest.raises(EngineError, match="on 37 frames in a row"):
        run(clip, tmp_path / "out.mkv", Held(7, fails_at=0, every=7))
    assert [entry.name for entry in tmp_path.iterdir()] == [clip.name]


def test_a_stop_lets_no_frame_out_that_still_waits(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mkv", codec="ffv1", pts=list(range(40)))
    held = Held(7)
    settings = FileSettings(clip, tmp_path / "out.mkv", codec=LOSSLESS)
    report = filter_file(settings, lambda: held, lambda progress: None, lambda: held.count >= 20)
    assert (report.frames, report.stopped_early) == (13, True)
    for ours, given in zip(read(tmp_path / "out.mkv"), read(clip), strict=False):
        np.testing.assert_array_equal(ours.y, inverted(given))
    assert len(read(tmp_path / "out.mkv")) == 13
