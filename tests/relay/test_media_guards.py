"""Strangers' datagrams, huge pictures and lost packets do not end a session, nor show what is not edited."""

from __future__ import annotations

import asyncio
import random
import socket
from typing import Any

import pytest

from streamfilter.relay.media import MediaSettings
from streamfilter.relay.ports import MediaState
from tests.relay.media_peers import Camera, relay, until


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


def test_ten_thousand_foreign_datagrams_end_nothing() -> None:
    async def run() -> None:
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        async with relay() as room:
            seen, viewer, viewing = await room.view()
            publishing, patient = await room.publish(Camera())
            await until(lambda: seen.last == "edited")
            ports = {
                candidate.port
                for connection in (patient._connection, viewer._connection)
                if connection is not None
                for transceiver in connection.getTransceivers()
                for candidate in transceiver.receiver.transport.transport.iceGatherer.getLocalCandidates()
            }
            rng = random.Random(4)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for index in range(10_000):
                    kind = index % 4
                    data = b"" if kind == 0 else rng.randbytes(rng.randrange(1, 200))
                    if kind == 2:
                        data = bytes((rng.choice((20, 22, 23, 128, 144, 200)),)) + data
                    elif kind == 3:
                        data = stun_like(rng)
                    for port in ports:
                        stranger.sendto(data, ("127.0.0.1", port))
                    if index % 50 == 0:
                        await asyncio.sleep(0.002)
            count = len(seen.kinds)
            await until(lambda: len(seen.kinds) > count + 5)
            assert set(seen.since(seen.kinds[-3][0])) == {"edited"} and "raw" not in seen.since(0)
            assert patient.facts().state is viewer.facts().state is MediaState.LIVE
            assert patient.facts().dropped["empty datagram"] > 1000
            assert patient.facts().dropped["foreign datagram"] > 1000
            assert publishing.connectionState == viewing.connectionState == "connected"
        assert faults == []

    asyncio.run(run())


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_a_picture_that_is_too_large_is_dropped_before_it_is_decoded(codec: str) -> None:
    async def run() -> None:
        settings = MediaSettings(interfaces=("127.0.0.1",), cores=2, max_width=400, max_height=300)
        async with relay(settings=settings) as room:
            seen, _, _ = await room.view()
            camera = Camera(640, 360)
            _, patient = await room.publish(camera, codec=codec)
            await until(lambda: patient.facts().dropped.get("oversize picture", 0) >= 2)
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
            await asyncio.sleep(4.0)
            assert patient.facts().frames - before > 35  # of 60
            transport._send = send
            await until(lambda: patient.facts().state is MediaState.LIVE)
            assert "raw" not in seen.since(0)

    asyncio.run(run())
