"""Ctrl-C as a request to finish: the first one ends the run in order, the second at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Gives a function that turns true at the first SIGINT or SIGTERM; a second one raises KeyboardInterrupt.

    Handlers are put back at the end. Outside the main thread, where Python allows no handlers, the function
    stays false.
    """
    asked = threading.Event()

    def handle(number: int, stack: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = [(number, signal.signal(number, handle)) for number in _SIGNALS]
    try:
        yield asked.is_set
    finally:
        for number, handler in before:
            signal.signal(number, handler)
