"""Where patients and viewers come in: HTTP with the relay's tokens outside, Janus inside.

A patient publishes by WHIP (RFC 9725), a viewer receives by WHEP (draft-ietf-wish-whep-03). A viewer whose
offer would not fit asks for one instead, as WHEP's first drafts had it: POST without a body answers 201 with
Janus' offer, and the viewer's answer comes back by PATCH on the Location. There is no trickling.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from streamfilter.relay.cluster.front_client import want
from streamfilter.relay.cluster.janus import JanusError, JanusHandle, JanusServer, JanusSession
from streamfilter.relay.cluster.keys import ClusterKeys, Side
from streamfilter.relay.cluster.shown_room import ShownRoom
from streamfilter.relay.cluster.subscriber_sdp import answer_both, clean_answer
from streamfilter.relay.cluster.videoroom import NO_SUCH_ROOM, Membership, RoomKeeper, Subscription
from streamfilter.relay.messages import parse_hr
from streamfilter.relay.ports import Refusal, Role
from streamfilter.relay.problems import Handler, Problems
from streamfilter.relay.security.sdp_limits import MAX_BYTES, check_offer
from streamfilter.relay.security.tokens import Grant, Tokens

SDP = "application/sdp"
ROOM_WITHIN = 3.0  # seconds for a worker to make a room that is new
TOKEN_SECONDS = 60.0
MOST_VIEWERS = 8  # of one room at one door
SWEEP = 1.0  # seconds
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Visit:
    """A connection: by which token, and its handle at Janus. ``viewing``: a viewer's, else a patient's.

    ``offer``: of Janus, as long as it awaits an answer, until ``due`` (s).
    """

    grant: Grant
    handle: JanusHandle
    viewing: tuple[ShownRoom, Subscription] | None = None
    offer: str | None = None
    due: float = 0.0

    @property
    def over(self) -> bool:
        gone = self.handle.hung_up.is_set() or self.handle.session.ended.is_set()
        return gone or (self.offer is not None and time.monotonic() > self.due)


class Door:
    """``own``: name of the Janus that its viewers are at; patients are taken to their room's home.
    ``answer_within``: seconds that a viewer may take to answer an offer."""

    def __init__(
        self,
        januses: Mapping[str, JanusServer],
        own: str,
        keys: ClusterKeys,
        tokens: Tokens,
        fronts: Sequence[str],
        kbps: int = 1500,
        answer_within: float = 15.0,
    ) -> None:
        self._answer_within = answer_within
        self._januses, self._own = dict(januses), own
        self._keys, self._tokens, self._fronts, self._kbps = keys, tokens, tuple(fronts), kbps
        self._sessions: dict[str, JanusSession] = {}
        self._rooms: dict[str, ShownRoom] = {}
        self._visits: dict[str, _Visit] = {}
        self._entering = asyncio.Lock()
        self._runner: web.AppRunner | None = None
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listens; the port."""
        problems = Problems(lambda refusal: None)
        app = web.Application(client_max_size=MAX_BYTES, middlewares=[problems.answer, _unavailable])
        app.add_routes(
            [
                web.post("/whip/{room}", self._publish),
                web.post("/whep/{room}", self._view),
                web.patch("/whep/{room}/{visit}", self._answer),
                web.post("/edit/{room}", self._edit),
                web.delete("/{side:whip|whep}/{room}/{visit}", self._leave),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Ends every connection that came in here."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
        for room in self._rooms.values():
            await room.close()
        await asyncio.gather(*(session.close() for session in self._sessions.values()))

    async def _publish(self, request: web.Request) -> web.Response:
        grant = self._grant(request, Role.PATIENT)
        offer = check_offer(await _sdp(request))
        given = await want(self._fronts, self._keys, grant.room, parse_hr(request.query.getall("hr", [])))
        lock = self._keys.lock(grant.room, Side.RAW)
        session = await self._session(given.home)
        keeper = await RoomKeeper.attach(session, lock)
        token = self._keys.room_token(lock, TOKEN_SECONDS)
        await _allow(keeper, token)
        visit = secrets.token_urlsafe(12)
        patient = await Membership.join(session, lock, token, f"patient-{visit}")
        await keeper.forbid(token)
        await keeper.handle.detach()
        answer = await patient.publish(offer, 2 * self._kbps)
        self._visits[visit] = _Visit(grant, patient.handle)
        return _created(f"/whip/{grant.room}/{visit}", answer)

    async def _view(self, request: web.Request) -> web.Response:
        grant = self._grant(request, Role.VIEWER)
        offer = check_offer(await _sdp(request)) if request.can_read_body else None
        room = await self._shown(grant.room)
        there = [one for one in self._visits.values() if one.viewing is not None and one.viewing[0] is room]
        if len(there) >= MOST_VIEWERS:
            raise Refusal(503, "this room has no place for one more viewer", 10.0)
        subscription, theirs = await room.view()
        due = time.monotonic() + self._answer_within
        visit = _Visit(grant, subscription.handle, (room, subscription), None if offer else theirs, due)
        told = theirs
        try:
            if offer is not None:
                told, answer = answer_both(offer, theirs)
                await subscription.start(answer)
        except (Refusal, JanusError):
            await _ended(visit)
            raise
        name = secrets.token_urlsafe(12)
        self._visits[name] = visit
        return _created(f"/whep/{grant.room}/{name}", told)

    async def _answer(self, request: web.Request) -> web.Response:
        visit = self._visit(request, Role.VIEWER)
        if visit.viewing is None or visit.offer is None:
            raise Refusal(409, "this session awaits no answer")
        answer = clean_answer(check_offer(await _sdp(request)), visit.offer)
        self._visits[request.match_info["visit"]] = replace(visit, offer=None)
        await visit.viewing[1].start(answer)
        return web.Response(status=204)

    async def _edit(self, request: web.Request) -> web.Response:
        grant = self._grant(request, Role.PATIENT)
        edit = parse_hr(request.query.getall("hr", []))
        if edit is None:
            raise Refusal(400, "say which heart rate: ?hr=70, or ?hr=hide")
        await want(self._fronts, self._keys, grant.room, edit)
        return web.Response(status=204)

    async def _leave(self, request: web.Request) -> web.Response:
        role = Role.PATIENT if request.match_info["side"] == "whip" else Role.VIEWER
        visit = self._visit(request, role)
        del self._visits[request.match_info["visit"]]
        await _ended(visit)
        return web.Response()

    def _grant(self, request: web.Request, role: Role) -> Grant:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Refusal(401, "a token is needed: ask for a link")
        grant = self._tokens.check(token.strip())
        if grant.role is not role or grant.room != request.match_info["room"]:
            raise Refusal(403, "this token is for another room or role")
        return grant

    def _visit(self, request: web.Request, role: Role) -> _Visit:
        grant = self._grant(request, role)
        visit = self._visits.get(request.match_info["visit"])
        if visit is None or visit.grant.room != grant.room or visit.grant.role is not role:
            raise Refusal(404, "there is no such session")
        if visit.grant.id != grant.id:
            raise Refusal(403, "this session was begun with another token")
        return visit

    async def _session(self, name: str) -> JanusSession:
        if name not in self._januses:
            raise Refusal(503, "the room's Janus is not known here")
        async with self._entering:
            known = self._sessions.get(name)
            if known is None or known.ended.is_set():
                if known is not None:
                    await known.close()
                known = self._sessions[name] = JanusSession(self._januses[name])
                await known.connect()
            return known

    async def _shown(self, room: str) -> ShownRoom:
        session = await self._session(self._own)
        async with self._entering:
            known = self._rooms.get(room)
            if known is None or known.over:
                known = ShownRoom(session, self._keys, room)
                await known.join()
                self._rooms[room] = known
            return known

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            for name, visit in list(self._visits.items()):
                if visit.over:
                    del self._visits[name]
                    await _ended(visit)


@web.middleware
async def _unavailable(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What Janus refuses is the cluster's fault, not the client's; why is for the log."""
    try:
        return await handler(request)
    except JanusError as error:
        _LOG.warning("%s", error)
        raise Refusal(503, "the room cannot be reached now", 2.0) from error


async def _allow(keeper: RoomKeeper, token: str) -> None:
    """Allows the token, once the worker has made the room. Raises JanusError."""
    deadline = time.monotonic() + ROOM_WITHIN
    while True:
        try:
            await keeper.allow(token)
            return
        except JanusError as error:
            if error.code != NO_SUCH_ROOM or time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)


async def _ended(visit: _Visit) -> None:
    try:
        if visit.viewing is not None:
            room, subscription = visit.viewing
            room.forget(subscription)
        if not visit.handle.session.ended.is_set():
            await visit.handle.detach()
    except JanusError as error:
        _LOG.debug("a connection was gone: %s", error)


async def _sdp(request: web.Request) -> bytes:
    if request.content_type != SDP:
        raise Refusal(415, f"the body should be {SDP}")
    return await request.read()


def _created(location: str, sdp: str) -> web.Response:
    headers = {"Location": location, "Cache-Control": "no-store"}
    return web.Response(status=201, body=sdp.encode(), content_type=SDP, headers=headers)
