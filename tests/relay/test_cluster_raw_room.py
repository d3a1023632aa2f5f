"""The patient's raw stream cannot be had by a viewer, with all that viewers know, and more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streamfilter.relay.cluster.janus import JanusError, JanusHandle
from streamfilter.relay.cluster.keys import Side
from streamfilter.relay.cluster.videoroom import PLUGIN, Membership, RoomKeeper, Subscription
from tests.relay.cluster_scene import Cluster, cluster
from tests.relay.janus_process import need_janus
from tests.relay.media_peers import Camera

ROOM = "visit"
FORBIDDEN: dict[str, dict[str, Any]] = {
    "rtp_forward": {"publisher_id": "patient", "host": "127.0.0.1", "streams": [{"mid": "0", "port": 9}]},
    "publish_remotely": {"publisher_id": "patient", "remote_id": "x", "host": "127.0.0.1", "port": 9},
    "add_remote_publisher": {
        "id": "x",
        "streams": [{"type": "video", "mindex": 0, "mid": "0", "codec": "vp8"}],
    },
    "listforwarders": {},
    "allowed": {"action": "disable"},
    "edit": {"new_pin": "x"},
    "enable_recording": {"record": True},
    "kick": {"id": "patient"},
    "destroy": {},
}


def test_only_the_worker_can_subscribe_to_the_raw_room(tmp_path: Path) -> None:
    need_janus()

    async def scene() -> None:
        async with published(tmp_path) as parts:
            raw, shown = parts.keys.lock(ROOM, Side.RAW), parts.keys.lock(ROOM, Side.SHOWN)
            viewer = await parts.session(parts.outsider(parts.a))
            shown_token = parts.keys.room_token(shown, 60.0)
            raw_token = parts.keys.room_token(raw, 60.0)
            expired = parts.keys.room_token(raw, -60.0)
            without_pin = type(raw)(raw.room, "", shown.pin)
            for lock, token, private_id in [
                (without_pin, shown_token, None),  # what a viewer has
                (without_pin, raw_token, None),
                (raw, shown_token, None),
                (raw, expired, None),
                (raw, raw_token, None),  # pin and token, but no participant
                (raw, raw_token, 12345),
            ]:
                with pytest.raises(JanusError):
                    await Subscription.begin(viewer, lock, token, "patient", private_id)
                with pytest.raises(JanusError):
                    await Membership.join(viewer, lock, token, "somebody")

            # The same request opens the room for whom it is meant for.
            keeper = await RoomKeeper.attach(await parts.session(parts.a.server), raw)
            await keeper.allow(raw_token)
            worker = await Membership.join(viewer, raw, raw_token, "worker")
            assert list(worker.feeds) == ["patient"]
            _, offer = await Subscription.begin(viewer, raw, raw_token, "patient", worker.private_id)
            assert "m=video" in offer

    asyncio.run(scene())


def test_nobody_without_its_secret_can_pass_the_raw_stream_on_or_open_the_room(tmp_path: Path) -> None:
    need_janus()

    async def scene() -> None:
        async with published(tmp_path) as parts:
            raw = parts.keys.lock(ROOM, Side.RAW)
            viewer = await parts.session(parts.outsider(parts.a))
            handle = await viewer.attach(PLUGIN)
            for request, body in FORBIDDEN.items():
                for secret in (
                    {},
                    {"secret": parts.keys.lock(ROOM, Side.SHOWN).secret, "admin_key": "guess"},
                ):
                    with pytest.raises(JanusError):
                        await _sync(handle, {"request": request, "room": raw.room, **body, **secret})
            with pytest.raises(JanusError):
                await _sync(handle, {"request": "create", "room": "mine"})
            assert await _sync(handle, {"request": "list"}) == []
            for plugin in ("janus.plugin.streaming", "janus.plugin.recordplay", "janus.plugin.echotest"):
                with pytest.raises(JanusError):
                    await viewer.attach(plugin)
            keeper = await RoomKeeper.attach(await parts.session(parts.a.server), raw)
            assert [one.id for one in await keeper.participants()] == ["patient"]

    asyncio.run(scene())


def test_a_viewer_can_publish_nothing_in_the_shown_room(tmp_path: Path) -> None:
    need_janus()

    async def scene() -> None:
        async with published(tmp_path) as parts:
            shown = parts.keys.lock(ROOM, Side.SHOWN)
            viewer = await parts.session(parts.outsider(parts.a))
            with pytest.raises(JanusError) as refused:
                await Membership.join(viewer, shown, parts.keys.room_token(shown, 60.0), "99999999999999-me")
            assert refused.value.code == 433

    asyncio.run(scene())


@asynccontextmanager
async def published(folder: Path) -> AsyncIterator[Cluster]:
    """The room as a worker makes it, and the patient's camera in it."""
    async with cluster(folder) as parts:
        session = await parts.session(parts.a.server)
        for side in Side:
            keeper = await RoomKeeper.attach(session, parts.keys.lock(ROOM, side))
            await keeper.create(publishers=2, kbps=1500, codecs=("VP8",), private_ids=side is not Side.SHOWN)
        patient = await parts.publish(ROOM, Camera())
        await asyncio.wait_for(patient.handle.connected.wait(), 5.0)
        yield parts


async def _sync(handle: JanusHandle, body: dict[str, Any]) -> object:
    return (await handle.ask(body, event=False)).data.get("list")
