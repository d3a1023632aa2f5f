"""The events socket: what pages are told, and what they may say."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from streamfilter.relay.events import Events
from streamfilter.relay.gate import Gate
from streamfilter.relay.lifecycle import Lifecycle
from streamfilter.relay.ports import Edit, MediaState, Role
from streamfilter.relay.problems import Problems
from streamfilter.relay.room import MAX_LISTENERS
from streamfilter.relay.security.rate_limits import RateLimits
from streamfilter.relay.settings import RelaySettings
from tests.relay.relay_bench import SECRET, closing, problem_of, relay, run, state_where


def test_a_viewer_is_told_what_is_shown(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            socket = await bench.socket(bench.token(Role.VIEWER))
            assert await socket.receive_json(timeout=2.0) == {
                "type": "state",
                "you": "viewer",
                "patient": None,
                "edit": {"bpm": 70.0},
                "edited": True,
                "viewers": 0,
                "artifact": "made-for-tests",
                "draining": False,
            }
            await bench.offer("/whep/ward", bench.token(Role.VIEWER))
            await state_where(socket, viewers=1)
            await bench.offer("/whip/ward?hr=hide", bench.token())
            state = await state_where(socket, edit={"bpm": None})
            assert state["patient"] == {
                "state": "connecting",
                "reason": None,
                "fps": 15.0,
                "latency_ms": 7.3,
                "size": [640, 360],
                "paused": False,
            }
            patient = bench.ward().patients[0]
            patient.state, patient.reason = MediaState.SHIELDED, "No face is seen."
            asked = time.monotonic()
            while (await state_where(socket))["patient"]["reason"] is None:
                pass
            assert time.monotonic() - asked < 0.6  # no call from the media, and yet no second of waiting
            patient.end()
            await state_where(socket, patient=None)

    run(body())


def test_every_second_there_is_a_state(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            socket = await bench.socket(bench.token())
            moments = []
            for _ in range(3):
                await socket.receive_json(timeout=1.5)
                moments.append(time.monotonic())
            assert all(0.6 < later - earlier < 1.3 for earlier, later in pairwise(moments))

    run(body())


def test_the_patient_chooses(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            token = bench.token()
            await bench.offer(token=token)
            mine, viewers = await bench.socket(token), await bench.socket(bench.token(Role.VIEWER))
            await state_where(viewers)
            for bpm in (85, 62.5, None):
                await mine.send_json({"type": "edit", "bpm": bpm})
                await state_where(viewers, edit={"bpm": bpm})
            await mine.send_json({"type": "edit", "bpm": None})  # no change: no further line
            await mine.send_json({"type": "pause", "paused": True})
            while not (await state_where(viewers))["patient"]["paused"]:
                pass
            patient = bench.ward().patients[0]
            assert patient.paused and patient.edits == [Edit(), Edit(85.0), Edit(62.5), Edit(None)]
            edits = [line for line in bench.audited() if line["event"] == "edit"]
            assert [line["edit"]["bpm"] for line in edits] == [85.0, 62.5, None]
            assert {line["who"] for line in edits} == {bench.tokens.check(token).id}
            # Neither a reload nor another device shows a patient again who has paused.
            await bench.offer(token=bench.token())
            assert bench.ward().patients[1].paused and bench.ward().patients[1].edits[0] == Edit(None)

    run(body())


def test_an_edit_without_a_trace_is_not_made(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            await bench.offer(token=bench.token())
            socket = await bench.socket(bench.token())
            await state_where(socket)
            (tmp_path / "audit").unlink()
            (tmp_path / "audit").mkdir()
            await socket.send_json({"type": "edit", "bpm": 90})
            assert (await closing(socket))[1] == 1013
            assert bench.ward().patients[0].edits == [Edit()]

    run(body())


@pytest.mark.parametrize(
    "message",
    [
        "hello",
        "[]",
        "{}",
        '{"type":"edit"}',
        '{"type":"edit","bpm":39}',
        '{"type":"edit","bpm":NaN}',
        '{"type":"edit","bpm":true}',
        '{"type":"edit","bpm":"70"}',
        '{"type":"pause","paused":1}',
        '{"type":"state"}',
        '{"type":["edit"],"bpm":70}',
        "[" * 2000,
        b"\x00",
    ],
)
def test_another_message_ends_the_socket(tmp_path: Path, message: str | bytes) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            socket = await bench.socket(bench.token())
            await state_where(socket)
            await (socket.send_bytes(message) if isinstance(message, bytes) else socket.send_str(message))
            assert await closing(socket) == (None, 1008)

    run(body())


def test_a_viewer_chooses_nothing(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            await bench.offer(token=bench.token())
            for message in ({"type": "edit", "bpm": 90}, {"type": "pause", "paused": True}):
                socket = await bench.socket(bench.token(Role.VIEWER))
                await socket.send_json(message)
                assert (await closing(socket))[1] == 1008
            patient = bench.ward().patients[0]
            assert patient.edits == [Edit()] and not patient.paused

    run(body())


def test_too_much_at_once_ends_the_socket(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            long = await bench.socket(bench.token())
            await long.send_str(" " * 4000)
            assert (await closing(long))[1] == 1009
            many = await bench.socket(bench.token())
            for _ in range(60):
                await many.send_json({"type": "edit", "bpm": 70})
            assert (await closing(many))[1] == 1008

    run(body())


def test_the_first_message_is_a_token_of_this_room(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            expired = bench.token()
            bench.clock.ahead = 61.0
            for token in ("", "x", expired, bench.token(room="other")):
                assert await closing(await bench.socket(token)) == (None, 1008)
            for first in ("hello", '{"token":7}', '{"type":"bye"}'):
                socket = await bench.socket(None)
                await socket.send_str(first)
                assert await closing(socket) == (None, 1008)
            assert len(bench.server.rooms) == 0
            in_address = await bench.client.get(f"{bench.url}/rooms/ward/events?token={bench.token()}")
            assert (await problem_of(in_address))[0] == 400
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await bench.socket(None, origin="https://evil.example.org")
            assert (await (await bench.socket(bench.token(), origin=bench.url)).receive_json())[
                "type"
            ] == "state"

    run(body())


def test_whoever_says_nothing_is_sent_away(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            settings = RelaySettings(secret=SECRET)
            lifecycle = Lifecycle(bench.server.rooms)
            gate = Gate(settings, bench.tokens, RateLimits(100), lifecycle)
            events = Events(bench.server.rooms, gate, lifecycle, hello_seconds=0.2)
            app = web.Application(middlewares=[Problems(lambda refusal: None).answer])
            app.add_routes(events.routes())
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            socket = await bench.client.ws_connect(f"http://127.0.0.1:{port}/rooms/ward/events")
            begun = time.monotonic()
            assert await closing(socket) == (None, 1008)
            assert 0.15 < time.monotonic() - begun < 1.0
            await runner.cleanup()

    run(body())


def test_bye(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            token = bench.token()
            session = (await bench.offer(token=token)).headers["Location"].rsplit("/")[-1]
            for who, ended in ((bench.token(), False), (bench.token(Role.VIEWER), False), (token, True)):
                socket = await bench.socket(who)
                await socket.send_json({"type": "bye", "session": session})
                assert (await closing(socket))[1] == 1000
                assert bench.ward().patients[0].closed == ended
            room = bench.server.rooms.find("ward")
            assert room is not None and not room.listeners

    run(body())


def test_a_socket_cut_off_leaves_nothing(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench, aiohttp.ClientSession() as client:
            socket = await client.ws_connect(f"{bench.url}/rooms/ward/events")
            await socket.send_json({"token": bench.token()})
            await socket.receive_json()
            room = bench.server.rooms.find("ward")
            assert room is not None and len(room.listeners) == 1
            connection = socket._response.connection
            assert connection is not None and connection.transport is not None
            connection.transport.abort()
            async with asyncio.timeout(2.0):
                while room.listeners:
                    await asyncio.sleep(0.02)

    run(body())


def test_a_room_has_so_many_sockets(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            token = bench.token()
            sockets = [await bench.socket(token) for _ in range(MAX_LISTENERS)]
            for socket in sockets:
                await socket.receive_json()
            assert (await closing(await bench.socket(token)))[1] == 1013

    run(body())
