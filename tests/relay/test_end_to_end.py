"""Over real HTTP and real WebRTC: a portrait is published by WHIP and seen, filtered, by WHEP."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from pathlib import Path

from streamfilter.relay.ports import MediaState, Role
from tests.relay.media_peers import Camera, MarkFilter, Microphone
from tests.relay.relay_bench import closing, run, state_where
from tests.relay.whip_client import publish, real_relay, until, view


def test_cards_then_the_edited_picture_then_cards_again(tmp_path: Path) -> None:
    made: list[MarkFilter] = []

    def make(wanted: object) -> MarkFilter:
        made.append(MarkFilter())
        return made[-1]

    async def body() -> None:
        async with real_relay(tmp_path, make) as bench:
            viewer = await view(bench, "video", "audio")
            await until(lambda: viewer.seen.last == "card")  # before anybody publishes
            patient_token = bench.token()
            patient = await publish(bench, Camera(), Microphone(), token=patient_token, query="?hr=88")
            pages = await bench.socket(bench.token(Role.VIEWER))
            await until(lambda: viewer.seen.last == "edited")
            await until(lambda: any(level > 1000 for _, level in viewer.seen.loud))
            state = await state_where(pages, viewers=1, edit={"bpm": 88.0})
            while state["patient"]["state"] != MediaState.LIVE:
                state = await state_where(pages)
            assert state["edited"] is True and state["patient"]["size"] == [320, 240]

            mine = await bench.socket(patient_token)
            await mine.send_json({"type": "edit", "bpm": 61})
            await until(lambda: (61.0, -1.0) in made[-1].targets)
            await state_where(pages, edit={"bpm": 61.0})
            await mine.send_json({"type": "pause", "paused": True})
            await until(lambda: viewer.seen.last == "card")
            await mine.send_json({"type": "pause", "paused": False})
            await until(lambda: viewer.seen.last == "edited")

            assert await bench.delete(patient.location, patient_token) == 200
            await until(lambda: viewer.seen.last == "card")
            await state_where(pages, patient=None)
            await until(lambda: patient.peer.connectionState == "closed")
            assert viewer.peer.connectionState == "connected"
            assert await bench.delete(viewer.location, viewer.token) == 200
            await until(lambda: viewer.peer.connectionState == "closed")
            assert "raw" not in viewer.seen.since(0.0)
            await asyncio.gather(patient.close(), viewer.close())

    run(body())


def test_a_new_offer_takes_over_and_the_viewer_stays(tmp_path: Path) -> None:
    async def body() -> None:
        async with real_relay(tmp_path, lambda wanted: MarkFilter()) as bench:
            viewer = await view(bench, "video")
            token = bench.token()
            first = await publish(bench, Camera(), token=token)
            await until(lambda: viewer.seen.last == "edited")
            begun = time.monotonic()
            second = await publish(bench, Camera(480, 360), token=token)
            await until(lambda: viewer.seen.sizes[-1] == (480, 360) and viewer.seen.last == "edited")
            assert "card" in viewer.seen.since(begun)  # the new one's filter settles behind a card
            assert "raw" not in viewer.seen.since(0.0)
            await until(lambda: first.peer.connectionState == "closed")
            assert await bench.delete(first.location, token) == 404
            assert bench.server.rooms.sessions == 2
            await asyncio.gather(*(call.close() for call in (first, second, viewer)))

    run(body())


def test_the_real_filter_goes_live(tmp_path: Path) -> None:
    async def body() -> None:
        async with real_relay(tmp_path) as bench:
            pages = await bench.socket(bench.token(Role.VIEWER))
            viewer = await view(bench, "video")
            patient = await publish(bench, Camera())
            async with asyncio.timeout(20.0):
                state = await state_where(pages)
                while state["patient"] is None or state["patient"]["state"] != MediaState.LIVE:
                    state = await state_where(pages)
            await until(lambda: viewer.seen.kinds)
            first = viewer.seen.kinds[0][1]
            # The mark lies beyond the face: a picture with it is one that the filter let through.
            await until(lambda: viewer.seen.last == "raw")
            assert first == "card" and state["patient"]["latency_ms"] > 0.0
            await asyncio.gather(patient.close(), viewer.close())

    run(body())


def test_stop_reaches_the_peers(tmp_path: Path) -> None:
    async def body() -> None:
        async with real_relay(tmp_path, lambda wanted: MarkFilter()) as bench:
            viewer, patient = await view(bench, "video"), await publish(bench, Camera())
            pages = await bench.socket(bench.token())
            await until(lambda: viewer.seen.last == "edited")
            begun = time.monotonic()
            stopping = asyncio.create_task(bench.server.stop())
            told, code = await closing(pages)
            assert told is not None and code == 1001
            await stopping
            assert time.monotonic() - begun < 5.0
            await until(lambda: {viewer.peer.connectionState, patient.peer.connectionState} == {"closed"})
            await asyncio.gather(patient.close(), viewer.close())

    run(body())


def test_twenty_connects_leave_nothing(tmp_path: Path) -> None:
    def descriptors() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    async def body() -> None:
        async with real_relay(tmp_path, lambda wanted: MarkFilter()) as bench:
            camera = Camera(160, 120)

            async def once(graceful: bool) -> None:
                patient, viewer = await publish(bench, camera), await view(bench, "video")
                await until(lambda: viewer.seen.kinds)
                if graceful:
                    for call in (patient, viewer):
                        assert await bench.delete(call.location, call.token) == 200
                await asyncio.gather(patient.close(), viewer.close())
                await until(lambda: bench.server.rooms.sessions == 0)

            async def counted() -> tuple[int, int, int]:
                await asyncio.sleep(0.3)
                gc.collect()
                return descriptors(), len(asyncio.all_tasks()), threading.active_count()

            await once(True)
            before = await counted()
            for index in range(10):
                await once(index % 2 == 0)
            after = await counted()
            assert after[0] <= before[0] and after[1] <= before[1] and after[2] <= before[2] + 1
            camera.stop()

    run(body())
