"""The client of Janus' API: refusals, a Janus that is not there or goes away, settings and keys."""

from __future__ import annotations

import asyncio
import hmac
import time
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from streamfilter.errors import UsageError
from streamfilter.relay.cluster.cluster_settings import load_cluster
from streamfilter.relay.cluster.janus import JanusError, JanusServer, JanusSession, signed_token
from streamfilter.relay.cluster.keys import ClusterKeys, Side
from streamfilter.relay.cluster.videoroom import PLUGIN, RoomKeeper
from tests.relay.janus_process import TOKEN_SECRET, need_janus, running_janus

SECRET = b"a secret of the relay that is long enough"


def test_a_token_is_janus_own_form() -> None:
    text = "1700000000,janus,janus.plugin.videoroom"
    digest = b64encode(hmac.digest(b"key", text.encode(), "sha1")).decode()
    assert signed_token("key", 1_700_000_000.9, "janus", [PLUGIN]) == f"{text}:{digest}"


def test_janus_takes_its_secret_or_a_fresh_token_and_nothing_else(tmp_path: Path) -> None:
    need_janus()

    async def scene() -> None:
        with running_janus(tmp_path, "a") as janus:
            keys = ClusterKeys(SECRET, TOKEN_SECRET)
            bare = replace(janus.server, api_secret=None)
            for good in (janus.server, replace(bare, token=keys.api_token(60.0))):
                async with JanusSession(good) as session:
                    await session.attach(PLUGIN)
            forged = ClusterKeys(SECRET, "another secret").api_token(60.0)
            for bad in (bare, replace(bare, api_secret="guess"), replace(bare, token=forged)):
                with pytest.raises(JanusError) as refused:
                    await JanusSession(bad).connect()
                assert refused.value.code == 403
            with pytest.raises(JanusError) as refused:
                await JanusSession(replace(bare, token=keys.api_token(-60.0))).connect()
            assert refused.value.code == 403

    asyncio.run(scene())


def test_a_janus_that_goes_away_ends_the_session_and_what_is_under_way(tmp_path: Path) -> None:
    need_janus()

    async def scene() -> None:
        with running_janus(tmp_path, "a") as janus:
            session = JanusSession(janus.server)
            await session.connect()
            keeper = await RoomKeeper.attach(session, ClusterKeys(SECRET, TOKEN_SECRET).lock("x", Side.RAW))
            with pytest.raises(JanusError) as refused:
                await keeper.participants()
            assert refused.value.code == 426  # no such room
            janus.stop()
            before = time.monotonic()
            with pytest.raises(JanusError):
                await keeper.participants()
            await asyncio.wait_for(session.ended.wait(), 2.0)
            assert time.monotonic() - before < 2.0
            await session.close()
            await session.close()
            with pytest.raises(JanusError, match="cannot be reached"):
                await JanusSession(janus.server).connect()

    asyncio.run(scene())


def test_one_side_of_a_room_says_nothing_of_another() -> None:
    keys = ClusterKeys(SECRET, TOKEN_SECRET)
    locks = [keys.lock(room, side) for room in ("one", "two") for side in Side]
    secrets = [text for lock in locks for text in (lock.room, lock.secret, lock.pin)]
    assert len(set(secrets)) == len(secrets)
    assert keys.lock("one", Side.RAW) == ClusterKeys(SECRET, "other").lock("one", Side.RAW)
    assert keys.lock("one", Side.RAW).pin != ClusterKeys(SECRET[::-1], "other").lock("one", Side.RAW).pin
    assert keys.room_token(locks[0], 60.0) != keys.room_token(locks[0], 60.0)
    assert not any(text in repr(locks) + repr(keys) for text in (locks[0].pin, locks[0].secret, TOKEN_SECRET))
    for name in ("", "a" * 65, "a/b", "a b", "ä"):
        with pytest.raises(UsageError):
            keys.lock(name, Side.RAW)
    with pytest.raises(UsageError):
        ClusterKeys(b"short", TOKEN_SECRET)


def test_settings_are_read_and_what_is_wrong_in_them_is_said(tmp_path: Path) -> None:
    for name in ("relay", "token", "api", "admin"):
        (tmp_path / name).write_text(f"the {name} secret, which is long enough\n")
        (tmp_path / name).chmod(0o600)
    good = (
        'secret_file = "relay"\njanus_secret_file = "token"\nfronts = ["http://10.0.0.2:1"]\n'
        '[janus.a]\nurl = "ws://10.0.0.4:2"\napi_secret_file = "api"\nadmin_key_file = "admin"\n'
        'media_address = "10.0.0.4"\n'
    )
    path = tmp_path / "cluster.toml"
    path.write_text(good)
    settings = load_cluster(path)
    api, admin = "the api secret, which is long enough", "the admin secret, which is long enough"
    assert settings.januses == {"a": JanusServer("a", "ws://10.0.0.4:2", api, None, admin, "10.0.0.4")}
    assert settings.fronts == ("http://10.0.0.2:1",) and settings.kbps == 1500
    for wrong in (
        good.replace("fronts", "front"),
        good.replace('["http://10.0.0.2:1"]', "3"),
        good.replace('"api"', '"none"'),
        good.replace('url = "ws://10.0.0.4:2"', ""),
        good.partition("[janus")[0],
        "janus = 3",
        "[",
    ):
        path.write_text(wrong)
        with pytest.raises(UsageError):
            load_cluster(path)
