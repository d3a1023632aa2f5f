"""The picture of the pulse before and after."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from model.evaluate.picture import AFTER, BEFORE, Reading, draw_picture

FPS, SECONDS = 30.0, 12.0


def reading(bpm: float | None, level: int = 120) -> Reading:
    """A face whose colour beats at ``bpm``; None: one that does not change at all."""
    times = np.arange(round(FPS * SECONDS)) / FPS
    wave = np.zeros(times.size) if bpm is None else 0.006 * np.sin(2 * np.pi * bpm / 60 * times)
    noise = 0.0 if bpm is None else np.random.default_rng(0).normal(0, 1e-4, (times.size, 3))
    rgb = np.array([0.6, 0.45, 0.35]) * (1.0 + np.outer(wave, [0.43, 1.0, 0.69]) + noise)
    return Reading(rgb, FPS, np.full((64, 64, 3), level, np.uint8))


def share(picture: npt.NDArray[np.uint8], color: str) -> float:
    """Share of pixels of a colour ("#rrggbb") of a picture in B, G, R."""
    wanted = np.array([int(color[k : k + 2], 16) for k in (5, 3, 1)])
    return float((np.abs(picture.astype(int) - wanted).max(axis=2) < 8).mean())


def test_a_reading_tells_its_rate_and_its_wave() -> None:
    side = reading(72.0)
    assert all(abs(rate - 72.0) < 1.0 for rate in side.rates().values())
    assert len(side.rates()) == 8
    wave = side.wave()
    beat = np.sin(2 * np.pi * 1.2 * np.arange(wave.size) / FPS)
    assert np.corrcoef(wave, beat)[0, 1] > 0.95


def test_both_sides_are_drawn_in_their_colours(tmp_path: Path) -> None:
    draw_picture(tmp_path / "known.png", reading(72.0, 90), reading(120.0, 200), 72.0, 120.0)
    draw_picture(tmp_path / "unknown.png", reading(72.0, 90), reading(120.0, 200), None, 120.0)
    known, unknown = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("known", "unknown"))
    assert known is not None and unknown is not None
    assert known.shape[0] > 900 and known.shape[1] > 1600
    for color in (BEFORE, AFTER, "#5a5a5a", "#c8c8c8"):  # the waves, and the faces that were given
        assert share(np.asarray(known, np.uint8), color) > 0.002
    assert (known != unknown).any()
    assert share(np.asarray(unknown, np.uint8), BEFORE) < share(np.asarray(known, np.uint8), BEFORE)


def test_a_side_without_a_reading_leaves_its_marks_out(tmp_path: Path) -> None:
    flat = reading(None)
    assert all(np.isnan(rate) for rate in flat.rates().values())
    with pytest.warns(RuntimeWarning):
        draw_picture(tmp_path / "flat.png", flat, reading(120.0), None, 120.0)
