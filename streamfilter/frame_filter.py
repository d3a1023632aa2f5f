"""What a filter of frames is to those who run it, and what they check before they believe its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from streamfilter.frame import Frame

FILTER_FAILED = "the filter failed"
SETTLING = "settling"  # a new face is covered until its filter is sure
TOO_MANY = "more faces than max_faces"


class FilteredFrame(Protocol):
    """What the filter made of one frame: the picture, the faces in it, why it is shielded (None: not)."""

    @property
    def frame(self) -> Frame: ...

    @property
    def faces(self) -> int: ...

    @property
    def shielded(self) -> str | None: ...


class FrameFilter(Protocol):
    """Edits frames in order of time; owns the state of every face."""

    def process(self, frame: Frame) -> FilteredFrame: ...

    def set_target(self, bpm: float) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class DelayedFilter(Protocol):
    """Edits frames in order of time and gives each back ``delay`` frames after it came.

    Every frame comes back once, in order: by ``push`` of a later one, the last ones by ``finish``. An
    exception means that all frames still held are lost; the next one begins anew.
    """

    @property
    def delay(self) -> int: ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know once the run is over."""
        ...

    def push(self, frame: Frame) -> Sequence[FilteredFrame]: ...

    def finish(self) -> Sequence[FilteredFrame]: ...

    def set_target(self, bpm: float) -> None: ...

    def close(self) -> None: ...


class AtOnce:
    """A ``FrameFilter`` as a ``DelayedFilter`` without a delay."""

    delay = 0
    notes: tuple[str, ...] = ()

    def __init__(self, frame_filter: FrameFilter) -> None:
        self._filter = frame_filter

    def push(self, frame: Frame) -> Sequence[FilteredFrame]:
        return (self._filter.process(frame),)

    def finish(self) -> Sequence[FilteredFrame]:
        return ()

    def set_target(self, bpm: float) -> None:
        self._filter.set_target(bpm)

    def close(self) -> None:
        self._filter.close()


def check_result(result: FilteredFrame, frame: Frame) -> None:
    """Raise ValueError where ``result`` cannot be the edit of ``frame``: size, time, or faces unedited."""
    made = result.frame
    if (made.y.shape, made.u.shape, made.v.shape) != (frame.y.shape, frame.u.shape, frame.v.shape):
        raise ValueError(f"the filter changed the picture's size to {made.width}x{made.height}")
    if (made.pts, made.time_base) != (frame.pts, frame.time_base):
        raise ValueError("the filter changed the frame's time")
    if result.faces and made.y is frame.y and made.u is frame.u and made.v is frame.v:
        raise ValueError("the filter returned a frame with faces unedited")
