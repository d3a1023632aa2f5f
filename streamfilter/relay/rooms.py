"""The rooms of this process: made at their first valid token, freed when they have long been empty."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from streamfilter.relay.audit import AuditLog
from streamfilter.relay.ports import Edit, Media, MediaFacts, MediaState, Refusal, Role
from streamfilter.relay.room import Room
from streamfilter.relay.security.tokens import Grant
from streamfilter.relay.session import Goodbye

_RETRY = 10.0  # seconds after which a full relay may be asked again
_SWEEP = 1.0  # seconds
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """How many and how long.

    ``empty_seconds``: how long a room without anybody is kept. ``connect_seconds``: how long a session may
    take until its media arrives; then whoever asked for it is gone.
    """

    max_rooms: int = 64
    max_viewers_per_room: int = 4
    max_sessions_per_address: int = 8
    empty_seconds: float = 60.0
    connect_seconds: float = 30.0


class Rooms:
    """All rooms over one ``media``. Started by :meth:`start`, ended by :meth:`close`, in one loop."""

    def __init__(
        self,
        media: Media,
        limits: RoomLimits,
        audit: AuditLog,
        artifact: str,
        leaving: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``artifact``: as the audit names it. ``leaving`` is called before a session is forgotten, while
        its figures are still to be had. ``clock``: monotonic seconds."""
        self._media, self._limits, self._audit, self._artifact = media, limits, audit, artifact
        self._clock, self._leaving = clock, leaving
        self._rooms: dict[str, Room] = {}
        self._closed = False
        self._sweeping: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._rooms)

    def __iter__(self) -> Iterator[Room]:
        return iter(list(self._rooms.values()))

    @property
    def sessions(self) -> int:
        """How many connections there are in all rooms."""
        return sum(1 for room in self for _ in room.sessions())

    def facts(self) -> dict[str, tuple[Role, MediaFacts]]:
        """Every session's role and figures, by its id; for the metrics."""
        return {
            session.id: (session.grant.role, session.media.facts())
            for room in self
            for session in room.sessions()
        }

    def find(self, name: str) -> Room | None:
        return self._rooms.get(name)

    def room(self, grant: Grant) -> Room:
        """The grant's room, made where it is new. Raises Refusal (503) where there are too many."""
        if self._closed:
            raise Refusal(503, "The relay is ending.", _RETRY)
        room = self._rooms.get(grant.room)
        if room is None:
            if len(self._rooms) >= self._limits.max_rooms:
                raise Refusal(503, "The relay has no room to spare. Try again later.", _RETRY)
            room = Room(
                grant.room,
                self._media.broadcast(grant.room),
                self._audit,
                self._artifact,
                self._limits.max_viewers_per_room,
                self._leaving,
                self._clock(),
            )
            self._rooms[grant.room] = room
        return room

    async def publish(self, grant: Grant, address: str, offer: str, edit: Edit | None) -> tuple[str, str]:
        """A patient's session: its id and SDP answer. Raises Refusal; see :meth:`Room.publish`."""
        room = self.room(grant)
        with _refusals(room, grant, edit):
            self._count(address)
            return await room.publish(grant, address, self._clock(), offer, edit)

    async def view(self, grant: Grant, address: str, offer: str) -> tuple[str, str]:
        """A viewer's session: its id and SDP answer. Raises Refusal; see :meth:`Room.view`."""
        room = self.room(grant)
        with _refusals(room, grant, None):
            self._count(address)
            return await room.view(grant, address, self._clock(), offer)

    async def end(self, grant: Grant, session_id: str) -> None:
        """Ends a session of the grant's room and role.

        Raises Refusal: 404 where there is none of that id, 403 where another token began it.
        """
        room = self._rooms.get(grant.room)
        session = None if room is None else room.find(grant.role, session_id)
        if room is None or session is None:
            raise Refusal(404, "There is no such session.")
        if session.grant.id != grant.id:
            raise Refusal(403, "This session was begun with another token.")
        await room.end(session)

    def start(self) -> None:
        """Begins to look after the rooms, in the running loop."""
        self._sweeping = asyncio.create_task(self._sweep_on())

    async def sweep(self) -> None:
        """Ends sessions that never came to life, and frees rooms that have long been empty."""
        now = self._clock()
        for room in self:
            for session in list(room.sessions()):
                state = session.media.facts().state if session.answered else None
                late = state is MediaState.CONNECTING and now - session.begun > self._limits.connect_seconds
                if late or state is MediaState.ENDED:
                    await room.end(session)
            if not room.empty:
                room.empty_since = now
            elif now - room.empty_since >= self._limits.empty_seconds:
                del self._rooms[room.name]
                await room.close(Goodbye("This room is empty.", None))

    def dismiss(self, goodbye: Goodbye) -> None:
        """Tells every events socket goodbye."""
        for room in self:
            room.dismiss(goodbye)

    def tell(self) -> None:
        """Something is new for everybody."""
        for room in self:
            room.tell()

    async def close_all(self, goodbye: Goodbye) -> None:
        """Closes every room there is."""
        rooms = list(self)
        self._rooms.clear()
        await asyncio.gather(*(room.close(goodbye) for room in rooms))

    async def close(self, goodbye: Goodbye) -> None:
        """Closes every room and looks after them no more. Twice is once."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])
            self._sweeping = None
        await self.close_all(goodbye)

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001  # the next sweep must come, whatever this one met
                _LOG.error("a sweep of the rooms failed: %s", type(error).__name__)

    def _count(self, address: str) -> None:
        there = sum(session.address == address for room in self for session in room.sessions())
        if there >= self._limits.max_sessions_per_address:
            raise Refusal(429, "Too many sessions from this address. End one of them.", _RETRY)


@contextmanager
def _refusals(room: Room, grant: Grant, edit: Edit | None) -> Iterator[None]:
    try:
        yield
    except Refusal:
        room.record_refusal(grant, edit)
        raise
