"""Capture times that can be trusted: they rise, and lie close to now.

Drivers give a capture time that is better than the time of arrival, until a clock jumps, a driver restarts
its counter or a camera counts in another clock. The phase of the shown pulse follows capture time, so that
such a jump must not come through.
"""

from __future__ import annotations

from dataclasses import dataclass

OLDEST = 0.5  # seconds before arrival: more than any camera's exposure, transfer and decoding
AHEAD = 0.05  # seconds after arrival: rounding and clock drift
_LEAST_RISE = 1e-3  # seconds; frames of 1000 fps would still rise


@dataclass(frozen=True, slots=True)
class Stamp:
    """A capture time in seconds, and whether the camera's own was refused."""

    seconds: float
    replaced: bool


def capture_time(claimed: float, now: float, previous: float | None) -> Stamp:
    """The time to use for a frame that arrived at ``now`` and says it was captured at ``claimed``.

    ``previous`` is the time used for the frame before it (None: there is none). A claim that is not within
    [now - 0.5 s, now + 0.05 s], or does not rise, gives way to the time of arrival.
    """
    floor = float("-inf") if previous is None else previous + _LEAST_RISE
    if now - OLDEST <= claimed <= now + AHEAD and claimed >= floor:
        return Stamp(claimed, replaced=False)
    # The frame before may lie a little ahead of now.
    return Stamp(max(now, floor), replaced=True)
