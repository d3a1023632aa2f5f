"""Two Janus and two workers, one of which is killed: the room goes on, and nothing raw is ever seen.

The mark is in every frame of the camera; the workers' filter takes it away as the real one edits a face.
"""

from __future__ import annotations

import asyncio
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from streamfilter.relay.cluster.janus import JanusError
from streamfilter.relay.ports import Edit, Refusal
from tests.relay.cluster_scene import Cluster, Viewer, cluster
from tests.relay.janus_process import JanusProcess, need_janus
from tests.relay.media_peers import WITHIN, Camera, Microphone, until

ROOM = "visit"
ON_AGAIN_WITHIN = 5.0


@pytest.mark.failover
def test_a_room_goes_on_at_both_janus_when_its_worker_is_killed(tmp_path: Path) -> None:
    need_janus()

    async def scene() -> None:
        async with cluster(tmp_path) as parts:
            parts.start_worker("one")
            parts.start_worker("two")
            await until(lambda: parts.front.live() == ["one", "two"])
            serving = await _wanted(parts)
            viewers = [await _watching(parts, parts.b), await _watching(parts, parts.a)]
            for viewer in viewers:
                await until(partial(_shows, viewer, "card"))
            await parts.publish(ROOM, Camera(), Microphone())
            for viewer in viewers:
                await until(partial(_shows, viewer, "edited"))
                await until(partial(_hears, viewer))

            killed = time.monotonic()
            parts.workers[serving].send_signal(signal.SIGKILL)
            parts.workers[serving].wait(5.0)
            await asyncio.sleep(0.5)  # what was under way has arrived
            since = time.monotonic()
            for viewer in viewers:
                again = await until(partial(_shows, viewer, "edited", since))
                assert again - killed < ON_AGAIN_WITHIN
            assert parts.front.want(ROOM, None).worker != serving
            await asyncio.sleep(4.0)  # by then the dead worker's feed has been put out
            for viewer in viewers:
                last = viewer.seen.since(time.monotonic() - 1.0)
                assert last.count("edited") > 8
                assert "raw" not in viewer.seen.since(0.0)
                assert viewer.subscription is not None and not viewer.subscription.handle.hung_up.is_set()
                assert len(await viewer.room.feeds()) == 1

    asyncio.run(scene())


@pytest.mark.failover
def test_the_filter_that_ships_is_back_in_time_and_viewers_see_its_card_before(tmp_path: Path) -> None:
    """Its mark is never edited, so that a filtered picture shows it; a card comes first, or was not shown."""
    need_janus()

    async def scene() -> None:
        async with cluster(tmp_path) as parts:
            for name in ("one", "two", "three", "four"):
                parts.start_worker(name, real=True)
            await until(lambda: parts.front.live() == ["four", "one", "three", "two"])
            await _wanted(parts)
            viewers = [await _watching(parts, parts.b), await _watching(parts, parts.a)]
            await parts.publish(ROOM, Camera(640, 360), Microphone())
            for viewer in viewers:
                await until(partial(_shows, viewer, "raw"))
            # SRTP takes no packet number twice: had Janus begun to count anew, so many would be lost.
            await asyncio.sleep(3.0)
            await _back_in_time(parts, viewers, _kill(parts))
            await asyncio.sleep(3.0)
            before = viewers[0].room.feed
            _kill(parts)
            await until(lambda: {viewer.room.feed for viewer in viewers} - {before, None})
            await _back_in_time(parts, viewers, _kill(parts))  # whoever took over has sent nothing yet

    asyncio.run(scene())


def _kill(parts: Cluster) -> float:
    """The room's worker is killed; the moment."""
    process = parts.workers[parts.front.want(ROOM, None).worker]
    process.send_signal(signal.SIGKILL)
    process.wait(5.0)
    return time.monotonic()


async def _back_in_time(parts: Cluster, viewers: list[Viewer], killed: float) -> None:
    await asyncio.sleep(0.5)  # what was under way has arrived
    since = time.monotonic()
    for viewer in viewers:
        again = await until(partial(_shows_after_card, viewer, since))
        assert again - killed < ON_AGAIN_WITHIN, parts.logs()


def _shows_after_card(viewer: Viewer, since: float) -> bool:
    kinds = viewer.seen.since(since)
    return "card" in kinds and "raw" in kinds[kinds.index("card") :]


def _shows(viewer: Viewer, kind: str, since: float | None = None) -> bool:
    """The newest picture is of that kind; or one of those that came since then."""
    return viewer.seen.last == kind if since is None else kind in viewer.seen.since(since)


def _hears(viewer: Viewer) -> bool:
    return max((level for _, level in viewer.seen.loud), default=0.0) > 1000


async def _wanted(parts: Cluster) -> str:
    """The room's worker, once the front has listened long enough to say."""
    while True:
        try:
            return parts.front.want(ROOM, Edit(80.0)).worker
        except Refusal:  # 503: it is still listening; pytest's own limit ends this
            await asyncio.sleep(0.1)


async def _watching(parts: Cluster, janus: JanusProcess) -> Viewer:
    """A viewer, once the worker has made the room there."""
    end = time.monotonic() + WITHIN
    while True:
        try:
            return await parts.view(ROOM, janus)
        except JanusError:
            assert time.monotonic() < end, parts.logs()
            await asyncio.sleep(0.1)
