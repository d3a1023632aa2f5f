"""Which lines of the hot path ask for more than a little memory in every frame.

Python's own record of memory (tracemalloc) also knows NumPy's arrays, and those that OpenCV makes through
NumPy, but keeps only what is still there. So the peak is read and set back after every single instruction
of the interpreter: what one instruction took at once is seen, however soon it is freed. Far too slow for
anything but counting. Memory inside ONNX Runtime, OpenVINO or OpenCV is not seen.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

LIMIT = 64 * 1024  # bytes
_PACKAGE = str(Path(__file__).resolve().parent.parent)


@dataclass(frozen=True, slots=True)
class Place:
    """A line that took more than ``LIMIT``: how often a frame, and the most at once, in bytes."""

    where: str
    per_frame: float
    largest: int


def allocations(work: Callable[[int], object], frames: int, first: int = 0) -> list[Place]:
    """What ``work(index)`` allocates in ``frames`` calls, the most frequent and largest first.

    Not while another tracer (a debugger) has to go on: it is set aside meanwhile.
    """
    watcher = _Watcher()
    already = tracemalloc.is_tracing()
    before = sys.gettrace()
    if not already:
        tracemalloc.start(1)
    try:
        watcher.reset()
        sys.settrace(watcher.enter)
        for index in range(first, first + frames):
            work(index)
    finally:
        sys.settrace(before)
        if not already:
            tracemalloc.stop()
    return sorted(
        (Place(where, count / frames, watcher.largest[where]) for where, count in watcher.counts.items()),
        key=lambda place: (-place.per_frame, -place.largest),
    )


class _Watcher:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.largest: dict[str, int] = {}
        self._had = 0
        self._at: _Line | None = None

    def reset(self) -> None:
        tracemalloc.reset_peak()
        self._had = tracemalloc.get_traced_memory()[0]

    def enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        self._look(frame)
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._within

    def _within(self, frame: FrameType, event: str, arg: Any) -> Any:
        self._look(frame)
        return self._within

    def _look(self, frame: FrameType) -> None:
        """What was taken since the last look was taken by the instruction that was then about to run."""
        taken = tracemalloc.get_traced_memory()[1] - self._had
        if taken > LIMIT and self._at is not None:
            where = str(self._at)
            self.counts[where] += 1
            self.largest[where] = max(self.largest.get(where, 0), taken)
        self._at = _line(frame)
        self.reset()  # last, so that what this function took is nobody's


class _Line(NamedTuple):
    """A line of this package, and the foreign function that was called from it (None: its own code)."""

    file: str
    number: int
    inner: str | None

    def __str__(self) -> str:
        place = f"{Path(self.file).relative_to(Path(_PACKAGE).parent).as_posix()}:{self.number}"
        return place if self.inner is None else f"{place} ({self.inner})"


def _line(frame: FrameType) -> _Line | None:
    """Where the frame is, or from where in this package it was come to; None: from nowhere in it."""
    inner = None if frame.f_code.co_filename.startswith(_PACKAGE) else frame.f_code.co_name
    at: FrameType | None = frame
    while at is not None and not at.f_code.co_filename.startswith(_PACKAGE):
        at = at.f_back
    return None if at is None else _Line(at.f_code.co_filename, at.f_lineno or 0, inner)
