"""A worker: tells the fronts that it lives, and serves the rooms that they give it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import aiohttp

from streamfilter.relay.cluster.front import SIGNATURE
from streamfilter.relay.cluster.orders import Beat, Instructions, Order, newest
from streamfilter.relay.cluster.room_worker import RoomSetup, RoomWorker
from streamfilter.relay.ports import Media

BEAT_SECONDS = 0.25
BEAT_WITHIN = 1.0  # seconds for a front to answer
TOMBSTONE_SECONDS = 60.0  # that a closed order is told of
_LOG = logging.getLogger(__name__)


class Worker:
    """``fronts``: URLs of all of them. ``most_rooms``: however idle this machine is."""

    def __init__(self, setup: RoomSetup, media: Media, fronts: Sequence[str], most_rooms: int = 64) -> None:
        self.rooms: dict[str, RoomWorker] = {}
        self._setup, self._media, self._most = setup, media, most_rooms
        self._fronts = tuple(fronts)
        self._orders: dict[str, Order] = {}
        self._sent = 0.0
        self._ending: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until it is cancelled, which ends all rooms."""
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(BEAT_WITHIN)) as http:
                await asyncio.gather(*(self._beat_on(http, front) for front in self._fronts))
        finally:
            rooms, self.rooms = self.rooms, {}
            await asyncio.gather(*(room.close() for room in rooms.values()), *self._ending)

    async def _beat_on(self, http: aiohttp.ClientSession, front: str) -> None:
        answered = True
        while True:
            try:
                self.obey(await self._beat(http, front))
                answered = True
            except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
                if answered:
                    _LOG.warning("a front does not answer: %s", type(error).__name__)
                answered = False
            await asyncio.sleep(BEAT_SECONDS)

    async def _beat(self, http: aiohttp.ClientSession, front: str) -> Instructions:
        keys = self._setup.keys
        body = self.beat().to_bytes()
        headers = {SIGNATURE: keys.signature("beat", body), "Content-Type": "application/json"}
        async with http.post(f"{front}/beat", data=body, headers=headers) as response:
            answer = await response.read()
            if response.status != 200:
                raise ValueError(f"the front says {response.status}")
            if not keys.signed(response.headers.get(SIGNATURE, ""), "instructions", body, answer):
                raise ValueError("the front's answer is not signed")
        return Instructions.from_bytes(answer)

    def beat(self) -> Beat:
        """What this worker says of itself now."""
        self._sent = max(time.time(), self._sent + 1e-6)
        self._tidy()
        return Beat(
            self._setup.worker,
            self._sent,
            self._capacity(),
            {name: room.since for name, room in self.rooms.items()},
            tuple(self._orders.values()),
        )

    def obey(self, instructions: Instructions) -> None:
        """Begins, changes and ends rooms."""
        self._orders = newest(self._orders, instructions.take)
        for order in instructions.take:
            known = self._orders[order.room]
            room = self.rooms.get(order.room)
            if known.closed:
                continue
            if room is None:
                self.rooms[order.room] = RoomWorker(self._setup, self._media, known)
            elif room.order != known:
                room.set_order(known)
        for name in instructions.leave:
            self._end(name)

    def _end(self, name: str) -> None:
        room = self.rooms.pop(name, None)
        if room is None:
            return
        closed = name not in self._orders or self._orders[name].closed
        task = asyncio.get_running_loop().create_task(room.destroy() if closed else room.close())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _capacity(self) -> int:
        """Rooms in all that this machine serves in real time, by what its media say of their share."""
        share = self._media.load().get("share", 0.0)
        count = len(self.rooms)
        if not count:
            return self._most
        each = max(share / count, 1e-3)
        return min(self._most, max(int(1.0 / each), count if share <= 1.0 else count - 1))

    def _tidy(self) -> None:
        """Forgets rooms that another worker has taken, and orders that concern this one no more."""
        for name in [name for name, room in self.rooms.items() if room.displaced]:
            self._end(name)
            self._orders.pop(name, None)
        now = time.time() * 1000
        self._orders = {
            name: order
            for name, order in self._orders.items()
            if name in self.rooms or now - order.version < TOMBSTONE_SECONDS * 1000
        }
