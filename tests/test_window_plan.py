"""The window's plan: each frame is settled in time, by weights that are a cross-fade."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.errors import UsageError
from streamfilter.window.plan import WindowPlan, default_hop

Weights = npt.NDArray[np.float64]


@st.composite
def courses(draw: st.DrawFn) -> tuple[WindowPlan, int]:
    """A plan and the number of frames of a clip."""
    window = draw(st.integers(2, 24))
    return WindowPlan(window, draw(st.integers(1, window))), draw(st.integers(1, 90))


def run(plan: WindowPlan, frames: int) -> tuple[Weights, list[int]]:
    """Weights (windows, frames) of a whole clip, and the step at which each window ran; the last one is the
    closing window, where there is one."""
    rows, ran = [], []

    def add(start: int, first: int, at: int) -> None:
        row = np.zeros(frames)
        reach = min(plan.window, frames - start)
        row[start : start + reach] = plan.weights(start, first)[:reach]
        rows.append(row)
        ran.append(at)

    for seen in range(1, frames + 1):
        start = plan.due(seen)
        if start is not None:
            add(start, start, seen - 1)
    closing = plan.closing(frames)
    if closing is not None:
        add(*closing, frames - 1)
    return np.stack(rows), ran


@given(courses())
def test_a_frame_leaves_after_the_last_window_that_touches_it(course: tuple[WindowPlan, int]) -> None:
    plan, frames = course
    weights, ran = run(plan, frames)
    for frame in range(frames):
        touched = [at for row, at in zip(weights, ran, strict=True) if row[frame] > 0]
        assert touched, "a frame that no window covers"
        assert max(touched) <= min(frame + plan.delay, frames - 1)


@given(courses())
def test_weights_are_a_cross_fade(course: tuple[WindowPlan, int]) -> None:
    plan, frames = course
    weights, _ = run(plan, frames)
    assert weights.min() >= 0.0
    shares = weights / weights.sum(axis=0)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    regular = max(0, frames - plan.window) // plan.hop * plan.hop
    if plan.overlap <= plan.hop:  # at most two windows at a place: the weights need no scaling
        inside = slice(plan.overlap, regular)
        np.testing.assert_allclose(weights.sum(axis=0)[inside], 1.0, atol=1e-6)
        whole = weights if plan.closing(frames) is None else weights[:-1]
        steps = np.abs(np.diff(whole, axis=1, prepend=0.0))[1:]  # of windows that follow another
        assert steps.max(initial=0.0) <= 1.0 / (plan.overlap + 1) + 1e-6
    if plan.overlap:
        # A window comes in softly: in its first frame that shares with an older one it has the smaller part.
        for row, older in zip(shares[1:], shares, strict=False):
            first = int(np.flatnonzero(row)[0])
            if older[first] > 0:
                assert row[first] <= 0.5 + 1e-6


def test_a_linear_cross_fade_in_numbers() -> None:
    weights, ran = run(WindowPlan(8, 5), 18)
    assert ran == [7, 12, 17]
    np.testing.assert_allclose(weights[0, 5:8], [0.75, 0.5, 0.25])
    np.testing.assert_allclose(weights[1, 5:8], [0.25, 0.5, 0.75])
    np.testing.assert_allclose(weights[1, 8:10], 1.0)


@pytest.mark.parametrize("hop", [0, -1, 9])
def test_a_hop_outside_the_window_is_refused(hop: int) -> None:
    with pytest.raises(UsageError, match="window_hop should be from 1 to 8"):
        WindowPlan(8, hop)


def test_the_usual_hop_leaves_a_quarter_to_overlap() -> None:
    assert (default_hop(128), default_hop(2), default_hop(3)) == (96, 2, 3)
