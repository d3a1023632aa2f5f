"""The ring between camera and filter: it never blocks the camera, and the filter never works on old frames.

A queue would turn a slow filter into a growing delay. Here what is no longer fresh is passed over, counted
and gone; a filter that was late for a moment only makes up for it frame by frame.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

CAPACITY = 128


class Taken(NamedTuple, Generic[T]):
    """The item taken, and how many older ones were passed over since the last take."""

    item: T
    skipped: int


class FrameRing(Generic[T]):
    """Holds the last ``capacity`` items; putting into a full ring drops the oldest. Safe between threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        """``capacity`` at least 1."""
        if capacity < 1:
            raise ValueError(f"a ring holds at least one frame, not {capacity}")
        self._items: deque[T] = deque(maxlen=capacity)
        self._overwritten = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Add the newest item. After ``close`` it is thrown away."""
        with self._changed:
            if self._closed:
                return
            self._overwritten += len(self._items) == self._items.maxlen
            self._items.append(item)
            self._changed.notify_all()

    def take(self, timeout: float, fresh: Callable[[T], bool]) -> Taken[T] | None:
        """The oldest item that is ``fresh``, else the newest; what is older is dropped, the rest stays.

        None after ``timeout`` seconds without an item, or once closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout)
            if not self._items or self._closed:
                return None
            skipped, self._overwritten = self._overwritten, 0
            while len(self._items) > 1 and not fresh(self._items[0]):
                self._items.popleft()
                skipped += 1
            return Taken(self._items.popleft(), skipped)

    def clear(self) -> int:
        """Drop everything, and say how many that were."""
        with self._changed:
            dropped = len(self._items) + self._overwritten
            self._items.clear()
            self._overwritten = 0
            return dropped

    def close(self) -> None:
        """Wake every taker; from now on there is nothing to take."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return len(self._items)
