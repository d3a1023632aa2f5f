"""A relay on free ports of this machine, and what its tests do with it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import aiohttp

from streamfilter.relay.audit import AuditLog
from streamfilter.relay.ports import Media, Role
from streamfilter.relay.prometheus import RelayMetrics
from streamfilter.relay.security.rate_limits import RateLimits
from streamfilter.relay.security.tokens import Tokens
from streamfilter.relay.server import RelayServer
from streamfilter.relay.settings import RelaySettings
from tests.relay.fake_media import OFFER, FakeBroadcast, FakeMedia

SECRET = b"a secret for tests of 32 bytes!!"
ARTIFACT = "made-for-tests@sha256:00ff"
T = TypeVar("T")
Socket = aiohttp.ClientWebSocketResponse[Literal[True]]


class Clock:
    """Unix seconds, ``ahead`` of the true ones."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Bench:
    """One relay and a client. ``clock``: that of the tokens."""

    def __init__(
        self, server: RelayServer, tokens: Tokens, clock: Clock, client: aiohttp.ClientSession
    ) -> None:
        self.server, self.tokens, self.clock, self.client = server, tokens, clock, client
        self.url = f"http://127.0.0.1:{server.port}"
        self.admin = f"http://127.0.0.1:{server.admin_port}"
        self.audit: Path = Path()
        self.media = FakeMedia()

    def token(self, role: Role = Role.PATIENT, room: str = "ward", seconds: float = 60.0) -> str:
        return self.tokens.issue(room, role, seconds)

    def ward(self) -> FakeBroadcast:
        return self.media.broadcasts["ward"]

    async def offer(
        self, path: str = "/whip/ward", token: str | None = None, body: str | bytes = OFFER, **headers: str
    ) -> aiohttp.ClientResponse:
        sent = {"Content-Type": "application/sdp"} | {k.replace("_", "-"): v for k, v in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return await self.client.post(self.url + path, data=body, headers=sent)

    async def delete(self, location: str, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        async with self.client.delete(self.url + location, headers=headers) as response:
            return response.status

    async def socket(self, token: str | None, room: str = "ward", **more: Any) -> Socket:
        socket: Socket = await self.client.ws_connect(f"{self.url}/rooms/{room}/events", **more)
        if token is not None:
            await socket.send_json({"token": token})
        return socket

    def audited(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


async def state_where(socket: Socket, **wanted: Any) -> dict[str, Any]:
    """The next state with those entries."""
    async with asyncio.timeout(5.0):
        while True:
            message = await socket.receive_json()
            if all(message.get(key) == value for key, value in wanted.items()):
                return dict(message)


async def closing(socket: Socket) -> tuple[dict[str, Any] | None, int | None]:
    """The ``closing`` message, if there was one, and the code with which the socket was closed."""
    told = None
    async with asyncio.timeout(5.0):
        async for message in socket:
            received = message.json()
            if received["type"] == "closing":
                told = received
    return told, socket.close_code


async def problem_of(response: aiohttp.ClientResponse) -> tuple[int, str]:
    """Status and title, once the form is checked."""
    assert response.content_type == "application/problem+json"
    body = await response.json(content_type="application/problem+json")
    assert body["status"] == response.status and body["title"]
    return response.status, body["title"]


@asynccontextmanager
async def relay(
    folder: Path, media: Media | None = None, per_minute: int = 10_000, **settings: Any
) -> AsyncIterator[Bench]:
    """A running relay, stopped at the end; ``media`` None: a fake one."""
    fake = FakeMedia()
    chosen = replace(RelaySettings(secret=SECRET, port=0, admin_port=0), **settings)
    clock = Clock()
    tokens = Tokens(SECRET, clock)
    server = RelayServer(
        chosen,
        fake if media is None else media,
        tokens,
        RateLimits(per_minute),
        AuditLog(folder / "audit"),
        RelayMetrics(),
        ARTIFACT,
    )
    await server.start()
    try:
        async with aiohttp.ClientSession() as client:
            bench = Bench(server, tokens, clock, client)
            bench.audit, bench.media = folder / "audit", fake
            yield bench
    finally:
        await server.stop()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a test's body; fails where it leaves a task behind."""

    async def guarded() -> T:
        async with asyncio.timeout(30.0):
            result = await work
        await asyncio.sleep(0.05)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    return asyncio.run(guarded())
