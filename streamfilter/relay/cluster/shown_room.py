"""A room's viewers at one Janus: each keeps its connection while workers come and go."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping

from streamfilter.relay.cluster.janus import JanusError, JanusSession
from streamfilter.relay.cluster.keys import ClusterKeys, Side
from streamfilter.relay.cluster.videoroom import Membership, RoomEvents, RoomKeeper, Subscription
from streamfilter.relay.ports import Refusal

TOKEN_SECONDS = 120.0
_LOG = logging.getLogger(__name__)


class ShownRoom:
    """Stands for the viewers, who never speak with Janus themselves. Has the shown room's keys only."""

    def __init__(self, session: JanusSession, keys: ClusterKeys, room: str) -> None:
        self._session, self._keys = session, keys
        self._lock = keys.lock(room, Side.SHOWN)
        self._viewers: dict[Subscription, str] = {}
        self._member: Membership | None = None
        self._gone = asyncio.Event()
        self._switching: set[asyncio.Task[None]] = set()

    async def join(self) -> None:
        """Raises JanusError where no worker has made the room yet (426)."""
        token = self._token()
        keeper = await RoomKeeper.attach(self._session, self._lock)
        await keeper.allow(token)
        events = RoomEvents(self._came, lambda feed: None, self._gone.set)
        name = f"door-{secrets.token_hex(8)}"
        self._member = await Membership.join(self._session, self._lock, token, name, events)
        await keeper.forbid(token)

    @property
    def feed(self) -> str | None:
        """What is shown: the feed of the worker that began last."""
        return None if self._member is None else max(self._member.feeds, default=None)

    @property
    def over(self) -> bool:
        """Whether the room, or the session with its Janus, has ended."""
        return self._gone.is_set() or self._session.ended.is_set()

    async def feeds(self) -> list[str]:
        """What is published there now, as Janus says. Raises JanusError."""
        keeper = await RoomKeeper.attach(self._session, self._lock)
        found = [one.id for one in await keeper.participants() if one.publishes]
        await keeper.handle.detach()
        return found

    async def view(self) -> tuple[Subscription, str]:
        """One more viewer: its subscription, and an offer that :meth:`Subscription.start` answers. Raises
        Refusal (503) where no worker publishes at the moment, JanusError."""
        feed = self.feed
        if feed is None:
            raise Refusal(503, "the room's picture is on its way", 1.0)
        subscription, offer = await Subscription.begin(self._session, self._lock, self._token(), feed)
        self._viewers[subscription] = feed
        if self.feed not in (None, feed):
            self._came("")
        return subscription, offer

    def forget(self, subscription: Subscription) -> None:
        """This viewer has gone, or goes."""
        self._viewers.pop(subscription, None)

    async def close(self) -> None:
        for task in self._switching:
            task.cancel()

    def _came(self, _: str) -> None:
        feed = self.feed
        mids = {} if feed is None or self._member is None else self._member.feeds[feed]
        for subscription, shown in self._viewers.items():
            if feed is not None and shown != feed:
                self._viewers[subscription] = feed
                task = asyncio.get_running_loop().create_task(self._switch(subscription, feed, mids))
                self._switching.add(task)
                task.add_done_callback(self._switching.discard)

    async def _switch(self, subscription: Subscription, feed: str, mids: Mapping[str, str]) -> None:
        try:
            await subscription.switch(feed, mids)
        except JanusError as error:
            # Its client sees the connection end, and begins a new one.
            _LOG.warning("a viewer's connection is ended: %s", error)
            self._viewers.pop(subscription, None)
            if not self._session.ended.is_set():
                await subscription.end()

    def _token(self) -> str:
        return self._keys.room_token(self._lock, TOKEN_SECONDS)
