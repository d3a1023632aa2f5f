"""Masking noise: its level, its band, its independence, and that it can be repeated only with the seed."""

from __future__ import annotations

import numpy as np
import pytest

from streamfilter.masking import Masking, Noise


def run(level: float, fps: float, seconds: float, seed: int = 0) -> Noise:
    masking = Masking(np.random.default_rng(seed), level)
    state, found = masking.start(), []
    for _ in range(int(fps * seconds)):
        noise, state = masking.step(state, 1.0 / fps)
        found.append(noise)
    return np.stack(found)


@pytest.mark.parametrize("fps", [15, 30, 60])
def test_level_and_band_at_every_frame_rate(fps: int) -> None:
    noise = run(0.001, fps, 120)
    assert noise.shape[1:] == (3, 3, 3)
    assert np.all((noise.std(0) > 0.0007) & (noise.std(0) < 0.0013))
    power = (np.abs(np.fft.rfft(noise.reshape(len(noise), -1), axis=0)) ** 2).sum(1)
    hertz = np.fft.rfftfreq(len(noise), 1 / fps)
    assert power[(hertz > 0.6) & (hertz < 3.7)].sum() > 0.5 * power.sum()
    assert power[hertz < 0.2].sum() < 0.02 * power.sum()


def test_colours_are_independent_and_places_mostly_common() -> None:
    noise = run(0.001, 30, 200).reshape(-1, 3, 9)
    colours = np.asarray(np.corrcoef(noise[:, :, 4].T))
    places = np.asarray(np.corrcoef(noise[:, 1].T))
    assert np.abs(colours[np.triu_indices(3, 1)]).max() < 0.15
    assert places.min() > 0.6


def test_level_zero_is_silence() -> None:
    assert not run(0.0, 30, 1).any()


def test_seed_decides() -> None:
    assert np.array_equal(run(0.001, 30, 1, seed=4), run(0.001, 30, 1, seed=4))
    assert not np.array_equal(run(0.001, 30, 1, seed=4), run(0.001, 30, 1, seed=5))
