"""The heart rate is read between bins; the notch attack takes the shown pulse and finds the hidden one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.rppg.heart_rate import heart_rate, heart_rate_after_notch, notch_out, snr, spectrum
from tests.rppg.pulse import waveform


@settings(max_examples=80, deadline=None)
@given(bpm=st.floats(40, 180), fs=st.floats(15, 60), phase=st.floats(0, 6.3))
def test_sub_bin_accuracy(bpm: float, fs: float, phase: float) -> None:
    """30 s have bins of 2 bpm; the reading is within a twentieth of one."""
    assert abs(heart_rate(waveform(bpm, fs, 30.0, phase), fs) - bpm) <= 0.1


@settings(max_examples=40, deadline=None)
@given(gain=st.floats(1e-6, 1e6), offset=st.floats(-1e3, 1e3), slope=st.floats(-10, 10))
def test_gain_offset_and_line_do_not_matter(gain: float, offset: float, slope: float) -> None:
    pulse = waveform(71.3, 30.0, 20.0)
    moved = gain * (pulse + offset + slope * np.arange(pulse.size) / 30.0)
    assert heart_rate(moved, 30.0) == pytest.approx(heart_rate(pulse, 30.0), abs=0.05)


def test_band_limits_hold() -> None:
    t = np.arange(900) / 30.0
    mix = 5 * np.sin(2 * np.pi * 0.3 * t) + np.sin(2 * np.pi * 1.5 * t) + 5 * np.sin(2 * np.pi * 5.0 * t)
    assert heart_rate(mix, 30.0) == pytest.approx(90.0, abs=0.1)
    assert heart_rate(mix, 30.0, low=4.0, high=6.0) == pytest.approx(300.0, abs=0.1)


def test_flat_signal_has_no_rate() -> None:
    assert np.isnan(heart_rate(np.zeros(300), 30.0))
    assert np.isnan(heart_rate(np.full(300, 7.0), 30.0))


def test_spectrum_scale_and_padding() -> None:
    freq, power = spectrum(0.5 * np.sin(2 * np.pi * 2.0 * np.arange(900) / 30.0), 30.0)
    assert freq.size == power.size >= 16 * 450
    assert freq[-1] == pytest.approx(15.0)
    assert power.max() == pytest.approx(0.25, rel=0.01)


def test_snr_follows_noise() -> None:
    """White noise of power n spreads over fs / 2: the expected ratio is known in closed form."""
    fs, noise = 30.0, 0.5
    rng = np.random.default_rng(0)
    pulse = np.sin(2 * np.pi * 1.2 * np.arange(9000) / fs)
    measured = snr(pulse + noise * rng.normal(size=9000), fs, 72.0)
    density = noise**2 / (fs / 2)
    expected = 10 * np.log10((0.5 + 0.4 * density) / (2.95 * density))
    assert measured == pytest.approx(expected, abs=0.5)
    assert snr(pulse, fs, 72.0) > 40
    assert snr(pulse, fs, 110.0) < -40


def test_snr_counts_the_harmonic_as_signal() -> None:
    t = np.arange(900) / 30.0
    assert snr(np.sin(2 * np.pi * t) + 0.5 * np.sin(4 * np.pi * t), 30.0, 60.0) > 30


def test_snr_refuses() -> None:
    with pytest.raises(ValueError, match="no power"):
        snr(np.zeros(300), 30.0, 70.0)
    with pytest.raises(ValueError, match="outside"):
        snr(np.ones(300), 30.0, 300.0)


@settings(max_examples=30, deadline=None)
@given(bpm=st.floats(50, 150), fs=st.floats(20, 60), phase=st.floats(0, 6.3))
def test_notch_removes_the_target_and_its_harmonics(bpm: float, fs: float, phase: float) -> None:
    pulse = waveform(bpm, fs, 30.0, phase)
    _, before = spectrum(pulse, fs)
    _, after = spectrum(notch_out(pulse, fs, bpm), fs)
    assert after.max() < 1e-4 * before.max()


def test_notch_leaves_the_rest() -> None:
    other = np.sin(2 * np.pi * 65.0 / 60 * np.arange(900) / 30.0)
    out = notch_out(other, 30.0, 90.0)
    assert (out - other).std() < 0.15 * other.std()
    assert heart_rate(out, 30.0) == pytest.approx(65.0, abs=0.1)
    assert snr(out, 30.0, 65.0) > 25


@settings(max_examples=40, deadline=None)
@given(
    true=st.floats(45, 120),
    target=st.floats(50, 150),
    fs=st.floats(20, 60),
    seconds=st.floats(20, 40),
    phase=st.floats(0, 6.3),
)
def test_attack_finds_what_a_shown_rate_covers(
    true: float, target: float, fs: float, seconds: float, phase: float
) -> None:
    """A true pulse of a twentieth of the shown one is read to 1 bpm wherever it is not itself notched."""
    if min(abs(true - k * target) for k in (1, 2, 3)) < 12:
        return
    shown = waveform(target, fs, seconds)
    hidden = 0.05 * np.cos(2 * np.pi * true / 60 * np.arange(shown.size) / fs + phase)
    assert abs(heart_rate(shown + hidden, fs) - target) < 0.5
    assert abs(heart_rate_after_notch(shown + hidden, fs, target) - true) < 1.0


def test_attack_never_reads_the_target_back() -> None:
    rate = heart_rate_after_notch(waveform(90.0, 30.0), 30.0, 90.0)
    assert np.isnan(rate) or abs(rate - 90.0) > 5.9


@pytest.mark.parametrize("bad", [np.array([1.0, np.nan, 2.0, 3.0]), np.ones((5, 2)), np.ones(2)])
def test_faults_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"give|fill"):
        heart_rate(bad, 30.0)
    with pytest.raises(ValueError, match=r"give|fill"):
        notch_out(bad, 30.0, 70.0)


@pytest.mark.parametrize("seconds", [10.0, 30.0, 60.0])
@pytest.mark.parametrize("off", [-2.0, 0.0, 2.0])
def test_notch_takes_a_pulse_that_misses_the_target(seconds: float, off: float) -> None:
    pulse = waveform(90.0 + off, 30.0, seconds) - 0.3 * waveform(180.0 + 2 * off, 30.0, seconds)
    _, before = spectrum(pulse, 30.0)
    _, after = spectrum(notch_out(pulse, 30.0, 90.0), 30.0)
    near = slice(0, before.size // 6)  # below 150 bpm: the harmonic of a miss is missed by twice as much
    assert after[near].max() < 1e-3 * before[near].max()


def test_notch_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="positive"):
        notch_out(np.ones(100), 30.0, 0.0)
