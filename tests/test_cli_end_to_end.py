"""The command with the real filter, on an artifact of known arithmetic: faces, none, a damaged artifact."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamfilter.capture import open_source
from streamfilter.capture.synthetic import SyntheticSource
from streamfilter.cli.main import main
from streamfilter.contract import STEP_GRAPH
from streamfilter.frame import Frame
from streamfilter.sinks import open_sink
from streamfilter.sinks.codec_settings import CodecSettings
from tests.face_scene import Place, frame_of, scene
from tests.media_clips import write_clip

FRAMES = 40


def read(path: Path) -> list[Frame]:
    with open_source(path) as source:
        return list(source.frames())


def clip_of(path: Path, places: list[Place], width: int, height: int) -> Path:
    """The faces at rest for FRAMES frames of a 30 fps video, without loss."""
    still = frame_of(scene(places, width, height))
    with SyntheticSource(width, height, FRAMES) as card:
        info = card.info
    sink = open_sink(path, info, CodecSettings(lossless=True), overwrite=False)
    for index in range(FRAMES):
        sink.write(replace(still, pts=index, time_base=info.time_base))
    sink.close()
    return path


def command(clip: Path, output: Path, artifact: Path, *more: str) -> int:
    files = ["--input", str(clip), "--output", str(output), "--artifact", str(artifact)]
    return main([*files, "--lossless", "--engine", "onnxruntime", *more])


def test_a_video_without_a_face_passes_bit_for_bit(
    tmp_path: Path, tiny_artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_clip(tmp_path / "in.mkv", codec="ffv1", width=160, height=120)
    assert command(clip, tmp_path / "out.mkv", tiny_artifact) == 0
    said = capsys.readouterr().out
    assert "no face seen" in said
    assert "engine: onnxruntime" in said
    for ours, given in zip(read(tmp_path / "out.mkv"), read(clip), strict=True):
        np.testing.assert_array_equal(ours.y, given.y)
        np.testing.assert_array_equal(ours.u, given.u)
        np.testing.assert_array_equal(ours.v, given.v)


@pytest.mark.parametrize(
    ("count", "width", "height"), [(1, 320, 240), (5, 1000, 240)], ids=["one face", "five faces"]
)
def test_each_face_is_edited_from_its_first_frame_and_the_rest_is_left(
    tmp_path: Path,
    tiny_artifact: Path,
    capsys: pytest.CaptureFixture[str],
    count: int,
    width: int,
    height: int,
) -> None:
    places = [((index + 0.5) * width / count, 120.0, 80.0) for index in range(count)]
    clip = clip_of(tmp_path / "in.mkv", places, width, height)
    assert command(clip, tmp_path / "out.mkv", tiny_artifact, "--hr", "60,0.5:120") == 0
    assert f"faces: {count}" in capsys.readouterr().out
    source, filtered = read(clip), read(tmp_path / "out.mkv")
    for cx, cy, tall in places:
        core = (slice(int(cy - tall / 4), int(cy + tall / 4)), slice(int(cx - tall / 4), int(cx + tall / 4)))
        for ours, given in ((filtered[0], source[0]), (filtered[-1], source[-1])):
            change = ours.y[core].astype(float) - given.y[core]
            assert np.abs(change).max() > 0
            assert np.abs(change).mean() < 12
    corner = (slice(0, 10), slice(0, 10))
    for ours, given in zip(filtered, source, strict=True):
        np.testing.assert_array_equal(ours.y[corner], given.y[corner])
        assert ours.seconds == given.seconds


def test_no_frame_with_a_face_leaves_as_it_came(tmp_path: Path, tiny_artifact: Path) -> None:
    clip = clip_of(tmp_path / "in.mkv", [(160.0, 120.0, 90.0)], 320, 240)
    assert command(clip, tmp_path / "out.mkv", tiny_artifact, "--quiet") == 0
    face = (slice(100, 140), slice(140, 180))
    for ours, given in zip(read(tmp_path / "out.mkv"), read(clip), strict=True):
        assert not np.array_equal(ours.y[face], given.y[face])


def test_the_same_seed_gives_the_same_output_and_no_seed_another(tmp_path: Path, tiny_artifact: Path) -> None:
    clip = clip_of(tmp_path / "in.mkv", [(160.0, 120.0, 90.0)], 320, 240)
    outputs = {"a": ["--seed", "7"], "b": ["--seed", "7"], "c": []}
    last = {}
    for name, seed in outputs.items():
        assert command(clip, tmp_path / f"{name}.mkv", tiny_artifact, "--quiet", *seed) == 0
        last[name] = read(tmp_path / f"{name}.mkv")[-1].y
    np.testing.assert_array_equal(last["a"], last["b"])
    assert not np.array_equal(last["a"], last["c"])


def test_a_damaged_artifact_ends_with_its_code_and_no_output(
    tmp_path: Path, tiny_artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = Path(shutil.copytree(tiny_artifact, tmp_path / "damaged"))
    graph = damaged / STEP_GRAPH
    graph.write_bytes(graph.read_bytes()[:-1])
    clip = write_clip(tmp_path / "in.mkv", codec="ffv1")
    assert command(clip, tmp_path / "out.mkv", damaged) == 5
    assert "damaged" in capsys.readouterr().err
    assert not list(tmp_path.glob("*out*"))
