"""What is for whoever runs the relay, on a listener of its own, off the network: health, metrics, rooms."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from streamfilter.errors import UsageError
from streamfilter.relay.lifecycle import Lifecycle
from streamfilter.relay.links import room_links
from streamfilter.relay.ports import Media, Refusal
from streamfilter.relay.problems import Handler
from streamfilter.relay.prometheus import RelayMetrics
from streamfilter.relay.rooms import Rooms
from streamfilter.relay.security.tokens import Tokens

BODY_LIMIT = 4096  # bytes
_JSON = "application/json"
_ROOM_BYTES = 9  # of a made-up room name
_LONGEST_DRAIN = 24 * 3600.0  # seconds


class Admin:
    """``link_base``: what links start with, known once the public address is listened at. ``observe``: takes
    the metrics' figures now. ``token_seconds``: how long links hold."""

    def __init__(
        self,
        rooms: Rooms,
        media: Media,
        lifecycle: Lifecycle,
        tokens: Tokens,
        metrics: RelayMetrics,
        observe: Callable[[], None],
        link_base: Callable[[], str],
        token_seconds: float,
    ) -> None:
        self._rooms, self._media, self._lifecycle = rooms, media, lifecycle
        self._tokens, self._metrics, self._observe = tokens, metrics, observe
        self._link_base, self._token_seconds = link_base, token_seconds

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/healthz", health),
            web.get("/readyz", self.ready),
            web.get("/metrics", self.metrics),
            web.post("/drain", self.drain),
            web.post("/rooms", self.make_room),
        ]

    async def ready(self, request: web.Request) -> web.Response:
        """503 while draining; with what there is to do, for whoever shares the work out."""
        return readiness(
            self._lifecycle,
            {"rooms": len(self._rooms), "sessions": self._rooms.sessions, "load": dict(self._media.load())},
        )

    async def metrics(self, request: web.Request) -> web.Response:
        self._observe()
        return web.Response(body=self._metrics.render(), headers={"Content-Type": self._metrics.content_type})

    async def drain(self, request: web.Request) -> web.Response:
        """``{"within": seconds}``, or nothing: no new sessions, and after that the end of the others."""
        within = (await _object(request)).get("within")
        if within is not None and (
            isinstance(within, bool)
            or not isinstance(within, int | float)
            or not 0.0 <= within <= _LONGEST_DRAIN
        ):
            raise Refusal(400, f"within should be a number of seconds, up to {_LONGEST_DRAIN:g}")
        self._lifecycle.drain(within)
        return web.json_response({"draining": True, "sessions": self._rooms.sessions})

    async def make_room(self, request: web.Request) -> web.Response:
        """``{"room": name?}``: the two links of a room, which begins when one of them is first used."""
        name = (await _object(request)).get("room")
        if name is None:
            name = secrets.token_urlsafe(_ROOM_BYTES)
        try:
            links = room_links(self._link_base(), self._tokens, name, self._token_seconds)
        except UsageError as error:
            raise Refusal(400, str(error)) from error
        answer = {
            "room": name,
            "patient_link": links.patient,
            "viewer_link": links.viewer,
            "expires": round(time.time() + self._token_seconds),
        }
        return web.json_response(answer, status=201)


async def health(request: web.Request) -> web.Response:
    """That the loop runs."""
    return web.json_response({"status": "ok"})


def readiness(lifecycle: Lifecycle, facts: dict[str, Any]) -> web.Response:
    status = {"status": "draining" if lifecycle.draining else "ready"}
    return web.json_response(status | facts, status=503 if lifecycle.draining else 200)


@web.middleware
async def no_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page in a browser of this machine can reach this listener too, and may not."""
    if "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") != "none":
        raise Refusal(403, "This is for programs, not for pages.")
    return await handler(request)


async def _object(request: web.Request) -> dict[str, Any]:
    """The body's JSON object, an empty one for no body. Raises Refusal (400, 415)."""
    if not request.body_exists:
        return {}
    if request.content_type != _JSON:
        raise Refusal(415, f"The body should be {_JSON}.")
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is no JSON.") from None
    if not isinstance(body, dict):
        raise Refusal(400, "The body should be a JSON object.")
    return body
