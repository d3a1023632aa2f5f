"""Janus' VideoRoom plugin: rooms, publishers, subscribers, and publishers passed on to another Janus.

The requests are those of its documentation, "VideoRoom plugin", and of "Remote publishers (SFU cascading)".
Ids are strings: its ``string_ids`` is on.
"""

from __future__ import annotations

import logging
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streamfilter.relay.cluster.janus import Answer, JanusError, JanusHandle, JanusSession, Json

PLUGIN = "janus.plugin.videoroom"
ROOM_EXISTS, NO_SUCH_ROOM, NO_SUCH_FEED = 427, 426, 428
_SRTP_SUITE = 80  # bits of the authentication tag: AES_CM_128_HMAC_SHA1_80 (RFC 4568, 6.2)
_SRTP_KEY = 30  # bytes of its master key and salt
_STREAM_KEYS = ("type", "mindex", "mid", "codec", "h264-profile", "vp9-profile", "fec", "dtx", "stereo")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lock:
    """What opens a VideoRoom: its ``secret`` to change it, its ``pin`` (with a signed token) to join it."""

    room: str
    secret: str = field(repr=False)
    pin: str = field(repr=False)


class Participant(NamedTuple):
    """Somebody in a room. ``remote``: passed on from another Janus."""

    id: str
    publishes: bool
    remote: bool


@dataclass(frozen=True, slots=True)
class Crypto:
    """Of the RTP between two Janus: a key that exists for one remote publisher only."""

    key: str = field(repr=False)

    @staticmethod
    def new() -> Crypto:
        return Crypto(b64encode(secrets.token_bytes(_SRTP_KEY)).decode())

    def fields(self) -> dict[str, Any]:
        return {"srtp_suite": _SRTP_SUITE, "srtp_crypto": self.key}


class Entrance(NamedTuple):
    """Where another Janus takes a remote publisher's packets: an address and two UDP ports."""

    host: str
    port: int
    rtcp_port: int


class RoomKeeper:
    """Whoever holds a room's secret: makes it, says who may publish in it, passes publishers on."""

    def __init__(self, handle: JanusHandle, lock: Lock) -> None:
        self.handle, self.lock = handle, lock

    @staticmethod
    async def attach(session: JanusSession, lock: Lock) -> RoomKeeper:
        return RoomKeeper(await session.attach(PLUGIN), lock)

    async def create(self, *, publishers: int, kbps: int, codecs: Sequence[str], private_ids: bool) -> None:
        """Makes the room, where it is not there yet: unlisted, opened by pin and signed token together, its
        publishers by :meth:`allow` only. ``private_ids``: who subscribes has to be a participant too."""
        body = {
            "room": self.lock.room,
            "description": "physio-relay",
            "pin": self.lock.pin,
            "is_private": True,
            "signed_tokens": True,
            "allowed": [],
            "require_pvtid": private_ids,
            "publishers": publishers,
            "bitrate": kbps * 1000,
            "bitrate_cap": True,
            "videocodec": ",".join(codec.lower() for codec in codecs),
            "audiocodec": "opus",
            "record": False,
            "lock_record": True,
        }
        if self.handle.session.server.admin_key is not None:
            body["admin_key"] = self.handle.session.server.admin_key
        try:
            await self._do("create", body)
        except JanusError as error:
            if error.code != ROOM_EXISTS:
                raise

    async def destroy(self) -> None:
        """Ends the room; everybody in it is put out. Raises JanusError (426) where there is none."""
        await self._do("destroy", {})

    async def allow(self, token: str) -> None:
        """Whoever brings this room token may join as a publisher from now on."""
        await self._do("allowed", {"action": "add", "allowed": [token]})

    async def forbid(self, token: str) -> None:
        """Takes :meth:`allow` back; who has joined stays."""
        await self._do("allowed", {"action": "remove", "allowed": [token]})

    async def participants(self) -> list[Participant]:
        answer = await self._do("listparticipants", {})
        return [
            Participant(str(one["id"]), bool(one.get("publisher")), bool(one.get("remote")))
            for one in answer.data.get("participants", [])
        ]

    async def remove(self, participant: Participant) -> None:
        """Puts a participant out, whether it is here or passed on from elsewhere."""
        request = "remove_remote_publisher" if participant.remote else "kick"
        await self._do(request, {"id": participant.id})

    async def add_remote_publisher(
        self, feed: str, streams: Sequence[Json], crypto: Crypto, address: str
    ) -> Entrance:
        """Awaits a publisher of another Janus as ``feed``, on ``address`` of this one's machine."""
        body = {"id": feed, "streams": list(streams), "iface": address, **crypto.fields()}
        data = (await self._do("add_remote_publisher", body)).data
        return Entrance(address, int(data["port"]), int(data.get("rtcp_port", 0)))

    async def publish_remotely(self, feed: str, remote: str, entrance: Entrance, crypto: Crypto) -> None:
        """Passes the local publisher ``feed`` on to another Janus' ``entrance``; ``remote`` names this."""
        body: dict[str, Any] = {
            "publisher_id": feed,
            "remote_id": remote,
            "host": entrance.host,
            "port": entrance.port,
            **crypto.fields(),
        }
        if entrance.rtcp_port:
            body["rtcp_port"] = entrance.rtcp_port
        if self.handle.session.server.admin_key is not None:
            body["admin_key"] = self.handle.session.server.admin_key
        await self._do("publish_remotely", body)

    async def unpublish_remotely(self, feed: str, remote: str) -> None:
        await self._do("unpublish_remotely", {"publisher_id": feed, "remote_id": remote})

    async def _do(self, request: str, body: Json) -> Answer:
        full = {"request": request, "room": self.lock.room, "secret": self.lock.secret, **body}
        return await self.handle.ask(full, event=False)


class RoomEvents(NamedTuple):
    """What a participant of a room is told."""

    came: Callable[[str], None]
    went: Callable[[str], None]
    put_out: Callable[[], None]


class Membership:
    """A participant that may publish: it is told of the others, and is one whether or not it publishes.

    ``feeds``: who publishes, in the order of their coming, and the mid of each of their kinds of stream.
    ``private_id``: what a subscription of its own takes where the room wants it.
    """

    def __init__(self, lock: Lock, feed: str) -> None:
        self.feed, self.private_id = feed, 0
        self.feeds: dict[str, Mapping[str, str]] = {}
        self.streams: list[Json] = []
        self.handle: JanusHandle
        self._lock = lock
        self._events: RoomEvents | None = None

    @staticmethod
    async def join(
        session: JanusSession, lock: Lock, token: str, feed: str, events: RoomEvents | None = None
    ) -> Membership:
        """Raises JanusError where pin or token do not open the room, or the token is not allowed."""
        made = Membership(lock, feed)
        made.handle = await session.attach(PLUGIN, made._take)
        made._events = events
        body = {
            "request": "join",
            "ptype": "publisher",
            "room": lock.room,
            "pin": lock.pin,
            "token": token,
            "id": feed,
        }
        data = (await made.handle.ask(body)).data
        made.private_id = int(data["private_id"])
        made.feeds.update((str(one["id"]), _mids(one)) for one in data.get("publishers", []))
        return made

    async def publish(self, offer: str, kbps: int) -> str:
        """The answer to the offer of a sender. Raises JanusError."""
        answer = await self.handle.ask({"request": "publish", "bitrate": kbps * 1000}, ("offer", offer))
        if answer.sdp is None:
            raise JanusError("Janus: no SDP came with the answer to a publisher")
        self.streams = [
            {key: stream[key] for key in _STREAM_KEYS if key in stream}
            for stream in answer.data.get("streams", [])
            if not stream.get("disabled")
        ]
        return answer.sdp

    async def configure(self, *, kbps: int | None = None, keyframe: bool = False) -> None:
        """Another bit rate, or a key frame asked of this publisher."""
        body: dict[str, Any] = {"request": "configure", "keyframe": keyframe}
        if kbps is not None:
            body["bitrate"] = kbps * 1000
        await self.handle.ask(body)

    async def unpublish(self) -> None:
        await self.handle.ask({"request": "unpublish"})

    async def leave(self) -> None:
        await self.handle.detach()

    def _take(self, answer: Answer) -> None:
        data, events = answer.data, self._events
        for publisher in data.get("publishers", []):
            feed = str(publisher["id"])
            self.feeds[feed] = _mids(publisher)
            if events is not None:
                events.came(feed)
        for key in ("unpublished", "leaving"):
            feed = str(data.get(key, ""))
            if feed in self.feeds:
                del self.feeds[feed]
                if events is not None:
                    events.went(feed)
        out = data.get("reason") == "kicked" and data.get("leaving") == "ok"
        if (out or data.get("videoroom") == "destroyed") and events is not None:
            events.put_out()


class Subscription:
    """One feed of a room on its way to one receiver."""

    def __init__(self, handle: JanusHandle) -> None:
        self.handle = handle
        self._kinds: dict[str, str] = {}  # of its streams, by mid

    @staticmethod
    async def begin(
        session: JanusSession, lock: Lock, token: str, feed: str, private_id: int | None = None
    ) -> tuple[Subscription, str]:
        """The subscription and Janus' offer, which :meth:`start` answers. Raises JanusError (428: no such
        feed)."""
        handle = await session.attach(PLUGIN)
        body: dict[str, Any] = {
            "request": "join",
            "ptype": "subscriber",
            "room": lock.room,
            "pin": lock.pin,
            "token": token,
            "autoupdate": False,
            "streams": [{"feed": feed}],
        }
        if private_id is not None:
            body["private_id"] = private_id
        answer = await handle.ask(body)
        if answer.sdp is None:
            raise JanusError("Janus: no SDP came for a subscriber")
        made = Subscription(handle)
        made._kinds = {str(one["mid"]): str(one["type"]) for one in answer.data.get("streams", [])}
        return made, answer.sdp

    async def start(self, answer: str) -> None:
        await self.handle.ask({"request": "start"}, ("answer", answer))

    async def switch(self, feed: str, mids: Mapping[str, str]) -> None:
        """The same connection shows another feed, from its next key frame on; ``mids``: as in
        :attr:`Membership.feeds`.

        Raises JanusError where that takes a new negotiation, as it does after the feed before has left.
        """
        streams = [
            {"feed": feed, "mid": mids[kind], "sub_mid": own}
            for own, kind in self._kinds.items()
            if kind in mids
        ]
        answer = await self.handle.ask({"request": "switch", "streams": streams})
        if answer.sdp is not None or answer.data.get("changes", 0) < len(self._kinds):
            raise JanusError("Janus: a subscription cannot be switched as it is: begin a new one")

    async def end(self) -> None:
        await self.handle.detach()


def _mids(publisher: Json) -> dict[str, str]:
    """The mid of each kind of stream that Janus says a publisher has."""
    streams = publisher.get("streams", [])
    return {str(one["type"]): str(one["mid"]) for one in streams if not one.get("disabled")}
