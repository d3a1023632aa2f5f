"""What the sender's reports say of when its streams were captured."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamfilter.relay.media.capture_clock import MOST_SKEW, CaptureClock, skew


def stream(rate: int, first: int, way: float) -> CaptureClock:
    """10 s of 50 frames a second that arrive ``way`` seconds after capture, reported each second."""
    clock = CaptureClock(rate)
    for index in range(500):
        captured = 1000 + index / 50
        timestamp = (first + round(index * rate / 50)) % 2**32
        if index % 50 == 10:
            clock.report(round(captured * 2**32), timestamp)
        clock.arrived(timestamp, captured - 777 + way)
    return clock


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.floats(0, 0.1), st.floats(0, 0.1))
def test_the_skew_is_the_difference_of_the_two_ways(
    video_first: int, sound_first: int, video_way: float, sound_way: float
) -> None:
    apart = skew(stream(90_000, video_first, video_way), stream(48_000, sound_first, sound_way))
    assert abs(apart - (video_way - sound_way)) < 1e-3


def test_without_reports_or_beyond_belief_there_is_none() -> None:
    known = stream(90_000, 0, 0.01)
    assert skew(known, CaptureClock(48_000)) == skew(CaptureClock(90_000), known) == 0.0
    assert skew(known, stream(48_000, 0, 0.02 + MOST_SKEW)) == 0.0
