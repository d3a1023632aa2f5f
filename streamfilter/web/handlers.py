"""The routes: the page's files, the live WebSocket and the two preview streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aiohttp import WSCloseCode, WSMsgType, web

from streamfilter.errors import PhysioCamError, UsageError
from streamfilter.first_of import first_of
from streamfilter.live.status import Spectra
from streamfilter.web.access import Handler
from streamfilter.web.broadcast import Broadcast
from streamfilter.web.control import Control
from streamfilter.web.jpeg import jpeg_of
from streamfilter.web.messages import (
    Command,
    cameras_message,
    parse_command,
    reply_message,
    status_message,
)

MAX_CLIENTS = 8
MAX_MESSAGE = 1024  # bytes of a command
_STATUS_PERIOD, _PREVIEW_PERIOD = 1 / 5, 1 / 12  # seconds
_CLOSE_TIMEOUT = 0.3  # seconds that a browser has for its goodbye
_HEARTBEAT = 15.0  # seconds
_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Message:
    """A status in two lengths: with the curves for whom they are new, and without."""

    spectra: Spectra | None
    long: str
    short: str


@dataclass(frozen=True, slots=True)
class _Pictures:
    """JPEG files of one moment."""

    before: bytes
    after: bytes


class Handlers:
    """Answers for one start, in one loop.

    ``reading`` makes statuses and pictures; ``commanding``, of one thread, obeys in order.
    """

    def __init__(self, control: Control, reading: Executor, commanding: Executor) -> None:
        self._control, self._commanding = control, commanding
        self._statuses = Broadcast(self._status, reading, _STATUS_PERIOD)
        self._pictures = Broadcast(self._encode, reading, _PREVIEW_PERIOD)
        self._sockets: set[web.WebSocketResponse] = set()
        self._streams = {"before": 0, "after": 0}

    def routes(self) -> list[web.RouteDef]:
        files = [path for path in _STATIC.rglob("*") if path.suffix in _TYPES]
        named = {f"/{path.relative_to(_STATIC).as_posix()}": path for path in files}
        named["/"] = named.pop("/index.html")
        return [
            *(web.get(name, _file(path)) for name, path in named.items()),
            web.get("/live", self.live),
            web.get("/preview/{side:before|after}", self.preview),
        ]

    async def close(self, app: web.Application) -> None:
        """Says goodbye to every browser and ends the streams."""
        self._statuses.close()
        self._pictures.close()
        sockets = list(self._sockets)
        await asyncio.gather(*(socket.close(code=WSCloseCode.GOING_AWAY) for socket in sockets))

    async def live(self, request: web.Request) -> web.StreamResponse:
        """The WebSocket: statuses out five times a second, commands in."""
        # One that says goodbye is nobody's page any more: a reloaded page takes its place at once.
        if sum(not socket.closed for socket in self._sockets) >= MAX_CLIENTS:
            return _too_many()
        socket = web.WebSocketResponse(
            max_msg_size=MAX_MESSAGE, heartbeat=_HEARTBEAT, compress=False, timeout=_CLOSE_TIMEOUT
        )
        self._sockets.add(socket)
        try:
            await socket.prepare(request)
            await first_of(self._tell(socket), self._listen(socket))
        except ConnectionResetError:
            pass  # the browser left in the middle of a message
        finally:
            self._sockets.discard(socket)
        await socket.close()
        return socket

    async def preview(self, request: web.Request) -> web.StreamResponse:
        """Motion JPEG: one part after the other replaces the picture."""
        side = request.match_info["side"]
        if self._streams[side] >= MAX_CLIENTS:
            return _too_many()
        response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
        self._streams[side] += 1
        try:
            await response.prepare(request)
            await response.write(b"--frame\r\n")
            async with aclosing(self._pictures.values()) as pictures:
                async for picture in pictures:
                    data = picture.before if side == "before" else picture.after
                    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                    # The boundary follows at once: browsers show a part when they see its end.
                    await response.write(head.encode() + data + b"\r\n--frame\r\n")
        except ConnectionResetError:
            pass  # the browser left
        finally:
            self._streams[side] -= 1
        return response

    async def _tell(self, socket: web.WebSocketResponse) -> None:
        await socket.send_str(await self._list_cameras())
        shown: Spectra | None = None
        async with aclosing(self._statuses.values()) as messages:
            async for message in messages:
                new = message.spectra is not shown
                shown = message.spectra
                await socket.send_str(message.long if new else message.short)

    async def _listen(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                for reply in await self._answer(message.data):
                    await socket.send_str(reply)
            else:
                await socket.send_str(reply_message(None, "the message is no text. Reload the page."))

    async def _answer(self, text: str) -> list[str]:
        try:
            command = parse_command(text)
        except UsageError as error:
            return [reply_message(None, str(error))]
        try:
            await self._in_order(lambda: self._obey(command))
        except PhysioCamError as error:
            return [reply_message(command.id, str(error))]
        cameras = [await self._list_cameras()] if command.action == "cameras" else []
        return [*cameras, reply_message(command.id)]

    def _obey(self, command: Command) -> None:
        match command:
            case Command("target", str(value)):
                self._control.set_target(value)
            case Command("pause", bool(value)):
                self._control.pause(value)
            case Command("camera", str(value)):
                if value not in self._control.cameras():
                    raise UsageError("that camera is not there any more. Choose another one.")
                self._control.choose_camera(value)

    async def _list_cameras(self) -> str:
        return await self._in_order(lambda: cameras_message(self._control.cameras()))

    async def _in_order(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._commanding, work)

    def _status(self) -> _Message:
        status = self._control.status()
        return _Message(status.pulse.spectra, status_message(status, True), status_message(status, False))

    def _encode(self) -> _Pictures | None:
        preview = self._control.preview()
        return None if preview is None else _Pictures(jpeg_of(preview.before), jpeg_of(preview.after))


def _file(path: Path) -> Handler:
    data, kind = path.read_bytes(), _TYPES[path.suffix]

    async def send(request: web.Request) -> web.Response:
        return web.Response(body=data, content_type=kind)

    return send


def _too_many() -> web.Response:
    return web.Response(status=503, text=f"{MAX_CLIENTS} pages are open already. Close one of them.\n")
