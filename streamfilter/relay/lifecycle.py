"""Draining and ending: peers are told, then sent home; nothing takes longer than it may."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable

from streamfilter.relay.ports import Refusal
from streamfilter.relay.rooms import Rooms
from streamfilter.relay.session import Goodbye

_POLL = 0.1  # seconds
_RECONNECT = 3.0  # seconds after which a told client may look for the relay, or another one, again
RESTARTING = Goodbye("The relay is being restarted.", _RECONNECT)
_LOG = logging.getLogger(__name__)


class Lifecycle:
    """Serving, then draining, then ended. ``deadline``: monotonic seconds at which the rooms are closed."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self.draining = False
        self._deadline: float | None = None
        self._closing: asyncio.Task[None] | None = None

    def check_open(self) -> None:
        """Raises Refusal (503) while no new sessions are taken."""
        if self.draining:
            raise Refusal(503, f"{RESTARTING.reason} Try again in a moment.", _RECONNECT)

    def drain(self, within: float | None = None) -> None:
        """No new sessions from now on. After ``within`` seconds (None: never) the others are told and closed.

        Asked again, the earlier moment counts.
        """
        self.draining = True
        self._rooms.tell()
        if within is None:
            return
        deadline = time.monotonic() + within
        if self._deadline is not None and self._deadline <= deadline:
            return
        self._deadline = deadline
        if self._closing is not None:
            self._closing.cancel()
        self._closing = asyncio.create_task(self._close_after(within))

    async def drained(self) -> None:
        """Returns when no session is left."""
        while self._rooms.sessions:
            await asyncio.sleep(_POLL)

    async def close(self) -> None:
        """Tells everybody and closes every room. Twice is once."""
        self.draining = True
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        await self._rooms.close(RESTARTING)

    async def _close_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._rooms.close_all(RESTARTING)


async def at_most(seconds: float, work: Awaitable[object], name: str) -> None:
    """Waits for ``work``, but no longer than ``seconds``; logs what went wrong, by name only."""
    task = asyncio.ensure_future(work)
    await asyncio.wait([task], timeout=seconds)  # unlike wait_for, not held up by a task that will not end
    if not task.done():
        task.cancel()
        _LOG.error("%s took longer than %g s and was left behind", name, seconds)
    elif not task.cancelled() and (error := task.exception()) is not None:
        _LOG.error("%s failed: %s", name, type(error).__name__)
