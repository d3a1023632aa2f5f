"""The relay's web server: rooms and pages for everybody with a link, a second listener for its operator."""

from __future__ import annotations

from aiohttp import web

from streamfilter.relay.admin import BODY_LIMIT, Admin, health, no_browsers, readiness
from streamfilter.relay.audit import AuditLog
from streamfilter.relay.events import Events
from streamfilter.relay.gate import Gate
from streamfilter.relay.lifecycle import Lifecycle, at_most
from streamfilter.relay.listening import Listening
from streamfilter.relay.pages import page_routes
from streamfilter.relay.ports import Media, Role
from streamfilter.relay.problems import Problems
from streamfilter.relay.prometheus import RelayMetrics
from streamfilter.relay.rooms import RoomLimits, Rooms
from streamfilter.relay.security.rate_limits import RateLimits
from streamfilter.relay.security.sdp_limits import MAX_BYTES
from streamfilter.relay.security.tls import server_context
from streamfilter.relay.security.tokens import Tokens
from streamfilter.relay.settings import RelaySettings
from streamfilter.relay.whip import Endpoint

# Shares of the 5 seconds that a shutdown may take.
_SESSIONS_SECONDS, _SOCKETS_SECONDS, _MEDIA_SECONDS, _HTTP_SECONDS = 1.6, 0.6, 1.0, 0.8


class RelayServer:
    """One relay in the running loop: ``await start()``, perhaps ``await drain()``, ``await stop()``."""

    def __init__(
        self,
        settings: RelaySettings,
        media: Media,
        tokens: Tokens,
        limits: RateLimits,
        audit: AuditLog,
        metrics: RelayMetrics,
        artifact: str,
    ) -> None:
        """``media`` is closed by :meth:`stop`. ``artifact``: as the audit names it."""
        self._settings, self._media, self._tokens, self._metrics = settings, media, tokens, metrics
        self.port, self.admin_port = settings.port, settings.admin_port
        self.rooms = Rooms(
            media,
            RoomLimits(
                max_rooms=settings.max_rooms,
                max_viewers_per_room=settings.max_viewers_per_room,
                max_sessions_per_address=settings.max_sessions_per_address,
            ),
            audit,
            artifact,
            leaving=self._observe,
        )
        self.lifecycle = Lifecycle(self.rooms)
        self._gate = Gate(settings, tokens, limits, self.lifecycle)
        self._events = Events(self.rooms, self._gate, self.lifecycle)
        self._public = Listening(self._public_app())
        self._admin = Listening(self._admin_app())

    async def start(self) -> None:
        """Listens. Raises UsageError where an address, a port or the certificate cannot be used."""
        settings = self._settings
        tls = None
        if settings.tls_cert is not None and settings.tls_key is not None:
            tls = server_context(settings.tls_cert, settings.tls_key)
        self.port = await self._public.start(settings.host, settings.port, tls)
        try:
            self.admin_port = await self._admin.start(settings.admin_host, settings.admin_port)
        except BaseException:
            await self._public.stop()
            raise
        self.rooms.start()

    async def drain(self, within: float) -> None:
        """Takes no new sessions; returns when the others have ended, after ``within`` seconds at the most."""
        self.lifecycle.drain(within)
        await self.lifecycle.drained()

    async def stop(self) -> None:
        """Tells the peers and ends everything, within 5 s. Twice is once."""
        self._public.refuse_more()
        self._observe()
        await at_most(_SESSIONS_SECONDS, self.lifecycle.close(), "closing the rooms")
        await at_most(_SOCKETS_SECONDS, self._events.finished(), "saying goodbye to the pages")
        await at_most(_MEDIA_SECONDS, self._media.close(), "closing the media")
        await at_most(_HTTP_SECONDS, self._public.stop(), "closing the web server")
        await at_most(_HTTP_SECONDS, self._admin.stop(), "closing the operator's web server")

    @property
    def link_base(self) -> str:
        """What links start with, with the port that is listened at."""
        settings = self._settings
        if settings.public_url is not None or settings.port == self.port:
            return settings.link_base
        return settings.link_base.removesuffix(f":{settings.port}") + f":{self.port}"

    def _public_app(self) -> web.Application:
        app = web.Application(middlewares=[Problems(self._metrics.refused).answer], client_max_size=MAX_BYTES)
        for role in Role:
            app.add_routes(Endpoint(role, self.rooms, self._gate).routes())
        app.add_routes(self._events.routes())
        app.add_routes(page_routes())
        app.add_routes([web.get("/healthz", health), web.get("/readyz", self._ready)])
        app.on_response_prepare.append(self._gate.headers.add)
        return app

    def _admin_app(self) -> web.Application:
        admin = Admin(
            self.rooms,
            self._media,
            self.lifecycle,
            self._tokens,
            self._metrics,
            self._observe,
            lambda: self.link_base,
            self._settings.token_seconds,
        )
        app = web.Application(
            middlewares=[Problems(self._metrics.refused).answer, no_browsers], client_max_size=BODY_LIMIT
        )
        app.add_routes(admin.routes())
        app.on_response_prepare.append(self._gate.headers.add)
        return app

    async def _ready(self, request: web.Request) -> web.Response:
        return readiness(self.lifecycle, {})

    def _observe(self) -> None:
        self._metrics.observe(
            self.rooms.facts(), self._media.load(), len(self.rooms), self.lifecycle.draining
        )
