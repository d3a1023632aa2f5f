"""The slot between filter and output: it holds the newest safe frame and nothing else."""

from __future__ import annotations

import threading

from streamfilter.live.guard import SafeFrame


class Outbox:
    """One frame at most; a newer one takes its place. Safe between threads."""

    def __init__(self) -> None:
        self._frame: SafeFrame | None = None
        self._stirred = False
        self._changed = threading.Condition()

    def put(self, frame: SafeFrame) -> bool:
        """Leave a frame to be shown; whether it replaced one that was not fetched. Raises TypeError."""
        if not isinstance(frame, SafeFrame):
            raise TypeError(f"only safe frames leave, this is a {type(frame).__name__}")
        with self._changed:
            replaced = self._frame is not None
            self._frame = frame
            self._changed.notify_all()
            return replaced

    def take(self) -> SafeFrame | None:
        """The frame, if there is one; the slot is empty after."""
        with self._changed:
            frame, self._frame = self._frame, None
            return frame

    def stir(self) -> None:
        """Wake who waits: something else than a frame is to be looked at."""
        with self._changed:
            self._stirred = True
            self._changed.notify_all()

    def wait(self, timeout: float) -> None:
        """Return once a frame is there, after ``stir``, or after ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._stirred, timeout)
            self._stirred = False
