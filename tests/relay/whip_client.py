"""A publisher and a viewer that talk WHIP and WHEP over HTTP, as programs do, on aiortc."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aioice.ice
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from streamfilter.relay.media import AiortcMedia, MediaSettings
from streamfilter.relay.ports import Role
from tests.relay.media_peers import WITHIN, MarkFilter, Seen, new_peer, watch
from tests.relay.relay_bench import Bench, relay


@dataclass
class Call:
    """One connected client and where its session is."""

    peer: RTCPeerConnection
    token: str
    location: str
    seen: Seen = field(default_factory=Seen)
    watching: list[asyncio.Task[None]] = field(default_factory=list)

    async def close(self) -> None:
        await self.peer.close()
        for task in self.watching:
            task.cancel()
        if self.watching:
            await asyncio.wait(self.watching)


async def publish(bench: Bench, *tracks: MediaStreamTrack, token: str | None = None, query: str = "") -> Call:
    """By WHIP."""
    peer = new_peer()
    for track in tracks:
        peer.addTransceiver(track, direction="sendonly")
    return await _call(bench, peer, "/whip/ward" + query, token or bench.token())


async def view(bench: Bench, *kinds: str, token: str | None = None) -> Call:
    """By WHEP."""
    peer = new_peer()
    for kind in kinds:
        peer.addTransceiver(kind, direction="recvonly")
    call = await _call(bench, peer, "/whep/ward", token or bench.token(Role.VIEWER))
    for receiver in peer.getReceivers():
        call.watching.append(asyncio.create_task(watch(receiver.track, call.seen)))
    return call


async def _call(bench: Bench, peer: RTCPeerConnection, path: str, token: str) -> Call:
    await peer.setLocalDescription(await peer.createOffer())
    response = await bench.offer(path, token, peer.localDescription.sdp)
    answer = await response.text()
    assert response.status == 201, answer
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    return Call(peer, token, response.headers["Location"])


@asynccontextmanager
async def real_relay(
    folder: Path, make: Callable[[object], MarkFilter] | None = None
) -> AsyncIterator[Bench]:
    """A relay with aiortc's media on loopback; ``make`` None: the real filter."""
    all_addresses = aioice.ice.get_host_addresses
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    settings = MediaSettings(interfaces=("127.0.0.1",), cores=2)
    media = AiortcMedia(settings) if make is None else AiortcMedia(settings, make)
    try:
        async with relay(folder, media, max_sessions_per_address=100) as bench:
            yield bench
    finally:
        aioice.ice.get_host_addresses = all_addresses


async def until(true: Callable[[], object], seconds: float = WITHIN) -> None:
    """Waits until ``true``; fails after ``seconds``."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)
