"""What is taken on, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from pathlib import Path

import pytest

from streamfilter.face_filter import FilteredFrame
from streamfilter.frame import Frame
from streamfilter.relay.media import AiortcMedia, MediaSettings
from streamfilter.relay.ports import Edit, Refusal
from tests.relay.media_peers import Camera, MarkFilter, Microphone, relay, until


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_the_one_too_many_is_refused_with_a_reason_and_a_time() -> None:
    async def run() -> None:
        media = AiortcMedia(MediaSettings(cores=2), lambda settings: MarkFilter())
        rooms = [media.broadcast(f"room {index}") for index in range(40)]
        taken = []
        with pytest.raises(Refusal) as refused:  # noqa: PT012
            for room in rooms:
                taken.append(room.publisher(Edit()))
        assert refused.value.status == 503 and refused.value.retry_after and "room" in refused.value.reason
        assert len(taken) >= 4 and media.load()["publishers"] == len(taken)
        assert 0.8 < media.load()["share"] <= 1.0
        # The same patient, come back before the old session is known to be gone, is not refused.
        await taken[0].close()
        assert media.load()["publishers"] == len(taken) - 1
        rooms[0].publisher(Edit())
        with pytest.raises(Refusal):  # noqa: PT012
            for _ in range(40):
                rooms[0].viewer()
        await media.close()

    asyncio.run(run())


def test_a_slow_filter_leaves_room_for_fewer() -> None:
    class Busy(MarkFilter):
        def process(self, frame: Frame) -> FilteredFrame:
            end = time.thread_time() + 0.03
            while time.thread_time() < end:
                pass
            return super().process(frame)

    async def run() -> None:
        media = AiortcMedia(MediaSettings(cores=2), lambda settings: Busy())
        await until(lambda: media._capacity.filter_cost > 0.025)
        rooms = [media.broadcast(str(index)) for index in range(9)]
        with pytest.raises(Refusal):  # noqa: PT012
            for room in rooms:
                room.publisher(Edit())
        assert media.load()["publishers"] == 2
        await media.close()

    asyncio.run(run())


def test_twenty_connects_and_closes_leave_nothing_behind() -> None:
    async def run() -> None:
        async with relay(lambda: MarkFilter(settle=0)) as room:

            async def once() -> None:
                seen, _, viewing = await room.view(audio=True)
                publishing, _ = await room.publish(Camera(160, 128), Microphone())
                await until(lambda: seen.last == "edited")
                start = time.monotonic()
                await publishing.close()
                await viewing.close()
                await until(lambda: not room.media.load()["publishers"] + room.media.load()["viewers"])
                assert time.monotonic() - start < 1.5
                room.peers.clear()

            await once()  # threads of the loop's own pool, and the like, come once
            await asyncio.sleep(0.1)
            gc.collect()
            before = (open_files(), len(asyncio.all_tasks()))
            for _ in range(19):
                await once()
            await asyncio.sleep(0.2)
            gc.collect()
            after = (open_files(), len(asyncio.all_tasks()))
            assert after == before
            assert all(one.closed for one in room.filters)

    before = set(threading.enumerate())
    asyncio.run(run())
    # A library's native thread that logs through Python shows as a dummy, whoever started it.
    ours = {one for one in threading.enumerate() if not isinstance(one, threading._DummyThread)}
    assert ours <= before


def test_closing_twice_is_once_and_ends_are_told_once() -> None:
    async def run() -> None:
        async with relay() as room:
            told: list[str] = []
            seen, viewer, _ = await room.view()
            _, patient = await room.publish(Camera())
            await until(lambda: seen.last == "edited")
            viewer.on_end(lambda: told.append("viewer"))
            patient.on_end(lambda: told.append("patient"))
            start = time.monotonic()
            await asyncio.gather(patient.close(), patient.close(), viewer.close())
            assert time.monotonic() - start < 1.0
            await patient.close()
            await room.broadcast.close()
            assert sorted(told) == ["patient", "viewer"]
            with pytest.raises(Refusal):
                room.broadcast.publisher(Edit())

    asyncio.run(run())
