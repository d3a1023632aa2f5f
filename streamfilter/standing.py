"""A picture that comes twice: cameras that are slower than they promise deliver each frame again, bit for
bit, and so does a clip of a lower rate in a file of a higher one.

Written twice, with other thresholds each time (dither.py), such a frame gives the edit away: the samples that
differ are those whose share of a level lies between the two thresholds. So it is written once, and what was
written is shown again.
"""

from __future__ import annotations

import cv2

from streamfilter.frame import Frame, Plane

# Seconds: what stands for longer is a still picture, in which no pulse of its own is (the slowest takes more
# than one frame a second), and the wanted one is to be seen again.
LONGEST = 1.0
_ROWS = 8  # of luma that are compared first: two frames of a camera differ in each


class Standing:
    """Tells which frames of a stream show their picture again. Holds on to the last one's planes."""

    def __init__(self) -> None:
        self._first: Frame | None = None

    def again(self, frame: Frame) -> bool:
        """Whether ``frame`` is, plane by plane, the last one that was not, for at most ``LONGEST`` by now."""
        first = self._first
        if first is not None and _same(first, frame):
            return abs(frame.seconds - first.seconds) <= LONGEST
        self._first = frame
        return False


def _same(one: Frame, other: Frame) -> bool:
    if (one.y.shape, one.u.shape, one.color) != (other.y.shape, other.u.shape, other.color):
        return False
    every = max(1, one.height // _ROWS)
    return (
        _equal(one.y[every // 2 :: every], other.y[every // 2 :: every])
        and _equal(one.y, other.y)
        and _equal(one.u, other.u)
        and _equal(one.v, other.v)
    )


def _equal(one: Plane, other: Plane) -> bool:
    return cv2.norm(one, other, cv2.NORM_INF) == 0.0  # NumPy would make an array of the answers
