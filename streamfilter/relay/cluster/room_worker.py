"""One room on one worker: the patient's stream out of the raw VideoRoom, the filtered one into the made one.

From there it is passed on to the shown room of every Janus, the own one too: what is passed on stays when its
worker dies, so that viewers can be switched from the dead feed to the next without a new negotiation.
Whatever fails, all of it is torn down and made anew; what viewers get meanwhile is nothing, or a card.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from streamfilter.first_of import first_of
from streamfilter.relay.cluster.janus import JanusError, JanusServer, JanusSession, Json
from streamfilter.relay.cluster.keys import ClusterKeys, Side
from streamfilter.relay.cluster.orders import Order
from streamfilter.relay.cluster.patient_link import PatientLink
from streamfilter.relay.cluster.uplink import LAYOUTS, Uplink
from streamfilter.relay.cluster.videoroom import Crypto, Lock, Membership, RoomEvents, RoomKeeper
from streamfilter.relay.ports import Broadcast, Media, Refusal

AGAIN_AFTER = 0.5  # seconds, after a fault
JOIN_SECONDS = 120.0  # that a room token holds: it is used at once
RAW_SHARE = 2  # of the bit rate to viewers that the patient may send: the filter sees what it must edit
PASSED_WITHIN = 1.0  # seconds that a Janus is waited for
SWITCH_SECONDS = 0.5  # that a switch of viewers takes
KEY_FRAMES = (0.3, 0.7, 1.0, 2.0)  # seconds between those that follow, for viewers who were switched later
RETIRED_AFTER = 3.0  # seconds that a dead worker's feed stays, for switches that take longer
PUBLISHERS = 2  # at a time: whoever leaves and whoever takes over
_FEED = re.compile(r"\d{14}-\d-")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RoomSetup:
    """What all rooms of a worker have in common. ``januses``: by name, of this cluster."""

    worker: str
    januses: dict[str, JanusServer]
    keys: ClusterKeys
    kbps: int = 1500
    codecs: tuple[str, ...] = ("VP8",)


class Displaced(Exception):
    """Another worker has taken the room."""


class RoomWorker:
    """Serves one order until closed or displaced. ``since``: Unix ms; the later of two workers wins."""

    def __init__(self, setup: RoomSetup, media: Media, order: Order) -> None:
        self.order = order
        self.since = int(time.time() * 1000)
        self.displaced = False
        self._layout = 0
        self._setup, self._media = setup, media
        self._raw = setup.keys.lock(order.room, Side.RAW)
        self._made = setup.keys.lock(order.room, Side.MADE)
        self._shown = setup.keys.lock(order.room, Side.SHOWN)
        self._patient: PatientLink | None = None
        self._running = asyncio.get_running_loop().create_task(self._run())

    def set_order(self, order: Order) -> None:
        """The same room, with another edit."""
        self.order = order
        if self._patient is not None:
            self._patient.set_edit(order.edit)

    async def close(self) -> None:
        """Ends serving; the VideoRooms stay, for whoever comes next."""
        self._running.cancel()
        await asyncio.wait((self._running,))

    async def destroy(self) -> None:
        """Ends the room itself, everywhere."""
        await self.close()
        for server in self._setup.januses.values():
            try:
                async with JanusSession(server) as session:
                    for lock in (self._shown, self._made, self._raw):
                        await _gone(await RoomKeeper.attach(session, lock))
            except JanusError as error:
                _LOG.info("a room could not be ended at %s: %s", server.name, error)

    async def _run(self) -> None:
        while not self.displaced:
            broadcast = self._media.broadcast(self.order.room)
            try:
                await self._serve(broadcast)
            except Displaced:
                self.displaced = True
            except (JanusError, Refusal) as error:
                _LOG.warning("a room is begun anew: %s", error)
                await asyncio.sleep(AGAIN_AFTER)
            except Exception as error:  # noqa: BLE001  # whatever a part raises, the room is to go on
                _LOG.error("a room is begun anew after %s", type(error).__name__, exc_info=error)
                await asyncio.sleep(AGAIN_AFTER)
            finally:
                self._patient = None
                await broadcast.close()

    async def _serve(self, broadcast: Broadcast) -> None:
        server = self._setup.januses.get(self.order.home)
        if server is None:
            raise JanusError(f"there is no Janus named {self.order.home!r} here: name it in the settings")
        async with JanusSession(server) as session:
            keeper = await self._keeper(session, self._made)
            self._layout = await next_layout(await self._keeper(session, self._shown))
            out = asyncio.Event()
            uplink = Uplink(broadcast.viewer())
            made = await self._publish(session, keeper, uplink, out)
            raw = await self._keeper(session, self._raw)
            patient = self._patient = PatientLink(session, raw, self._setup, self._feed, broadcast)
            patient.set_edit(self.order.edit)
            duties: list[Coroutine[Any, Any, object]] = [
                patient.follow(),
                session.ended.wait(),
                made.handle.hung_up.wait(),
                out.wait(),
            ]
            passed = {name: asyncio.Event() for name in self._setup.januses}
            duties += [
                self._cascade(other, keeper, made.streams, passed[name])
                for name, other in self._setup.januses.items()
            ]
            duties.append(self._begin(uplink, made, [*passed.values()]))
            await first_of(*duties)
        if out.is_set():
            raise Displaced
        raise JanusError(f"the connection to {server.name} is gone")

    @property
    def _feed(self) -> str:
        """Feeds of a room in the order of their workers' beginning, as text."""
        return f"{self.since:014d}-{self._layout}-{self._setup.worker}"

    async def _publish(
        self, session: JanusSession, keeper: RoomKeeper, uplink: Uplink, out: asyncio.Event
    ) -> Membership:
        """Joins the made room, puts earlier workers out, and sends what the broadcast shows."""
        self.since = int(time.time() * 1000)  # a feed of its own, each time
        token = self._setup.keys.room_token(self._made, JOIN_SECONDS)
        await keeper.allow(token)
        events = RoomEvents(_ignore, _ignore, out.set)
        made = await Membership.join(session, self._made, token, self._feed, events)
        await keeper.forbid(token)
        await put_out_others(keeper, self._feed)
        await uplink.accept(await made.publish(await uplink.offer(self._layout), self._setup.kbps))
        return made

    async def _keeper(self, session: JanusSession, lock: Lock) -> RoomKeeper:
        """The keeper of one of the room's VideoRooms, which is there from now on."""
        keeper = await RoomKeeper.attach(session, lock)
        await keeper.create(
            publishers=PUBLISHERS,
            kbps=(RAW_SHARE if lock == self._raw else 1) * self._setup.kbps,
            codecs=self._setup.codecs,
            private_ids=lock != self._shown,
        )
        return keeper

    async def _begin(self, uplink: Uplink, made: Membership, passed: Sequence[asyncio.Event]) -> None:
        """Sends the first picture when every Janus that is there has the feed, and viewers are switched."""
        waiting = [asyncio.ensure_future(one.wait()) for one in passed]
        try:
            await asyncio.wait(waiting, timeout=PASSED_WITHIN)
        finally:
            for one in waiting:
                one.cancel()
        await asyncio.sleep(SWITCH_SECONDS)
        uplink.begin()
        for seconds in KEY_FRAMES:
            await asyncio.sleep(seconds)
            await made.configure(keyframe=True)
        await asyncio.get_running_loop().create_future()  # a duty for as long as the others

    async def _cascade(
        self, other: JanusServer, home: RoomKeeper, streams: Sequence[Json], passed: asyncio.Event
    ) -> None:
        """Passes the made stream on to a Janus, for as long as this one serves the room."""
        feed = self._feed
        while True:
            try:
                async with JanusSession(other) as session:
                    far = await self._keeper(session, self._shown)
                    await pass_on(home, far, feed, other, streams)
                    passed.set()
                    await asyncio.sleep(RETIRED_AFTER)
                    await put_out_others(far, feed)
                    await session.ended.wait()
            except JanusError as error:
                _LOG.warning("a room is not passed on to %s: %s", other.name, error)
            await asyncio.sleep(AGAIN_AFTER)
            try:
                await home.unpublish_remotely(feed, other.name)
            except JanusError as error:
                _LOG.debug("no more passed on to %s: %s", other.name, error)


async def pass_on(
    home: RoomKeeper, far: RoomKeeper, feed: str, other: JanusServer, streams: Sequence[Json]
) -> None:
    """The publisher ``feed`` of the made room is there in the shown room of ``other`` too, by SRTP."""
    crypto = Crypto.new()
    for one in await far.participants():
        if one.id == feed:
            await far.remove(one)
    entrance = await far.add_remote_publisher(feed, streams, crypto, other.media_address)
    await home.publish_remotely(feed, other.name, entrance, crypto)


async def put_out_others(keeper: RoomKeeper, feed: str) -> None:
    """Workers' feeds that began before ``feed`` leave the room."""
    for one in await keeper.participants():
        if one.publishes and one.id < feed:
            try:
                await keeper.remove(one)
            except JanusError as error:
                _LOG.debug("a feed had left: %s", error)


async def next_layout(shown: RoomKeeper) -> int:
    """Other places of the streams in the offer than those of the feeds in the shown room.

    Between two Janus a stream has the SSRC of its place, whoever's it is (before Janus 1.3). By an SSRC that
    changes, a Janus tells that a viewer has been switched, and goes on counting its packets and time; else it
    sends numbers that SRTP has seen, and nothing arrives until they are past. All feeds count, not the newest
    alone: its worker may have died before it sent anything.
    """
    feeds = sorted(one.id for one in await shown.participants() if one.publishes and _FEED.match(one.id))
    taken = [int(feed.split("-")[1]) for feed in feeds]
    newest = taken[-1] if taken else -1
    places = [(newest + step) % len(LAYOUTS) for step in range(1, len(LAYOUTS) + 1)]
    return next((one for one in places if one not in taken), places[0])


async def _gone(keeper: RoomKeeper) -> None:
    try:
        await keeper.destroy()
    except JanusError as error:
        _LOG.debug("no room to end: %s", error)


def _ignore(feed: str) -> None:
    return None
