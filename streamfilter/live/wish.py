"""The heart rate that is asked for, as it runs: changed from any thread, read by the filter at each frame."""

from __future__ import annotations

import threading

from streamfilter.live.target import Hidden, Shown, Target, shown


class Wish:
    """A target and the moment it was set; times in seconds of capture."""

    def __init__(self, target: Target) -> None:
        self._lock = threading.Lock()
        self._target = target
        self._since: float | None = None
        self._true: float | None = None
        self._shown: Shown | None = None

    def set(self, target: Target) -> None:
        """Ask for this from the next frame on; a course over time starts then."""
        with self._lock:
            self._target, self._since = target, None

    def saw(self, bpm: float | None) -> None:
        """The true heart rate as last read, None where it cannot be."""
        with self._lock:
            self._true = bpm

    def at(self, seconds: float) -> Shown:
        """What to show in the frame captured at ``seconds``."""
        with self._lock:
            if self._since is None:
                # Of another target's time only the moment is left: its clock started elsewhere.
                self._since = seconds
                if self._shown is not None:
                    self._shown = Shown(self._shown.bpm, self._shown.strength, 0.0, self._shown.reading)
            self._shown = shown(self._target, seconds - self._since, self._true, self._shown)
            return self._shown

    @property
    def bpm(self) -> float | None:
        """The rate that is shown now; None where the pulse is hidden, or before the first frame."""
        with self._lock:
            if self._shown is None or isinstance(self._target, Hidden):
                return None
            return self._shown.bpm

    def __str__(self) -> str:
        with self._lock:
            return str(self._target)
