"""The meter: right where there is a pulse to read, silent where there is none."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.artifact import load_artifact
from streamfilter.capture import open_source
from streamfilter.config import FilterSettings
from streamfilter.engine import open_engine
from streamfilter.face.finder import FaceFinder
from streamfilter.face.track import TrackedFace
from streamfilter.face_filter import VideoFilter
from streamfilter.frame import Frame
from streamfilter.live.meter import LEAST_SECONDS, PLOT_POINTS, read_pulse
from streamfilter.live.status import Pulse
from streamfilter.live.traces import FaceTraces, Floats, Traces, skin_mean

SKIN = np.array([0.70, 0.47, 0.39])
BLOOD = np.array([0.33, 0.77, 0.53]) / 0.77
GREY = np.ones(3)
RED = np.array([1.0, 0.3, 0.2])
PURPLE = np.array([0.6, 0.1, 0.9])  # neither POS nor CHROM cancels it


def moments(rng: np.random.Generator, seconds: float, fps: float = 30.0, lost: float = 0.0) -> Floats:
    """Capture times of a camera that is up to a fifth of a frame early or late and loses some frames."""
    times = (np.arange(int(seconds * fps) + 1) + rng.uniform(-0.2, 0.2, int(seconds * fps) + 1)) / fps
    kept = rng.random(times.size) >= lost
    kept[[0, -1]] = True
    return np.asarray(5000.0 + times[kept])


def skin(
    rng: np.random.Generator,
    times: Floats,
    bpm: float,
    color: Floats = BLOOD,
    strength: float = 0.005,
    noise: float = 0.0007,
) -> Floats:
    """Skin under light that drifts, with something of ``bpm`` and ``color`` on it."""
    wave = strength * np.cos(2 * np.pi * bpm / 60 * times)
    light = 1.0 + 0.02 * np.sin(2 * np.pi * 0.07 * times)
    grain = 1.0 + noise * rng.standard_normal((times.size, 3))
    return np.asarray(SKIN * light[:, None] * (1.0 + wave[:, None] * color) * grain)


def both(trace: Floats, times: Floats, wanted: float | None = None) -> Pulse:
    return read_pulse(Traces(times, trace, trace), wanted)


@settings(max_examples=25, deadline=None)
@given(
    true=st.floats(45.0, 175.0),
    shown=st.floats(45.0, 175.0),
    fps=st.sampled_from([15.0, 25.0, 30.0, 60.0]),
    lost=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 99),
)
def test_true_and_shown_rate_are_read_from_their_own_traces(
    true: float, shown: float, fps: float, lost: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    times = moments(rng, 20.0, fps, lost)
    traces = Traces(times, skin(rng, times, true), skin(rng, times, shown))
    pulse = read_pulse(traces, 72.0)
    assert pulse.true == pytest.approx(true, abs=1.0)
    assert pulse.shown == pytest.approx(shown, abs=1.0)
    assert pulse.wanted == 72.0


@pytest.mark.parametrize("seed", range(12))
def test_noise_has_no_heart_rate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = moments(rng, 20.0)
    pulse = both(skin(rng, times, 70.0, strength=0.0), times)
    assert pulse.true is None and pulse.shown is None
    assert pulse.spectra is not None


@pytest.mark.parametrize("color", [GREY, RED, PURPLE], ids=["grey", "red", "purple"])
@pytest.mark.parametrize("bpm", [50.0, 90.0, 140.0])
def test_moving_light_is_no_true_pulse(color: Floats, bpm: float) -> None:
    rng = np.random.default_rng(int(bpm))
    times = moments(rng, 20.0)
    assert both(skin(rng, times, bpm, color, strength=0.01), times).true is None


def test_others_are_taken_to_read_any_colour() -> None:
    """An attacker's estimator asks for no blood: what it reads is what is told."""
    rng = np.random.default_rng(5)
    times = moments(rng, 20.0)
    pulse = both(skin(rng, times, 90.0, PURPLE, strength=0.01), times)
    assert pulse.true is None
    assert pulse.shown == pytest.approx(90.0, abs=1.0)


def test_a_pulse_is_read_beneath_grey_flicker() -> None:
    rng = np.random.default_rng(6)
    times = moments(rng, 20.0)
    flicker = 1.0 + 0.01 * np.cos(2 * np.pi * 100.0 / 60 * times)
    trace = skin(rng, times, 64.0) * flicker[:, None]
    assert both(trace, times).true == pytest.approx(64.0, abs=1.0)


def test_unreadable_traces_give_no_rate_and_no_error() -> None:
    rng = np.random.default_rng(7)
    times = moments(rng, 20.0)
    nothing = Pulse(wanted=80.0)
    short = times <= times[0] + LEAST_SECONDS - 0.1
    clear = skin(rng, times, 70.0)
    slow = slice(None, None, 4)
    assert both(np.empty((0, 3)), np.empty(0), 80.0) == nothing
    assert both(clear[:1], times[:1], 80.0) == nothing
    assert both(clear[short], times[short], 80.0) == nothing
    assert both(clear[slow], times[slow], 80.0) == nothing
    assert both(clear * 0.01, times, 80.0) == nothing
    assert both(np.zeros_like(clear), times, 80.0) == nothing
    assert both(np.where(clear > 0.5, np.nan, clear), times, 80.0) == nothing
    still = both(np.tile(SKIN, (times.size, 1)), times, None)
    assert still.true is None and still.shown is None and still.wanted is None


@pytest.mark.parametrize("seconds", [6.1, 10.0, 20.0])
def test_spectra_are_small_and_peak_at_the_rates(seconds: float) -> None:
    rng = np.random.default_rng(8)
    times = moments(rng, seconds)
    traces = Traces(times, skin(rng, times, 60.0), skin(rng, times, 100.0))
    spectra = read_pulse(traces, None).spectra
    assert spectra is not None
    assert spectra.seconds.shape == spectra.before.shape == spectra.after.shape
    assert spectra.bpm.shape == spectra.before_power.shape == spectra.after_power.shape
    assert max(spectra.seconds.size, spectra.bpm.size) <= PLOT_POINTS
    assert spectra.seconds[-1] == 0.0 and (np.diff(spectra.seconds) > 0).all()
    assert -spectra.seconds[0] == pytest.approx(seconds, abs=0.2)
    assert spectra.bpm[np.argmax(spectra.before_power)] == pytest.approx(60.0, abs=2.0)
    assert spectra.bpm[np.argmax(spectra.after_power)] == pytest.approx(100.0, abs=2.0)


class _Watched(FaceFinder):
    """Remembers what it found last."""

    seen: list[TrackedFace]

    def find(self, frame: Frame) -> list[TrackedFace]:
        self.seen = super().find(frame)
        return self.seen


def test_a_real_face_through_the_real_filter(shared_data: Path) -> None:
    """Independent estimators agree on 53 bpm for this clip."""
    clip = shared_data / "clips" / "evm_face.mp4"
    chosen = FilterSettings(target_bpm=90.0, hr_variability=0.0, seed=1)
    artifact, finder, traces = load_artifact(None), _Watched(), FaceTraces()
    video_filter = VideoFilter(chosen, artifact, open_engine(artifact, "auto", 1), finder)
    try:
        with open_source(clip) as source:
            for frame in islice(source.frames(), 0, 260, 2):  # as a camera of 15 fps
                out = video_filter.process(frame)
                if frame.seconds < 1.0:  # a live filter's output is behind the shield until it has settled
                    continue
                face = finder.seen[0]
                before, after = skin_mean(frame, face.box), skin_mean(out.frame, face.box)
                traces.add(face.id, frame.seconds, before, after)
    finally:
        video_filter.close()
    pulse = read_pulse(traces.read(), 90.0)
    assert pulse.true == pytest.approx(53.0, abs=3.0)
    assert pulse.shown == pytest.approx(90.0, abs=2.0)
