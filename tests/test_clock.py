"""PulseClock: the mean rate is the target's, the phase never jumps, variability is bounded and optional."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.clock import ClockState, PulseClock


def phases(
    times: np.ndarray, bpm: float, depth: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, list[ClockState]]:
    clock = PulseClock(np.random.default_rng(seed), depth)
    state, found, states = clock.start(bpm), [], []
    for seconds in times:
        phase, state = clock.advance(state, float(seconds), bpm)
        found.append(phase)
        states.append(state)
    return np.unwrap(found), states


@settings(max_examples=20, deadline=None)
@given(bpm=st.floats(40, 180), seed=st.integers(0, 100), fps=st.sampled_from([15, 30, 60]))
def test_mean_rate_is_the_target(bpm: float, seed: int, fps: int) -> None:
    times = np.arange(30 * fps) / fps
    angle, _ = phases(times, bpm, seed=seed)
    slope = np.polyfit(times, angle, 1)[0] / (2 * math.pi) * 60
    assert abs(slope - bpm) < 0.6


def test_no_variability_is_a_metronome() -> None:
    times = np.arange(300) / 30
    angle, _ = phases(times, 72, depth=0.0)
    assert np.allclose(np.diff(angle), 2 * math.pi * 72 / 60 / 30, atol=1e-9)


def test_natural_variability_is_seen_in_the_beats() -> None:
    times = np.arange(60 * 120) / 120
    angle, _ = phases(times, 65)
    beats = np.interp(
        np.arange(np.ceil(angle[0] / 2 / math.pi), angle[-1] // (2 * math.pi)) * 2 * math.pi, angle, times
    )
    intervals = np.diff(beats) * 1000
    rmssd = float(np.sqrt(np.mean(np.diff(intervals) ** 2)))
    assert 8 < rmssd < 60
    assert intervals.std() < 60


def test_dropped_frames_do_not_shift_the_phase() -> None:
    times = np.arange(300) / 30
    whole, _ = phases(times, 80, depth=0.0)
    kept = np.r_[0:100, 115:300]
    dropped, _ = phases(times[kept], 80, depth=0.0)
    turns = (dropped[-1] - whole[-1]) / (2 * math.pi)
    assert abs(turns - round(turns)) < 1e-6


def test_a_change_of_target_glides() -> None:
    clock = PulseClock(np.random.default_rng(0), 0.0)
    state, last, steps = clock.start(60), None, []
    for index in range(300):
        phase, state = clock.advance(state, index / 30, 60 if index < 150 else 120)
        if last is not None:
            steps.append((phase - last) % (2 * math.pi))
        last = phase
    assert max(abs(np.diff(steps))) < 0.01
    assert state.bpm == pytest.approx(120, abs=1)


@pytest.mark.parametrize("jump", [-5.0, 0.0, 3600.0])
def test_a_jump_of_the_camera_clock_is_bounded(jump: float) -> None:
    clock = PulseClock(np.random.default_rng(0), 0.0)
    _, state = clock.advance(clock.start(60), 10.0, 60)
    before = state.beat
    _, state = clock.advance(state, 10.0 + jump, 60)
    assert 0 <= (state.beat - before) % (2 * math.pi) <= 2 * math.pi * 1.0001
