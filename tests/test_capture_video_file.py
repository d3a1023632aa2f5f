"""Video files: planes, colours, times and orientation as the file has them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamfilter.capture import open_source
from streamfilter.capture.source import SourceInfo
from streamfilter.errors import UsageError
from streamfilter.frame import ColorSpec, Frame
from tests.media_clips import write_clip


def read(path: Path) -> tuple[list[Frame], SourceInfo, tuple[str, ...]]:
    with open_source(path) as source:
        frames = list(source.frames())
        return frames, source.info, source.notes


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 47), (33, 18)])
def test_planes_are_the_decoders_own_whatever_the_stride(tmp_path: Path, width: int, height: int) -> None:
    path = write_clip(tmp_path / "a.mkv", codec="ffv1", width=width, height=height)
    frames, info, notes = read(path)
    with av.open(str(path)) as container:
        for frame, picture in zip(frames, container.decode(video=0), strict=True):
            for mine, plane in zip((frame.y, frame.u, frame.v), picture.planes, strict=True):
                raw, step = bytes(plane), plane.line_size
                rows = [raw[row * step : row * step + mine.shape[1]] for row in range(mine.shape[0])]
                assert mine.tobytes() == b"".join(rows)
    assert (info.width, info.height) == (width, height)
    assert frames[0].u.shape == ((height + 1) // 2, (width + 1) // 2)
    assert notes == ()


@pytest.mark.parametrize("fmt", ["nv12", "yuv422p", "yuv444p", "yuv420p10le", "bgr0"])
def test_other_formats_come_as_8_bit_420_with_a_note(tmp_path: Path, fmt: str) -> None:
    plain, _, _ = read(write_clip(tmp_path / "plain.mkv", codec="ffv1"))
    raw = fmt == "nv12"
    path = tmp_path / ("other.nut" if raw else "other.mkv")
    frames, _, notes = read(write_clip(path, codec="rawvideo" if raw else "ffv1", pix_fmt=fmt))
    assert len(notes) == 1
    assert fmt in notes[0]
    for ours, reference in zip(frames, plain, strict=True):
        assert ours.u.shape == reference.u.shape
        assert np.abs(ours.y.astype(int) - reference.y).max() <= 1
        # Chroma goes through other resampling here and in the reference: near, not equal.
        assert np.abs(ours.u.astype(int) - reference.u).mean() < 0.5
        assert np.abs(ours.v.astype(int) - reference.v).mean() < 0.5


def test_nv12_is_taken_apart_exactly(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.nut", codec="rawvideo", pix_fmt="nv12")
    frames, _, _ = read(path)
    with av.open(str(path)) as container:
        for frame, picture in zip(frames, container.decode(video=0), strict=True):
            pairs = np.frombuffer(bytes(picture.planes[1]), np.uint8).reshape(24, -1)[:, :64]
            np.testing.assert_array_equal(frame.u, pairs[:, 0::2])
            np.testing.assert_array_equal(frame.v, pairs[:, 1::2])


def test_grey_pictures_get_neutral_chroma(tmp_path: Path) -> None:
    frames, _, notes = read(write_clip(tmp_path / "a.mkv", codec="ffv1", pix_fmt="gray"))
    assert all((frame.u == 128).all() and (frame.v == 128).all() for frame in frames)
    assert frames[0].y.std() > 5
    assert "gray" in notes[0]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ((1, 1, 1, 1), ColorSpec("bt709", False)),
        ((6, 6, 6, 1), ColorSpec("bt601", False)),
        ((6, 6, 5, 2), ColorSpec("bt601", True)),
        ((1, 1, 1, 2), ColorSpec("bt709", True)),
    ],
)
def test_matrix_and_range_come_from_the_stream(
    tmp_path: Path, tags: tuple[int, int, int, int], expected: ColorSpec
) -> None:
    frames, info, _ = read(write_clip(tmp_path / "a.mp4", tags=tags))
    assert info.color == expected
    assert frames[0].color == expected


@pytest.mark.parametrize(("height", "matrix"), [(48, "bt601"), (718, "bt601"), (720, "bt709")])
def test_untagged_matrix_goes_by_height(tmp_path: Path, height: int, matrix: str) -> None:
    path = write_clip(tmp_path / "a.mkv", codec="ffv1", height=height, pts=[0])
    _, info, _ = read(path)
    assert info.color.matrix == matrix
    assert not info.color.full_range


def test_wide_gamut_is_edited_as_its_nearest_matrix_with_a_note(tmp_path: Path) -> None:
    _, info, notes = read(write_clip(tmp_path / "a.mp4", tags=(9, 16, 9, 1)))
    assert info.color.matrix == "bt709"
    assert info.tags.matrix == 9
    assert len(notes) == 1


@pytest.mark.parametrize(("degrees", "quarters"), [(90, 1), (180, 2), (270, 3)])
def test_display_rotation_is_applied_to_the_planes(tmp_path: Path, degrees: int, quarters: int) -> None:
    sharp = {"qp": "1", "bf": "0"}
    plain, _, _ = read(write_clip(tmp_path / "plain.mp4", options=sharp))
    turned, info, _ = read(write_clip(tmp_path / "turned.mp4", options=sharp, rotation=degrees))
    assert (info.width, info.height) == ((64, 48) if quarters == 2 else (48, 64))
    for ours, upright in zip(turned, plain, strict=True):
        for mine, reference in ((ours.y, upright.y), (ours.u, upright.u), (ours.v, upright.v)):
            np.testing.assert_array_equal(mine, np.rot90(reference, quarters))


def test_a_slanted_rotation_is_ignored_with_a_note(tmp_path: Path) -> None:
    _, info, notes = read(write_clip(tmp_path / "a.mp4", rotation=30))
    assert (info.width, info.height) == (64, 48)
    assert any("rotation" in note for note in notes)


@pytest.mark.parametrize("b_frames", ["0", "2"])
def test_variable_frame_times_are_exact(tmp_path: Path, b_frames: str) -> None:
    pts = [3003 * tick for tick in (0, 1, 5, 6, 13, 14, 15, 40)]
    path = write_clip(tmp_path / "a.mp4", pts=pts, time_base=Fraction(1, 90000), options={"bf": b_frames})
    frames, info, _ = read(path)
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(tick, 90000) for tick in pts]
    assert info.frames == len(pts)


def test_absent_times_follow_the_rate(tmp_path: Path) -> None:
    frames, info, _ = read(write_clip(tmp_path / "bare.h264"))
    steps = np.diff([frame.pts * frame.time_base for frame in frames])
    assert len(frames) == 10
    assert set(steps) == {1 / info.fps}


@pytest.mark.parametrize("name", ["a.avi", "a.ts", "a.mov", "a.mkv", "a.flv"])
def test_every_container_gives_each_frame_once_with_rising_times(tmp_path: Path, name: str) -> None:
    frames, info, notes = read(write_clip(tmp_path / name, options={"bf": "2"}, pts=list(range(30))))
    assert len(frames) == 30
    times = np.array([frame.seconds for frame in frames])
    np.testing.assert_allclose(np.diff(times), 1 / 30, atol=1.1e-3)
    assert times[0] < 0.1
    assert info.fps == pytest.approx(30, rel=0.02)
    assert notes == ()


def test_broadcast_clock_starts_near_zero_with_sound_in_step(tmp_path: Path) -> None:
    late = [900000 + 3000 * index for index in range(10)]
    path = write_clip(tmp_path / "a.ts", pts=late, time_base=Fraction(1, 90000))
    with av.open(str(path)) as container:
        assert (container.streams.video[0].start_time or 0) >= 900000
    frames, _, _ = read(path)
    assert frames[0].pts == 0


@pytest.mark.parametrize("codec", ["libx265", "mpeg4"])
def test_other_codecs_decode(tmp_path: Path, codec: str) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    frames, info, _ = read(write_clip(tmp_path / "a.mov", codec=codec, options=options))
    assert len(frames) == 10
    assert ("hevc" if codec == "libx265" else "mpeg4") in info.description


def test_sound_is_announced(tmp_path: Path) -> None:
    silent = read(write_clip(tmp_path / "silent.mp4"))[1]
    sounding = read(write_clip(tmp_path / "sounding.mp4", audio="aac"))[1]
    assert (silent.has_audio, silent.media) == (False, None)
    assert (sounding.has_audio, sounding.media) == (True, tmp_path / "sounding.mp4")


def test_folder_rate_is_refused_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--fps"):
        open_source(write_clip(tmp_path / "a.mp4"), Fraction(25))
