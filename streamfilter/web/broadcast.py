"""One value made again and again for many readers, only while there are readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from typing import Generic, TypeVar

T = TypeVar("T")


class Broadcast(Generic[T]):
    """Calls ``make`` in ``pool`` every ``period`` seconds while somebody reads; hands on the newest value.

    There is no queue: a reader that was busy gets the newest value next and never those in between. ``make``
    returns None where there is nothing new. What it raises is raised in every reader. Belongs to one loop.
    """

    def __init__(self, make: Callable[[], T | None], pool: Executor, period: float) -> None:
        self._make, self._pool, self._period = make, pool, period
        self._readers = 0
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._value: T | None = None
        self._number = 0
        self._open = True

    @property
    def readers(self) -> int:
        return self._readers

    async def values(self) -> AsyncGenerator[T, None]:
        """The newest values, each once, until ``close``. Use with ``contextlib.aclosing``."""
        self._readers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(lambda _: self._tell())
        try:
            seen = 0
            while self._open:
                if self._value is not None and self._number > seen:
                    seen = self._number
                    yield self._value
                elif self._task is not None and self._task.done():
                    self._task.result()  # raises what ``make`` raised
                else:
                    await self._changed.wait()
        finally:
            self._readers -= 1
            if not self._readers and self._task is not None:
                self._task.cancel()
                self._task, self._value = None, None  # nobody gets an old picture later

    def close(self) -> None:
        """Ends every reader's values."""
        self._open = False
        self._tell()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._period
            value = await loop.run_in_executor(self._pool, self._make)
            if value is not None:
                self._value = value
                self._number += 1
                self._tell()
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
