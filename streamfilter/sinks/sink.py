"""The protocol of every sink."""

from __future__ import annotations

from typing import Protocol

from streamfilter.frame import Frame


class Sink(Protocol):
    """Takes frames in order. Exactly one of ``close``, ``finish_early`` and ``abort`` ends it."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how the output differs from the frames given."""
        ...

    def write(self, frame: Frame) -> None:
        """Takes one frame, later than the one before. Raises SinkError."""
        ...

    def close(self) -> None:
        """Finishes the output and moves it into place. Raises SinkError, and then leaves nothing."""
        ...

    def finish_early(self) -> None:
        """As ``close``, but the output ends with the last frame written (sound too)."""
        ...

    def abort(self) -> None:
        """Removes what was begun; what stood at the output's place before is untouched."""
        ...
