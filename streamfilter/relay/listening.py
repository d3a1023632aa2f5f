"""Sockets that aiohttp serves, held against clients that connect and then say nothing, or too slowly."""

from __future__ import annotations

import asyncio
import ssl

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from streamfilter.errors import UsageError
from streamfilter.relay.problems import Handler

_HEAD_SECONDS = 10.0  # in which a connection's first request must have come
_KEEPALIVE = 15.0  # seconds in which the next one must have come
_TLS_SECONDS = 10.0
_MAX_CONNECTIONS = 1024
_SHUTDOWN_SECONDS = 0.3  # until handlers that still run are cancelled


class Listening:
    """One app at one address."""

    def __init__(self, app: web.Application, head_seconds: float = _HEAD_SECONDS) -> None:
        app.middlewares.insert(0, self._heard)
        self._runner = web.AppRunner(
            app,
            handler_cancellation=True,  # whoever goes away while an offer is answered leaves nothing behind
            access_log=None,
            shutdown_timeout=_SHUTDOWN_SECONDS,
            keepalive_timeout=_KEEPALIVE,
            auto_decompress=False,
        )
        self._head_seconds = head_seconds
        self._silent: set[RequestHandler] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listens; gives the port. Raises UsageError where the address cannot be had."""
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connect,
                host,
                port,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else _TLS_SECONDS,
            )
        except (OSError, OverflowError) as error:
            await self._runner.cleanup()
            cause = getattr(error, "strerror", None) or error
            raise UsageError(
                f"the relay cannot listen at {host}, port {port} ({cause}). "
                "Choose another address or port, or end what uses it."
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    def refuse_more(self) -> None:
        """Takes no more connections; those that there are go on."""
        if self._server is not None:
            self._server.close()

    async def stop(self) -> None:
        """Ends every connection. Twice is once."""
        self.refuse_more()
        await self._runner.cleanup()

    @web.middleware
    async def _heard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._silent.discard(request.protocol)
        return await handler(request)

    def _connect(self) -> RequestHandler:
        server = self._runner.server
        assert server is not None
        protocol = server()
        self._silent.add(protocol)
        loop = asyncio.get_running_loop()
        if len(server.connections) >= _MAX_CONNECTIONS:
            loop.call_soon(self._drop, protocol)
        else:
            loop.call_later(self._head_seconds, self._drop, protocol)
        return protocol

    def _drop(self, protocol: RequestHandler) -> None:
        if protocol in self._silent:
            self._silent.discard(protocol)
            if protocol.transport is not None:
                protocol.transport.abort()
