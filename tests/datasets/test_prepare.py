"""The cache of prepared clips: exact, named by content, whole or not there, never trusted when damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.datasets.generated import generate
from model.datasets.prepare import FRAMES, CacheError, PrepareSettings, cut_out, load, prepared
from model.datasets.protocol import Array64, DatasetClip, DatasetError, Rgb, Video
from model.datasets.registry import open_dataset
from streamfilter.errors import UsageError
from streamfilter.face.box import FaceBox
from tests.datasets import layouts

CENTRE = PrepareSettings(size=12, crop="centre")


@pytest.fixture
def clip(tmp_path: Path) -> DatasetClip:
    layouts.ubfc2(tmp_path / "data", "subject1", count=6)
    return open_dataset("ubfc2", tmp_path / "data").clips[0]


def places(cache: Path) -> list[Path]:
    return sorted(cache.iterdir())


def test_the_middle_square_is_averaged_and_the_pulse_read_at_the_pictures(
    clip: DatasetClip, tmp_path: Path
) -> None:
    made = prepared(clip, CENTRE, tmp_path / "cache")
    square = clip.load()[:, :, 4:28]  # 24 x 24 of 24 x 32, in cells of 2 x 2
    means = square.reshape(6, 12, 2, 12, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(made.frames, means, atol=0.5)
    pulse = clip.pulse()
    assert pulse is not None
    assert made.bvp is not None
    np.testing.assert_allclose(made.bvp, pulse.at(made.times))
    assert (made.name, made.subject) == (clip.name, clip.subject)


def test_a_second_run_reads_what_the_first_wrote(clip: DatasetClip, tmp_path: Path) -> None:
    first = prepared(clip, CENTRE, tmp_path / "cache")
    unread = replace(clip, video=_Broken(clip.video))
    again = prepared(unread, CENTRE, tmp_path / "cache")
    np.testing.assert_array_equal(first.frames, again.frames)


def test_other_settings_and_other_bytes_have_other_places(clip: DatasetClip, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    prepared(clip, CENTRE, cache)
    prepared(clip, replace(CENTRE, size=8), cache)
    truth = tmp_path / "data" / "subject1" / "ground_truth.txt"
    truth.write_text(truth.read_text().replace("7.2000000e+01", "7.3000000e+01", 1))
    prepared(clip, CENTRE, cache)
    assert len(places(cache)) == 3


def test_an_interrupted_run_leaves_nothing_that_looks_ready(clip: DatasetClip, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    broken = replace(clip, video=_Broken(clip.video, after=3))
    with pytest.raises(KeyboardInterrupt):
        prepared(broken, CENTRE, cache)
    assert places(cache) == []
    assert len(prepared(clip, CENTRE, cache).frames) == 6


def test_damage_is_found_and_made_good(clip: DatasetClip, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    whole = np.array(prepared(clip, CENTRE, cache).frames)
    (place,) = places(cache)
    content = bytearray((place / FRAMES).read_bytes())
    content[-1] ^= 1
    (place / FRAMES).write_bytes(bytes(content))
    with pytest.raises(CacheError, match="damaged"):
        load(place)
    with pytest.warns(UserWarning, match="made anew"):
        again = prepared(clip, CENTRE, cache)
    np.testing.assert_array_equal(again.frames, whole)
    (place / "about.json").write_text("{")
    with pytest.warns(UserWarning, match="made anew"):
        prepared(clip, CENTRE, cache)


def test_a_video_that_ends_early_is_refused(clip: DatasetClip, tmp_path: Path) -> None:
    short = replace(clip, video=_Broken(clip.video, after=3, raises=False))
    with pytest.raises(DatasetError, match="3 of 6 pictures"):
        prepared(short, CENTRE, tmp_path / "cache")


def test_pictures_without_a_face_are_refused(clip: DatasetClip, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no face"):
        prepared(clip, PrepareSettings(size=12), tmp_path / "cache")


def test_a_generated_face_is_followed(tmp_path: Path) -> None:
    folder = generate(tmp_path / "made", None, clips=1, seconds=2.0)
    (clip,) = open_dataset("plain", folder).clips
    made = prepared(clip, PrepareSettings(size=36), tmp_path / "cache")
    assert made.frames.shape == (60, 36, 36, 3)
    middle = made.frames[:, 12:24, 12:24].mean(axis=(0, 1, 2))
    assert middle[0] > middle[1] > middle[2]  # skin, not background
    assert made.bvp is not None
    assert np.isfinite(made.bvp).all()
    with pytest.raises(UsageError, match="there already"):
        generate(folder, None, clips=1, seconds=1.0)


def test_a_box_over_the_edge_repeats_it() -> None:
    rgb = np.full((20, 20, 3), 7, np.uint8)
    assert (cut_out(rgb, FaceBox(0.0, 0.0, 16.0), 8) == 7).all()


class _Broken:
    """A video that fails, or ends, after some pictures."""

    def __init__(self, video: Video, after: int = 0, raises: bool = True) -> None:
        self._video, self._after, self._raises = video, after, raises

    @property
    def files(self) -> tuple[Path, ...]:
        return self._video.files

    def times(self) -> Array64:
        return self._video.times()

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Rgb]:
        yield from self._video.frames(start, self._after)
        if self._raises:
            raise KeyboardInterrupt
