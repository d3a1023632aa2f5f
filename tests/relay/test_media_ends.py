"""A connection that ends early, or slowly, leaves nothing behind: no task, no socket."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from streamfilter.relay.media.peer import CLOSE_SECONDS
from streamfilter.relay.ports import Edit, Refusal
from tests.relay.media_peers import Camera, Microphone, Room, new_peer, relay, until


async def offer_of(room: Room) -> str:
    peer = new_peer()
    room.peers.append(peer)
    for track in (Camera(), Microphone()):
        peer.addTransceiver(track, direction="sendonly")
    await peer.setLocalDescription(await peer.createOffer())
    return str(peer.localDescription.sdp)


@pytest.mark.parametrize("turns", range(8))
def test_a_session_that_is_ended_while_it_is_negotiated_leaves_no_task(turns: int) -> None:
    async def run() -> None:
        faults: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(str(context)))
        async with relay() as room:
            offer = await offer_of(room)
            before = asyncio.all_tasks()
            patient = room.broadcast.publisher(Edit())
            negotiating = asyncio.ensure_future(patient.negotiate(offer))
            for _ in range(turns):
                await asyncio.sleep(0)
            await patient.close()
            with pytest.raises(Refusal):
                await negotiating
            await until(lambda: asyncio.all_tasks() <= before)
            gc.collect()
            assert not room.broadcast.patients
        assert faults == []

    asyncio.run(run())


def test_an_end_that_takes_long_is_not_waited_for_and_not_broken_off() -> None:
    async def run() -> None:
        faults: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(str(context)))
        async with relay() as room:
            offer = await offer_of(room)
            before = asyncio.all_tasks()
            patient = room.broadcast.publisher(Edit())
            await patient.negotiate(offer)
            connection: Any = patient._connection
            ice = connection.getTransceivers()[0].receiver.transport.transport
            stop, may_end = ice.stop, asyncio.Event()

            async def slowly() -> None:
                await may_end.wait()
                await stop()

            ice.stop = slowly
            async with asyncio.timeout(20 * CLOSE_SECONDS):
                await patient.close()
            assert not patient.end().done()
            may_end.set()
            await patient.end()
            await until(lambda: asyncio.all_tasks() <= before)
        assert faults == []

    asyncio.run(run())
