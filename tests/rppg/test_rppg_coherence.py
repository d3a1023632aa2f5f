"""Coherence is 1 for copies, chance for strangers, and grades what is between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.rppg.coherence import chance_level, coherence
from streamfilter.rppg.filters import band_pass
from tests.rppg.pulse import wandering, waveform

FS = 30.0


@settings(max_examples=40, deadline=None)
@given(gain=st.floats(-1e3, 1e3).filter(lambda g: abs(g) > 1e-3), offset=st.floats(-1e3, 1e3))
def test_gain_and_offset_do_not_matter(gain: float, offset: float) -> None:
    pulse = wandering(70.0, FS, 30.0, 1)
    assert coherence(gain * pulse + offset, pulse, FS, 70.0) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("delay", [1, 3, 6])
def test_a_delayed_or_filtered_copy_is_coherent(delay: int) -> None:
    pulse = wandering(70.0, FS, 31.0, 2)
    assert coherence(pulse[30 - delay : -delay], pulse[30:], FS, 70.0) > 0.97
    assert coherence(band_pass(pulse, FS), pulse, FS, 70.0) > 0.995


@settings(max_examples=20, deadline=None)
@given(bpm=st.floats(45, 150), fs=st.floats(15, 60), seed=st.integers(0, 10**6))
def test_is_symmetric_and_bounded(bpm: float, fs: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, round(20 * fs)))
    forth = coherence(a, b, fs, bpm)
    assert 0.0 <= forth <= 1.0
    assert forth == pytest.approx(coherence(b, a, fs, bpm), abs=1e-12)


@pytest.mark.parametrize("seconds", [20.0, 30.0, 60.0])
@pytest.mark.parametrize("half_width", [0.2, 0.3])
def test_independent_noise_gives_chance(seconds: float, half_width: float) -> None:
    rng = np.random.default_rng(7)
    size = round(seconds * FS)
    pairs = rng.normal(size=(400, 2, size))
    values = [coherence(a, b, FS, 75.0, half_width) for a, b in pairs]
    assert np.mean(values) == pytest.approx(chance_level(seconds, half_width), rel=0.15)


def test_chance_level_is_near_the_rule_of_thumb() -> None:
    assert 1.0 < chance_level(30.0, 0.2) * (2 * 0.2 * 30.0) < 1.6
    assert chance_level(60.0) == pytest.approx(chance_level(30.0) / 2)
    with pytest.raises(ValueError, match="positive"):
        chance_level(0.0)


def test_grades_how_much_is_left() -> None:
    """With a share s of the pulse in noise of equal in-band power, coherence is s^2 / (1 + s^2)."""
    rng = np.random.default_rng(3)
    expected, measured = [], []
    for seed in range(60):
        pulse = band_pass(rng.normal(size=1800), FS, 1.0, 1.4, 0.05)
        noise = band_pass(rng.normal(size=1800), FS, 1.0, 1.4, 0.05)
        share = (0.5, 1.0, 2.0)[seed % 3]
        measured.append(coherence(share * pulse + noise, pulse, FS, 72.0))
        expected.append(share**2 / (1 + share**2))
    for k in range(3):
        assert np.mean(measured[k::3]) == pytest.approx(np.mean(expected[k::3]), abs=0.06)


def test_a_strong_shown_pulse_does_not_leak_into_the_true_pulses_band() -> None:
    true = wandering(60.0, FS, 30.0, 4)
    shown = 20 * waveform(90.0, FS)
    assert coherence(shown + true, true, FS, 60.0) > 0.95


def test_empty_band_is_zero() -> None:
    pulse = wandering(70.0, FS, 30.0, 5)
    assert coherence(np.zeros(900), pulse, FS, 70.0) == 0.0
    assert coherence(np.full(900, 3.0), pulse, FS, 70.0) == 0.0


def test_faults_are_refused() -> None:
    pulse = wandering(70.0, FS, 30.0, 6)
    with pytest.raises(ValueError, match="samples"):
        coherence(pulse[1:], pulse, FS, 70.0)
    with pytest.raises(ValueError, match="does not fit"):
        coherence(pulse, pulse, FS, 5.0)
    with pytest.raises(ValueError, match="too short"):
        coherence(pulse[:60], pulse[:60], FS, 70.0)
    with pytest.raises(ValueError, match="NaN"):
        coherence(pulse * np.nan, pulse, FS, 70.0)
