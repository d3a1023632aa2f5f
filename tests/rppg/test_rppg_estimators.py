"""Every estimator reads a known pulse, ignores what it must, and says what it cannot read."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.rppg.estimators import ESTIMATORS, MIN_SECONDS, min_samples
from streamfilter.rppg.filters import band_pass, resample
from streamfilter.rppg.heart_rate import heart_rate, snr
from streamfilter.rppg.skin import mean_rgb, skin_mask
from tests.rppg.pulse import SIGNATURE, SKIN, skin_trace, waveform

NAMES = list(ESTIMATORS)


def test_registry_names_and_is_immutable() -> None:
    assert set(NAMES) == {"POS", "CHROM", "GREEN", "ICA", "LGI", "PBV", "OMIT", "PCA"}
    with pytest.raises(TypeError):
        ESTIMATORS["POS"] = ESTIMATORS["GREEN"]  # type: ignore[index]


@settings(max_examples=25, deadline=None)
@given(bpm=st.floats(40, 180), fs=st.floats(15, 60), phase=st.floats(0, 6.3), seed=st.integers(0, 2**32 - 1))
def test_all_read_any_rate_at_any_frame_rate(bpm: float, fs: float, phase: float, seed: int) -> None:
    trace = skin_trace(waveform(bpm, fs, 20.0, phase), fs, seed)
    for name, estimator in ESTIMATORS.items():
        assert abs(heart_rate(estimator(trace, fs), fs) - bpm) <= 1.0, name


@pytest.mark.parametrize("noise", [0.0005, 0.001, 0.003])
@pytest.mark.parametrize("name", NAMES)
def test_rate_survives_noise(name: str, noise: float) -> None:
    for bpm in (47.3, 72.0, 118.0, 171.5):
        trace = skin_trace(waveform(bpm, 30.0), 30.0, 5, noise=noise)
        assert abs(heart_rate(ESTIMATORS[name](trace, 30.0), 30.0) - bpm) <= 0.5


@pytest.mark.parametrize("name", NAMES)
def test_waveform_keeps_time_and_polarity(name: str) -> None:
    pulse = waveform(72.0, 30.0)
    bvp = ESTIMATORS[name](skin_trace(pulse, 30.0, 3, noise=0.0005), 30.0)
    assert bvp.shape == pulse.shape
    assert bvp.dtype == np.float64
    assert abs(bvp.mean()) <= 0.01 * bvp.std()
    lags = range(-4, 5)
    match = [np.corrcoef(np.roll(bvp, lag)[10:-10], pulse[10:-10])[0, 1] for lag in lags]
    assert abs(lags[int(np.argmax(match))]) <= 1
    assert max(match) > 0.85


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 1000))
def test_scale_of_light_does_not_matter(scale: float, seed: int) -> None:
    trace = skin_trace(waveform(80.0, 20.0, 10.0), 20.0, seed)
    for name, estimator in ESTIMATORS.items():
        np.testing.assert_allclose(
            estimator(trace * scale, 20.0), estimator(trace, 20.0), atol=1e-7, err_msg=name
        )


@pytest.mark.parametrize("name", ["POS", "CHROM", "ICA", "LGI", "PBV", "OMIT"])
def test_chrominance_estimators_reject_common_light(name: str) -> None:
    """Brightness that changes alike in R, G, B, four times the pulse, hides it from green only."""
    fs = 30.0
    t = np.arange(900) / fs
    flicker = 1 + 0.02 * np.sin(2 * np.pi * 1.9 * t)[:, None]
    trace = skin_trace(waveform(72.0, fs), fs, 1, amplitude=0.005) * flicker
    assert abs(heart_rate(ESTIMATORS["GREEN"](trace, fs), fs) - 114.0) < 1.0
    bvp = ESTIMATORS[name](trace, fs)
    if (
        name == "ICA"
    ):  # both are periodic sources: the choice between them is not ICA's, so only separation counts
        assert max(snr(bvp, fs, 72.0), snr(bvp, fs, 114.0)) > 10.0
    else:
        assert abs(heart_rate(bvp, fs) - 72.0) < 1.0


@pytest.mark.parametrize("name", NAMES)
def test_repeatable(name: str) -> None:
    trace = skin_trace(waveform(66.0, 30.0, 10.0), 30.0, 9)
    assert np.array_equal(ESTIMATORS[name](trace, 30.0), ESTIMATORS[name](trace.copy(), 30.0))


@pytest.mark.parametrize("name", NAMES)
def test_input_is_left_alone(name: str) -> None:
    trace = skin_trace(waveform(66.0, 30.0, 10.0), 30.0, 9)
    before = trace.copy()
    ESTIMATORS[name](trace, 30.0)
    assert np.array_equal(trace, before)


@pytest.mark.parametrize("level", [1e-3, 1.0, 200.0])
@pytest.mark.parametrize("name", NAMES)
def test_constant_trace_gives_zeros(name: str, level: float) -> None:
    bvp = ESTIMATORS[name](np.full((150, 3), level), 30.0)
    assert np.array_equal(bvp, np.zeros(150))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["one channel", "grey", "ramp", "impulse"])
def test_degenerate_traces_stay_finite(name: str, kind: str) -> None:
    trace = np.tile(SKIN, (300, 1))
    if kind == "one channel":
        trace[:, 1] += waveform(72.0, 30.0, 10.0)
    elif kind == "grey":
        trace = np.repeat(100 + waveform(72.0, 30.0, 10.0)[:, None], 3, axis=1)
    elif kind == "ramp":
        trace += np.linspace(0, 30, 300)[:, None]
    else:
        trace[150] = 255.0
    assert np.isfinite(ESTIMATORS[name](trace, 30.0)).all()


@pytest.mark.parametrize("name", NAMES)
def test_shortest_and_too_short(name: str) -> None:
    fs = 25.0
    least = min_samples(fs)
    assert least == 80
    assert MIN_SECONDS == 3.2
    trace = skin_trace(waveform(75.0, fs, 10.0), fs, 2)
    assert np.isfinite(ESTIMATORS[name](trace[:least], fs)).all()
    with pytest.raises(ValueError, match="give 80 or more"):
        ESTIMATORS[name](trace[: least - 1], fs)


@pytest.mark.parametrize("name", NAMES)
def test_faulty_input_is_refused(name: str) -> None:
    estimator = ESTIMATORS[name]
    trace = skin_trace(waveform(75.0, 30.0, 10.0), 30.0, 2)
    gap = trace.copy()
    gap[7, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        estimator(gap, 30.0)
    with pytest.raises(ValueError, match="shape"):
        estimator(trace.T, 30.0)
    with pytest.raises(ValueError, match="mean is 0"):
        estimator(trace * [1.0, 1.0, 0.0], 30.0)
    with pytest.raises(ValueError, match="sample rate"):
        estimator(trace, 5.0)


def test_pos_matches_algorithm_1_written_out() -> None:
    """The paper's loop, step by step, against the vectorised form."""
    fs = 20.0
    trace = skin_trace(waveform(75.0, fs, 6.0), fs, 4)
    window = 32
    expected = np.zeros(trace.shape[0])
    for start in range(trace.shape[0] - window + 1):
        c = trace[start : start + window] / trace[start : start + window].mean(axis=0)
        s = np.array([[0, 1, -1], [-2, 1, 1]]) @ c.T
        h = s[0] + s[0].std() / s[1].std() * s[1]
        expected[start : start + window] += h - h.mean()
    expected /= window
    np.testing.assert_allclose(ESTIMATORS["POS"](trace, fs), expected - expected.mean(), atol=1e-12)


def test_chrom_is_overlap_add_of_hann_windows() -> None:
    """Where the balance is the same in every window, the windows must vanish: they sum to one."""
    fs = 30.0
    trace = SKIN * (1 + 0.004 * waveform(75.0, fs, 12.0)[:, None] * SIGNATURE)
    bvp = ESTIMATORS["CHROM"](trace, fs)
    reference = band_pass(waveform(75.0, fs, 12.0), fs)
    assert np.corrcoef(bvp, reference)[0, 1] > 0.999


def test_real_face_reads_53_bpm(shared_data: Path) -> None:
    clip = shared_data / "clips" / "evm_face.mp4"
    traces, times = [], []
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            small = frame.reformat(width=132, height=148, format="rgb24").to_ndarray()[7:106, 10:115]
            traces.append(mean_rgb(small, skin_mask(small)))
            times.append(frame.time)
    rgb = resample(np.array(traces), np.array(times), 30.0)
    rates = {name: heart_rate(estimator(rgb, 30.0), 30.0) for name, estimator in ESTIMATORS.items()}
    # Ten seconds resolve 6 bpm; PBV's fixed signature fits this camera's white balance least.
    assert all(abs(rate - 53.0) < (3.0 if name == "PBV" else 1.0) for name, rate in rates.items()), rates
