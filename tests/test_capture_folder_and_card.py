"""Folders of pictures and the generated card."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfilter.capture import open_source
from streamfilter.capture.synthetic import SyntheticSource
from streamfilter.errors import SourceError, UsageError


def picture(path: Path, level: int, width: int = 32, height: int = 24) -> None:
    assert cv2.imwrite(str(path), np.full((height, width, 3), level, np.uint8))


def test_pictures_come_in_the_order_of_their_numbers_at_the_asked_rate(tmp_path: Path) -> None:
    for number in (1, 2, 9, 10, 11):
        picture(tmp_path / f"frame{number}.{'jpg' if number == 9 else 'png'}", 10 * number + 20)
    (tmp_path / "notes.txt").write_text("no picture")
    with open_source(tmp_path, Fraction(30000, 1001)) as source:
        frames = list(source.frames())
    levels = [float(frame.y.mean()) for frame in frames]
    assert len(frames) == 5
    assert levels == sorted(levels)
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(1001 * i, 30000) for i in range(5)]


def test_grey_levels_reach_limited_range_luma(tmp_path: Path) -> None:
    for name, level in (("a.png", 0), ("b.png", 255)):
        picture(tmp_path / name, level)
    with open_source(tmp_path) as source:
        black, white = source.frames()
    assert set(black.y.ravel()) == {16}
    assert set(white.y.ravel()) == {235}
    assert np.abs(white.u.astype(int) - 128).max() <= 1


def test_bad_folders_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no pictures"):
        open_source(tmp_path)
    picture(tmp_path / "a.png", 50)
    with pytest.raises(UsageError, match="above zero"):
        open_source(tmp_path, Fraction(0))
    picture(tmp_path / "b.png", 50, width=40)
    with open_source(tmp_path) as source, pytest.raises(SourceError, match="one size"):
        list(source.frames())
    (tmp_path / "b.png").write_bytes(b"no picture")
    with open_source(tmp_path) as source, pytest.raises(SourceError, match=r"b\.png"):
        list(source.frames())
    picture(tmp_path / "a.png", 50, width=8, height=8)
    with pytest.raises(SourceError, match="16x16"):
        open_source(tmp_path)


@pytest.mark.parametrize(("width", "height"), [(64, 48), (17, 19)])
def test_the_card_moves_and_stays_in_legal_levels(width: int, height: int) -> None:
    with SyntheticSource(width, height, count=4, fps=Fraction(25)) as source:
        frames = list(source.frames())
    assert [frame.seconds for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12])
    assert frames[0].u.shape == ((height + 1) // 2, (width + 1) // 2)
    assert not np.array_equal(frames[0].y, frames[1].y)
    assert all(frame.y.min() >= 16 and frame.y.max() <= 235 for frame in frames)


@pytest.mark.parametrize("size", [(8, 48, 4), (64, 8, 4), (64, 48, 0)])
def test_a_card_without_room_is_refused(size: tuple[int, int, int]) -> None:
    with pytest.raises(SourceError):
        SyntheticSource(*size)
