"""A stand-in for the relay's server: its HTTP and its messages, with a made picture and no filter."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import aioice.ice
import numpy as np
import numpy.typing as npt
import pytest
from aiohttp import WSMsgType, web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.contrib.media import MediaBlackhole
from av import VideoFrame

import streamfilter.relay
import streamfilter.web

T = TypeVar("T")
Picture = npt.NDArray[np.uint8]
_STATIC = Path(streamfilter.relay.__file__).parent / "static"
_SHARED = Path(streamfilter.web.__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "media-src 'self' blob: mediastream:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def token(room: str, role: str, expires: float | None = None) -> str:
    """A token as the pages read it; its signature is nobody's."""
    claims = {"room": room, "role": role, "exp": time.time() + 3600 if expires is None else expires}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{body}.c2ln"


class MovingPicture(VideoStreamTrack):
    """A picture that moves sideways until its server is ``frozen``: a gradient, where it is given none."""

    def __init__(self, server: PageServer, picture: Picture | None = None) -> None:
        super().__init__()
        ramp = np.arange(320)[None, :] * 0.5 + np.arange(180)[:, None] * 0.3
        self._picture = np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8) if picture is None else picture
        self._server = server

    async def recv(self) -> VideoFrame:
        while self._server.frozen:
            await asyncio.sleep(0.05)
        pts, base = await self.next_timestamp()
        shifted = np.roll(self._picture, pts // 3000 % 5, axis=1)
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(shifted), format="rgb24")
        frame.pts, frame.time_base = pts, Fraction(base)
        return frame


@dataclass
class Heard:
    """What the pages have sent: offers as (path with query, SDP), messages, deleted sessions."""

    offers: list[tuple[str, str]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


class PageServer:
    """Serves in its own thread. ``patient``: the patient's part of the next messages; ``refusal``: (status,
    title, Retry-After or None) for every offer while it is set."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.bpm: float | None = 70.0
        self.patient: dict[str, Any] | None = None
        self.live: dict[str, Any] = {
            "state": "live", "reason": None, "fps": 24.9, "latency_ms": 11.4, "size": [640, 360],
        }  # fmt: skip
        self.viewers = 1
        self.paused = False
        self.session = ""
        self.refusal: tuple[int, str, int | None] | None = None
        self.silent = False
        self.options: dict[str, str] = {}  # more headers of OPTIONS
        self.frozen = False
        self.picture: Picture | None = None
        self._peers: dict[str, RTCPeerConnection] = {}
        self._sockets: dict[web.WebSocketResponse, str] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None
        self.port = 0

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[PageServer]:
        """One that serves. Its media stays on this machine's loopback."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
            server = cls()
            server.start()
            try:
                yield server
            finally:
                server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def link(self, role: str, room: str = "room-1", share: bool = True) -> str:
        viewer = f"&v={token(room, 'viewer')}" if role == "patient" and share else ""
        return f"{self.url}/{role}#t={token(room, role)}{viewer}"

    def start(self) -> None:
        self._thread.start()
        self.call(self._start())

    def close(self) -> None:
        self.call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(15)

    def reset(self) -> None:
        """As at the start, between two tests."""
        self.call(self.end_sessions())
        self.heard, self.bpm, self.patient, self.viewers = Heard(), 70.0, None, 1
        self.paused = False
        self.refusal, self.silent, self.frozen = None, False, False

    async def end_sessions(self) -> None:
        """Closes every media session, as a relay that restarts does."""
        for peer in list(self._peers.values()):
            await peer.close()
        self._peers.clear()

    async def say(self, message: dict[str, Any]) -> None:
        for socket in list(self._sockets):
            await socket.send_json(message)

    async def close_sockets(self, code: int = 1001) -> None:
        for socket in list(self._sockets):
            await socket.close(code=code)

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/patient", self._page)
        app.router.add_get("/viewer", self._page)
        app.router.add_get("/static/{path:.+}", self._file)
        app.router.add_get("/rooms/{room}/events", self._events)
        for kind in ("whip", "whep"):
            app.router.add_route("OPTIONS", f"/{kind}/{{room}}", self._options)
            app.router.add_post(f"/{kind}/{{room}}", self._offer)
            app.router.add_delete(f"/{kind}/{{room}}/{{session}}", self._delete)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        await self.end_sessions()
        await self.close_sockets()
        if self._runner:
            await self._runner.cleanup()

    async def _page(self, request: web.Request) -> web.StreamResponse:
        response = web.FileResponse(_STATIC / f"{request.path[1:]}.html")
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Permissions-Policy"] = "camera=(self), microphone=(self), fullscreen=(self)"
        return response

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        file = _SHARED / path.removeprefix("shared/") if path.startswith("shared/") else _STATIC / path
        return web.FileResponse(file) if file.is_file() else web.Response(status=404)

    async def _options(self, request: web.Request) -> web.Response:
        return web.Response(status=204, headers={"Accept-Post": "application/sdp"} | self.options)

    async def _offer(self, request: web.Request) -> web.Response:
        self.heard.offers.append((request.path_qs, await request.text()))
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            return web.json_response({"title": "no token", "status": 401}, status=401)
        if self.refusal:
            status, title, wait = self.refusal
            headers = {} if wait is None else {"Retry-After": str(wait)}
            body = {"title": title, "status": status}
            return web.json_response(
                body, status=status, headers=headers, content_type="application/problem+json"
            )
        name = str(len(self.heard.offers))
        peer = self._peers[name] = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        await peer.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        if request.path.startswith("/whep"):
            peer.addTrack(MovingPicture(self, self.picture))
        else:
            sink = MediaBlackhole()
            for receiver in peer.getReceivers():
                sink.addTrack(receiver.track)
            await sink.start()
            self.patient, self.session = self.live, name
        await peer.setLocalDescription(await peer.createAnswer())
        return web.Response(
            status=201,
            text=peer.localDescription.sdp,
            content_type="application/sdp",
            headers={"Location": f"{request.path}/{name}"},
        )

    async def _delete(self, request: web.Request) -> web.Response:
        self.heard.deleted.append(request.path)
        peer = self._peers.pop(request.match_info["session"], None)
        if peer:
            await peer.close()
        return web.Response()

    async def _events(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        first = await socket.receive_json(timeout=5)
        role = _claims(first["token"])["role"]
        self._sockets[socket] = role
        talk = asyncio.create_task(self._talk(socket, role))
        try:
            async for message in socket:
                if message.type != WSMsgType.TEXT:
                    continue
                said = json.loads(message.data)
                self.heard.messages.append(said)
                if said["type"] == "edit":
                    self.bpm = said["bpm"]
                elif said["type"] == "pause" and self.patient:
                    self.paused = said["paused"]
        finally:
            talk.cancel()
            self._sockets.pop(socket, None)
        return socket

    async def _talk(self, socket: web.WebSocketResponse, role: str) -> None:
        while not socket.closed:
            if not self.silent:
                patient = self.patient and {**self.patient, "paused": self.paused}
                if patient and self.paused:
                    patient |= {"state": "shielded", "reason": "paused"}
                if patient and role == "patient":
                    patient["session"] = self.session
                await socket.send_json(
                    {
                        "type": "state",
                        "you": role,
                        "patient": patient,
                        "edit": {"bpm": self.bpm},
                        "edited": True,
                        "viewers": self.viewers,
                        "artifact": "tiny",
                        "draining": False,
                    }
                )
            await asyncio.sleep(0.1)


def _claims(text: str) -> dict[str, Any]:
    body = text.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def wait(condition: Callable[[], bool], what: str, patience: float = 15.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
