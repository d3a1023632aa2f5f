"""WHIP (RFC 9725) for the patient and WHEP (draft-ietf-wish-whep-03) for viewers: one resource, two roles.

All candidates are in the answer; there is no trickling and no ICE restart, hence no ETag and 405 for PATCH.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from streamfilter.relay.gate import Gate
from streamfilter.relay.messages import parse_hr
from streamfilter.relay.ports import Refusal, Role
from streamfilter.relay.rooms import Rooms
from streamfilter.relay.security.sdp_limits import MAX_BYTES, check_offer

SDP = "application/sdp"
_ROOM = "{room:[A-Za-z0-9_-]{1,64}}"
_SESSION = "{session:[A-Za-z0-9_-]{1,64}}"
_BODY_SECONDS = 10.0  # in which a request's body must have come
_PREFIXES = {Role.PATIENT: "/whip", Role.VIEWER: "/whep"}


class Endpoint:
    """WHIP where ``role`` is the patient's, WHEP where it is a viewer's."""

    def __init__(self, role: Role, rooms: Rooms, gate: Gate) -> None:
        self._role, self._rooms, self._gate = role, rooms, gate
        self._prefix = _PREFIXES[role]

    def routes(self) -> list[web.RouteDef]:
        """Other methods get 405 from the router."""
        endpoint, session = f"{self._prefix}/{_ROOM}", f"{self._prefix}/{_ROOM}/{_SESSION}"
        return [
            web.post(endpoint, self.offer),
            web.options(endpoint, self.options),
            web.get(endpoint, _nothing),
            web.delete(session, self.delete),
            web.options(session, self.options),
            web.get(session, _nothing),
        ]

    async def offer(self, request: web.Request) -> web.Response:
        """201 with the SDP answer and the session's Location."""
        self._gate.admit(request, self._prefix)
        self._gate.check_open()
        grant = self._gate.grant(request, self._role)
        if request.content_type != SDP or "Content-Encoding" in request.headers:
            raise Refusal(415, f"The offer should be sent as {SDP}.")
        edit = parse_hr(request.query.getall("hr", [])) if self._role is Role.PATIENT else None
        offer = check_offer(await _body(request))
        self._gate.check_open()  # it may have closed while the body came
        address = self._gate.address(request)
        if self._role is Role.PATIENT:
            session, answer = await self._rooms.publish(grant, address, offer, edit)
        else:
            session, answer = await self._rooms.view(grant, address, offer)
        response = web.Response(status=201, body=answer.encode(), content_type=SDP)
        response.headers["Location"] = f"{self._prefix}/{grant.room}/{session}"
        for link in self._gate.ice_links(grant):
            response.headers.add("Link", link)
        return response

    async def delete(self, request: web.Request) -> web.Response:
        """Ends a session, at any time and during a drain too."""
        self._gate.admit(request, "delete")
        await self._rooms.end(self._gate.grant(request, self._role), request.match_info["session"])
        return web.Response()

    async def options(self, request: web.Request) -> web.Response:
        """What is taken here; with a good token also the ICE servers, which are needed before an offer."""
        self._gate.admit(request, "options")
        at_session = "session" in request.match_info
        response = web.Response(
            headers={"Accept-Post": SDP, "Allow": "DELETE, OPTIONS" if at_session else "OPTIONS, POST"}
        )
        if "Authorization" in request.headers:
            for link in self._gate.ice_links(self._gate.grant(request, self._role)):
                response.headers.add("Link", link)
        return response


async def _nothing(request: web.Request) -> web.Response:
    """RFC 9725, section 4.1: these resources have no representation; whoever asks learns nothing."""
    return web.Response(status=204)


async def _body(request: web.Request) -> bytes:
    """Raises Refusal: 413 for more than an offer may have, 408 where it takes too long."""
    if (request.content_length or 0) > MAX_BYTES:
        raise Refusal(413, f"the offer has more than {MAX_BYTES // 1024} KiB")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise Refusal(408, "The offer did not arrive in time.") from None
