"""What the threads of the live filter tell each other: why nothing may leave now, and what starts anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple


class Hold(IntEnum):
    """Why no frame may leave; the first that stands is the one that is shown."""

    PAUSED = 0  # the user asked for it
    WAITING = 1  # nobody watches
    FAULT = 2  # a thread of this program failed
    OUTPUT = 3
    CAMERA = 4
    FILTER = 5


class Standing(NamedTuple):
    """A hold in force, and its reason in words."""

    hold: Hold
    reason: str


class Board:
    """Holds and the filter's generation. Safe between threads; ``wake`` is called after each change."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._holds: dict[Hold, str] = {}
        self._generation = 0

    def hold(self, hold: Hold, reason: str) -> None:
        """From now on no frame leaves, because of ``reason``."""
        with self._lock:
            if self._holds.get(hold) == reason:
                return
            self._holds[hold] = reason
        self._wake()

    def release(self, hold: Hold) -> None:
        """This is over."""
        with self._lock:
            if self._holds.pop(hold, None) is None:
                return
        self._wake()

    def standing(self) -> Standing | None:
        """The foremost hold, None where frames may leave."""
        with self._lock:
            if not self._holds:
                return None
            hold = min(self._holds)
            return Standing(hold, self._holds[hold])

    def is_held(self, hold: Hold) -> bool:
        """Whether this hold is in force."""
        with self._lock:
            return hold in self._holds

    @property
    def generation(self) -> int:
        """Counts the filter's lives: frames of another one are not for this one."""
        with self._lock:
            return self._generation

    def renew(self, reason: str) -> None:
        """The filter has to start anew; until it has, no frame leaves."""
        with self._lock:
            self._generation += 1
            self._holds[Hold.FILTER] = reason
        self._wake()

    def renewed(self, generation: int) -> None:
        """The filter of this generation is ready; of an older one, that is no news."""
        with self._lock:
            if generation != self._generation:
                return
            self._holds.pop(Hold.FILTER, None)
        self._wake()
