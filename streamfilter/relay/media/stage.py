"""What a room's viewers see now: the newest frame that may leave, or a card. For the event loop's thread."""

from __future__ import annotations

import asyncio
import time

from streamfilter.live.guard import Cards, SafeFrame

CARD_SIZE = (640, 360)  # until a publisher's picture has told its own


class Stage:
    """Holds one safe frame. Whoever waits sees the newest; what was shown meanwhile is passed over."""

    def __init__(self, reason: str) -> None:
        self.version = 0
        self.shown: SafeFrame = Cards(*CARD_SIZE).make(reason, time.monotonic())
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what is shown, pixels."""
        return self.shown.frame.width, self.shown.frame.height

    def show(self, safe: SafeFrame) -> None:
        """From now on this."""
        if not isinstance(safe, SafeFrame):
            raise TypeError("a stage shows safe frames only")
        self.shown = safe
        self.version += 1
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def card(self, reason: str) -> None:
        """From now on a card of the present size."""
        self.show(Cards(*self.size).make(reason, time.monotonic()))

    async def after(self, seen: int, timeout: float) -> tuple[int, SafeFrame]:
        """The newest version and its frame: at once if it is not ``seen``, else within ``timeout`` s."""
        if self.version == seen:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await asyncio.wait((waiting,), timeout=timeout)
            finally:
                self._waiting.discard(waiting)
                waiting.cancel()
        return self.version, self.shown
