"""The patient's stream from the raw VideoRoom to the worker's filter: whoever published last."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from streamfilter.relay.cluster.janus import JanusError, JanusSession
from streamfilter.relay.cluster.videoroom import Membership, RoomEvents, RoomKeeper, Subscription
from streamfilter.relay.ports import Broadcast, Edit, PatientMedia, Refusal

if TYPE_CHECKING:
    from streamfilter.relay.cluster.room_worker import RoomSetup

AGAIN_AFTER = 0.3  # seconds
TOKEN_SECONDS = 24 * 3600.0  # of a listener's subscriptions
_LOG = logging.getLogger(__name__)


class PatientLink:
    """``name``: of the participant that listens, which is what the raw room asks of a subscriber."""

    def __init__(
        self, session: JanusSession, keeper: RoomKeeper, setup: RoomSetup, name: str, broadcast: Broadcast
    ) -> None:
        self._session, self._keeper, self._setup = session, keeper, setup
        self._name, self._broadcast = name, broadcast
        self._edit = Edit()
        self._changed = asyncio.Event()
        self._out = False
        self._feed: str | None = None
        self._media: PatientMedia | None = None
        self._subscription: Subscription | None = None

    def set_edit(self, edit: Edit) -> None:
        """Show another heart rate from now on."""
        self._edit = edit
        if self._media is not None:
            self._media.set_edit(edit)

    async def follow(self) -> None:
        """Runs until it is cancelled. Raises JanusError where the raw room cannot be joined, or is gone."""
        token = self._setup.keys.room_token(self._keeper.lock, TOKEN_SECONDS)
        await self._keeper.allow(token)
        events = RoomEvents(self._note, self._note, self._put_out)
        listener = await Membership.join(self._session, self._keeper.lock, token, self._name, events)
        await self._keeper.forbid(token)
        try:
            while not self._out:
                self._changed.clear()
                newest = next(reversed(listener.feeds), None)
                if newest != self._feed:
                    await self._end()
                if newest is not None and self._feed is None:
                    await self._begin(newest, listener, token)
                await self._changed.wait()
            raise JanusError("the raw room has been closed")
        finally:
            await self._end()

    def _note(self, feed: str) -> None:
        self._changed.set()

    def _put_out(self) -> None:
        self._out = True
        self._changed.set()

    async def _begin(self, feed: str, listener: Membership, token: str) -> None:
        try:
            subscription, offer = await Subscription.begin(
                self._session, self._keeper.lock, token, feed, listener.private_id
            )
            self._subscription, self._feed = subscription, feed
            media = self._media = self._broadcast.publisher(self._edit)
            answer = await media.negotiate(offer)
            media.on_end(self._ended)
            await subscription.start(answer)
        except (JanusError, Refusal) as error:
            _LOG.warning("the patient's stream cannot be taken: %s", error)
            await self._end()
            asyncio.get_running_loop().call_later(AGAIN_AFTER, self._changed.set)

    def _ended(self) -> None:
        """The connection is gone though nobody ended it: begun anew if the patient is still there."""
        self._feed = None
        asyncio.get_running_loop().call_later(AGAIN_AFTER, self._changed.set)

    async def _end(self) -> None:
        media, self._media = self._media, None
        subscription, self._subscription = self._subscription, None
        self._feed = None
        if media is not None:
            await media.close()
        if subscription is not None and not self._session.ended.is_set():
            try:
                await subscription.end()
            except JanusError as error:
                _LOG.debug("a subscription was gone: %s", error)
