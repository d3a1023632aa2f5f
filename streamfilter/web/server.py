"""The page's web server, in a thread with an event loop of its own: whatever it does, the filter runs on."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from streamfilter.errors import UsageError
from streamfilter.web.access import Access
from streamfilter.web.control import Control
from streamfilter.web.handlers import Handlers

_HOST = "127.0.0.1"
_BODY_LIMIT = 1024  # bytes; no route takes a body
_SHUTDOWN_TIMEOUT = 0.2  # seconds until handlers that still run are cancelled
_JOIN_TIMEOUT = 1.0  # seconds


class WebServer:
    """Serves the page to browsers of this computer that have the link. Logs no frame and no heart rate."""

    def __init__(self, control: Control, port: int) -> None:
        """``port`` 0 takes a free one."""
        self._control, self._port = control, port
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def start(self) -> str:
        """Listens, and gives the link with this start's token. Raises UsageError where the port is taken."""
        try:
            listener = socket.create_server((_HOST, self._port))
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"the page cannot use port {self._port} ({error}). Choose another port, or 0 for a free one."
            ) from error
        port = int(listener.getsockname()[1])
        access = Access(port)
        running = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, access, running)), name="web", daemon=True
        )
        self._thread.start()
        running.wait()
        if self._stop is None:
            raise RuntimeError("the page's server did not start; the error before this one says why.")
        return f"http://{_HOST}:{port}/?token={access.token}"

    def close(self) -> None:
        """Ends the page within a second, with browsers still connected. Twice is once."""
        if self._thread is None or self._loop is None or self._stop is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_JOIN_TIMEOUT)
        self._thread = None

    async def _serve(self, listener: socket.socket, access: Access, running: threading.Event) -> None:
        stop = asyncio.Event()
        reading = ThreadPoolExecutor(2, "web-reading")
        commanding = ThreadPoolExecutor(1, "web-commanding")
        handlers = Handlers(self._control, reading, commanding)
        app = web.Application(middlewares=[access.check], client_max_size=_BODY_LIMIT)
        app.add_routes(handlers.routes())
        app.on_response_prepare.append(access.add_headers)
        app.on_shutdown.append(handlers.close)
        # A closed browser ends its handler at once, not at the next picture that may never come.
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT
        )
        try:
            await runner.setup()
            await web.SockSite(runner, listener).start()
            self._loop, self._stop = asyncio.get_running_loop(), stop
            running.set()
            await stop.wait()
        finally:
            running.set()
            await runner.cleanup()
            # Not awaited: a command that hangs must not hold the end up.
            reading.shutdown(wait=False, cancel_futures=True)
            commanding.shutdown(wait=False, cancel_futures=True)
