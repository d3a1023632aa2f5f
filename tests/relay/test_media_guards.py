"""Strangers' datagrams, huge pictures and lost packets do not end a session, nor show what is not edited."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from functools import partial
from typing import Any

import pytest

from streamfilter.relay.media import MediaSettings
from streamfilter.relay.media.patient import AiortcPatient
from streamfilter.relay.media.viewer import AiortcViewer
from streamfilter.relay.ports import MediaState
from tests.relay.media_peers import Camera, relay, until

WAVE = 48  # datagrams that are under way to a port at once, a multiple of four


def stun_like(rng: random.Random) -> bytes:
    """A binding request's header, right or nearly so, then noise."""
    body = rng.randbytes(4 * rng.randrange(8))
    length = rng.choice((len(body), rng.randrange(65536)))
    return (
        bytes((0, rng.choice((1, 17))))
        + length.to_bytes(2, "big")
        + b"\x21\x12\xa4\x42"
        + rng.randbytes(12)
        + body
    )


def foreign_datagram(rng: random.Random, index: int) -> bytes:
    """Empty, random, like DTLS or RTP, like STUN, in turn."""
    kind = index % 4
    data = b"" if kind == 0 else rng.randbytes(rng.randrange(1, 200))
    if kind == 2:
        return bytes((rng.choice((20, 22, 23, 128, 144, 200)),)) + data
    return stun_like(rng) if kind == 3 else data


def ports_of(media: AiortcPatient | AiortcViewer) -> set[int]:
    connection = media._connection
    assert connection is not None
    return {
        candidate.port
        for transceiver in connection.getTransceivers()
        for candidate in transceiver.receiver.transport.transport.iceGatherer.getLocalCandidates()
    }


def test_ten_thousand_foreign_datagrams_end_nothing() -> None:
    async def run() -> None:
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        async with relay() as room:
            seen, viewer, viewing = await room.view()
            publishing, patient = await room.publish(Camera())
            await until(lambda: seen.last == "edited")
            ends: list[tuple[AiortcPatient | AiortcViewer, set[int]]] = [
                (media, ports_of(media)) for media in (patient, viewer)
            ]
            rng = random.Random(4)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for index in range(10_000):
                    data = foreign_datagram(rng, index)
                    for _, ports in ends:
                        for port in ports:
                            stranger.sendto(data, ("127.0.0.1", port))
                    if index % WAVE == 0:  # an empty one; the kernel loses none of a wave
                        await until(partial(dropped, ends, index // 4 + 1))
            await until(partial(dropped, ends, 2500))
            assert all(media.facts().dropped["foreign datagram"] > 2500 * len(ports) for media, ports in ends)
            since = time.monotonic()
            await until(lambda: seen.since(since)[-5:] == ["edited"] * 5)
            assert "raw" not in seen.since(0)
            await until(lambda: patient.facts().state is viewer.facts().state is MediaState.LIVE)
            assert publishing.connectionState == viewing.connectionState == "connected"
        assert faults == []

    asyncio.run(run())


def dropped(ends: list[tuple[AiortcPatient | AiortcViewer, set[int]]], count: int) -> bool:
    """Whether so many empty datagrams have been dropped at each port."""
    return all(media.facts().dropped.get("empty datagram", 0) == count * len(ports) for media, ports in ends)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_a_picture_that_is_too_large_is_dropped_before_it_is_decoded(codec: str) -> None:
    async def run() -> None:
        settings = MediaSettings(interfaces=("127.0.0.1",), cores=2, max_width=400, max_height=300)
        async with relay(settings=settings) as room:
            seen, _, _ = await room.view()
            camera = Camera(640, 360)
            _, patient = await room.publish(camera, codec=codec)
            await until(lambda: patient.facts().dropped.get("oversize picture", 0) >= 2 and seen.last)
            assert patient.facts().size is None and set(seen.since(0)) == {"card"}
            camera.resize(320, 240)
            await until(lambda: seen.last == "edited")
            assert patient.facts().size == (320, 240)

    asyncio.run(run())


def test_lost_packets_are_asked_for_again_or_gone_without() -> None:
    async def run() -> None:
        async with relay() as room:
            seen, _, _ = await room.view()
            publishing, patient = await room.publish(Camera(640, 360))
            await until(lambda: seen.last == "edited")
            transport: Any = publishing.getSenders()[0].transport.transport
            send, rng = transport._send, random.Random(1)

            async def lossy(data: bytes) -> None:
                if rng.random() > 0.05:
                    await send(data)

            transport._send = lossy
            before = patient.facts().frames
            await until(lambda: patient.facts().frames - before > 35)
            transport._send = send
            await until(lambda: patient.facts().state is MediaState.LIVE)
            assert "raw" not in seen.since(0)

    asyncio.run(run())
