"""Filters keep phase, keep their band, and put uneven captures on an even grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.rppg.filters import analytic, band_pass, detrend, remove_line, resample, soft_band


@settings(max_examples=30, deadline=None)
@given(bpm=st.floats(50, 220), fs=st.floats(15, 60), phase=st.floats(0, 6.3))
def test_band_pass_is_transparent_and_zero_phase_inside(bpm: float, fs: float, phase: float) -> None:
    t = np.arange(round(20 * fs)) / fs
    sine = np.sin(2 * np.pi * bpm / 60 * t + phase)
    middle = slice(t.size // 5, -t.size // 5)
    np.testing.assert_allclose(band_pass(sine, fs)[middle], sine[middle], atol=0.08)


@pytest.mark.parametrize("hz", [0.1, 0.4, 5.0, 8.0])
def test_band_pass_stops_outside(hz: float) -> None:
    t = np.arange(900) / 30.0
    out = band_pass(np.sin(2 * np.pi * hz * t + 0.7), 30.0)
    assert np.abs(out[150:-150]).max() < 0.03


def test_band_pass_filters_channels_alike() -> None:
    x = np.random.default_rng(0).normal(size=(301, 3))
    np.testing.assert_allclose(band_pass(x, 25.0)[:, 2], band_pass(x[:, 2], 25.0), atol=1e-12)


def test_soft_band_edges() -> None:
    freq = np.array([0.0, 0.55, 0.6, 0.65, 1.0, 4.0, 4.05, 4.1, 9.0])
    np.testing.assert_allclose(soft_band(freq, 0.65, 4.0, 0.1), [0, 0, 0.5, 1, 1, 1, 0.5, 0, 0], atol=1e-12)
    np.testing.assert_allclose(soft_band(freq, 0.65, 4.0, 0.0), [0, 0, 0, 1, 1, 1, 0, 0, 0])


def test_detrend_takes_line_and_drift_and_leaves_the_pulse() -> None:
    t = np.arange(900) / 30.0
    pulse = np.sin(2 * np.pi * 1.2 * t)
    drift = 50 + 3 * t + 5 * np.sin(2 * np.pi * 0.03 * t)
    out = detrend(pulse + drift, 30.0)
    np.testing.assert_allclose(out[60:-60], pulse[60:-60], atol=0.05)
    np.testing.assert_allclose(detrend(2 + 5 * t, 30.0), 0, atol=1e-9)


def test_detrend_takes_half_at_its_cutoff() -> None:
    t = np.arange(3000) / 30.0
    out = detrend(np.cos(2 * np.pi * 0.3 * t), 30.0, cutoff=0.3)
    assert np.abs(out[900:-900]).max() == pytest.approx(0.5, abs=0.02)


def test_remove_line_is_least_squares() -> None:
    x = np.random.default_rng(1).normal(size=200) + np.linspace(3, 9, 200)
    t = np.arange(200)
    np.testing.assert_allclose(remove_line(x), x - np.polyval(np.polyfit(t, x, 1), t), atol=1e-9)


@pytest.mark.parametrize("length", [300, 301])
def test_analytic_signal(length: int) -> None:
    angle = 2 * np.pi * 7 * np.arange(length) / length
    np.testing.assert_allclose(analytic(np.cos(angle)), np.exp(1j * angle), atol=1e-12)
    noise = np.random.default_rng(2).normal(size=length)
    np.testing.assert_allclose(analytic(noise).real, noise, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), fs=st.floats(10, 80), jitter=st.floats(0, 0.45))
def test_resample_is_exact_on_lines(seed: int, fs: float, jitter: float) -> None:
    rng = np.random.default_rng(seed)
    seconds = 5.0 + (np.arange(120) + jitter * rng.uniform(-1, 1, 120)) / 30
    rgb = np.add(np.outer(seconds, [1.0, -2.0, 3.0]), [7, 8, 9])
    out = resample(rgb, seconds, fs)
    grid = seconds[0] + np.arange(out.shape[0]) / fs
    assert seconds[-1] - 1 / fs < grid[-1] + 1e-6
    assert grid[-1] <= seconds[-1] + 1e-6
    inner = slice(1, -1)  # an averaged end interval is cut short, so its centre moves
    np.testing.assert_allclose(
        out[inner], np.add(np.outer(grid, [1.0, -2.0, 3.0]), [7, 8, 9])[inner], atol=1e-6
    )


def test_resample_does_not_alias() -> None:
    t = np.arange(1200) / 60.0
    rgb = np.repeat(np.sin(2 * np.pi * 29.0 * t)[:, None], 3, axis=1)
    assert np.abs(resample(rgb, t, 15.0)[2:-2]).max() < 0.2
    slow = np.repeat(np.sin(2 * np.pi * 1.5 * t)[:, None], 3, axis=1)
    out = resample(slow, t, 30.0)
    np.testing.assert_allclose(out[2:-2], slow[::2][: out.shape[0]][2:-2], atol=0.02)


def test_resample_refuses_faults() -> None:
    rgb, t = np.ones((5, 3)), np.arange(5.0)
    with pytest.raises(ValueError, match="do not increase"):
        resample(rgb, [0, 1, 1, 2, 3], 30.0)
    with pytest.raises(ValueError, match="do not fit"):
        resample(rgb, t[:4], 30.0)
    with pytest.raises(ValueError, match="NaN"):
        resample(rgb * np.nan, t, 30.0)
    with pytest.raises(ValueError, match="sample rate"):
        resample(rgb, t, 0.0)
