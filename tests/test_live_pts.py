"""Capture times: they rise and lie near now, whatever the driver says; restarts follow a pure schedule."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamfilter.live.backoff import Backoff
from streamfilter.live.pts import AHEAD, OLDEST, capture_time


@given(st.lists(st.tuples(st.floats(0.0, 0.2), st.floats(allow_nan=True)), max_size=40), st.floats(0, 1e6))
def test_times_rise_and_lie_near_now_for_any_claims(
    arrivals: list[tuple[float, float]], start: float
) -> None:
    now, previous = start, None
    for gap, claimed in arrivals:
        now += gap
        stamp = capture_time(claimed, now, previous)
        assert previous is None or stamp.seconds > previous
        assert now - OLDEST <= stamp.seconds <= now + AHEAD + 0.001 * (len(arrivals) + 1)
        previous = stamp.seconds


def test_a_drivers_own_times_are_kept() -> None:
    previous = None
    for index in range(100):
        arrived = 50 + index / 30 + (0.004 if index % 3 else 0.011)  # the jitter of arrival
        stamp = capture_time(50 + index / 30 - 0.02, arrived, previous)
        assert stamp.seconds == 50 + index / 30 - 0.02 and not stamp.replaced
        previous = stamp.seconds


def test_a_jump_of_the_drivers_clock_is_not_passed_on() -> None:
    previous = capture_time(99.98, 100.0, None).seconds
    for jumped in (1e9, 0.0, -5.0, 100.5, 99.0, float("nan"), previous):
        stamp = capture_time(jumped, 100.033, previous)
        assert stamp.replaced and stamp.seconds == 100.033


def test_attempts_come_soon_at_first_and_then_every_two_seconds() -> None:
    backoff, now, gaps = Backoff(), 0.0, []
    assert backoff.ready(now)
    for _ in range(7):
        backoff = backoff.failed(now)
        assert not backoff.ready(backoff.due - 1e-6) and backoff.ready(backoff.due)
        gaps.append(round(backoff.due - now, 6))
        now = backoff.due
    assert gaps == [0.1, 0.2, 0.5, 1.0, 2.0, 2.0, 2.0]


def test_health_brings_the_short_waits_back() -> None:
    backoff = Backoff()
    for _ in range(6):
        backoff = backoff.failed(backoff.due if backoff.failures else 0.0)
    soon = backoff.failed(backoff.due + 5.0)
    assert soon.due - soon.failed_at == 2.0
    later = backoff.failed(backoff.due + 10.5)
    assert round(later.due - later.failed_at, 6) == 0.1
