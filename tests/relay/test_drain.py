"""Draining and ending: peers are told, and it does not take long."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from streamfilter.relay.ports import Role
from tests.relay.relay_bench import closing, problem_of, relay, run, state_where


def test_a_draining_relay_takes_nobody_and_sends_nobody_away(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            token = bench.token()
            location = (await bench.offer(token=token)).headers["Location"]
            socket = await bench.socket(token)
            await state_where(socket, draining=False)
            assert (await bench.client.get(bench.url + "/readyz")).status == 200
            drained = await bench.client.post(bench.admin + "/drain")
            assert await drained.json() == {"draining": True, "sessions": 1}
            await state_where(socket, draining=True)
            for address in (bench.url, bench.admin):
                ready = await bench.client.get(address + "/readyz")
                assert ready.status == 503 and (await ready.json())["status"] == "draining"
            assert (await bench.client.get(bench.url + "/healthz")).status == 200
            for path, role in (("/whip/ward", Role.PATIENT), ("/whep/ward", Role.VIEWER)):
                refused = await bench.offer(path, bench.token(role))
                assert (await problem_of(refused))[0] == 503 and "Retry-After" in refused.headers
            await state_where(await bench.socket(token))  # a page of a room that there is may come back
            told, code = await closing(await bench.socket(bench.token(room="new"), "new"))
            assert told is not None and told["reconnect_in"] > 0 and code == 1001
            ending = asyncio.create_task(bench.server.drain(20.0))
            await asyncio.sleep(0.3)
            assert not ending.done() and not bench.ward().patients[0].closed
            assert await bench.delete(location, token) == 200
            async with asyncio.timeout(1.0):
                await ending

    run(body())


def test_a_drain_ends_in_time(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            await bench.offer(token=bench.token())
            socket = await bench.socket(bench.token())
            await state_where(socket)
            for body, status in (({"within": 60}, 200), ({"within": -1}, 400), ({"within": "soon"}, 400)):
                assert (await bench.client.post(bench.admin + "/drain", json=body)).status == status
            begun = time.monotonic()
            await bench.client.post(bench.admin + "/drain", json={"within": 0.3})
            await bench.client.post(bench.admin + "/drain", json={"within": 60})  # the earlier moment counts
            told, code = await closing(socket)
            assert told is not None and told["reason"] and told["reconnect_in"] > 0 and code == 1001
            assert 0.2 < time.monotonic() - begun < 1.5
            assert bench.ward().patients[0].closed and bench.server.rooms.sessions == 0

    run(body())


def test_stop_tells_and_closes_everybody(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            await bench.offer(token=bench.token())
            await bench.offer("/whep/ward", bench.token(Role.VIEWER))
            sockets = [await bench.socket(bench.token(role)) for role in Role]
            unknown = await bench.socket(None)
            for socket in sockets:
                await state_where(socket)
            begun = time.monotonic()
            stopping = asyncio.create_task(bench.server.stop())
            for socket in sockets:
                told, code = await closing(socket)
                assert told is not None and told["reconnect_in"] > 0 and code == 1001
            await closing(unknown)
            await stopping
            assert time.monotonic() - begun < 3.0
            assert bench.ward().patients[0].closed and bench.ward().viewers[0].closed and bench.media.closed
            assert [line["event"] for line in bench.audited()] == ["joined", "joined", "left", "left"]
            await bench.server.stop()

    run(body())


def test_stop_ends_though_media_and_clients_do_not(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            await bench.offer(token=bench.token())
            bench.media.hold = asyncio.Event()
            waiting = asyncio.create_task(bench.offer("/whep/ward", bench.token(Role.VIEWER)))
            slow = await asyncio.open_connection("127.0.0.1", bench.server.port)
            slow[1].write(b"POST /whip/ward HTTP/1.1\r\nHost: x\r\n")
            while len(bench.media.offers) < 2:
                await asyncio.sleep(0.01)
            bench.media.stuck = True
            begun = time.monotonic()
            await bench.server.stop()
            assert time.monotonic() - begun < 5.0
            assert bench.media.closed
            await asyncio.wait([waiting], timeout=1.0)
            assert waiting.done()
            waiting.exception()
            slow[1].close()

    run(body())
