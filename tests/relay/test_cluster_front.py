"""The front by a manual clock: dead workers, two fronts, restarts, closed rooms, forged and old messages."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.relay.cluster.front import (
    CLOSED_AFTER,
    DEAD_AFTER,
    FORGET_AFTER,
    SIGNATURE,
    Front,
    FrontServer,
)
from streamfilter.relay.cluster.keys import ClusterKeys
from streamfilter.relay.cluster.orders import Beat, Instructions, Order, newest
from streamfilter.relay.ports import Edit, Refusal

SECRET = b"a secret of the relay that is long enough"


@dataclass
class FakeWorker:
    """What a worker does with its instructions, without rooms."""

    name: str
    capacity: int = 4
    serving: dict[str, int] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)

    def beat(self, front: Front, now: float) -> Instructions:
        told = front.hear(
            Beat(self.name, now, self.capacity, dict(self.serving), tuple(self.orders.values()))
        )
        self.orders = newest(self.orders, told.take)
        for order in told.take:
            if not self.orders[order.room].closed:
                self.serving.setdefault(order.room, int(now * 1000))
        for room in told.leave:
            self.serving.pop(room, None)
        return told


@dataclass
class Scene:
    """Fronts and workers on one clock."""

    now: float = 1000.0
    fronts: list[Front] = field(default_factory=list)
    workers: list[FakeWorker] = field(default_factory=list)

    def front(self) -> Front:
        made = Front(("a", "b"), lambda: self.now, lambda: self.now)
        self.fronts.append(made)
        return made

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 0.25
            for number, worker in enumerate(self.workers):
                for front in self.fronts:
                    worker.beat(front, self.now + 0.001 * number)


def scene(fronts: int = 1, workers: int = 2) -> Scene:
    made = Scene(workers=[FakeWorker(f"worker-{number}") for number in range(workers)])
    for _ in range(fronts):
        made.front()
    made.run(DEAD_AFTER)
    return made


def serving(made: Scene, room: str) -> list[str]:
    return [worker.name for worker in made.workers if room in worker.serving]


def test_a_dead_workers_rooms_are_with_another_within_two_and_a_half_seconds() -> None:
    made = scene()
    rooms = [f"room-{number}" for number in range(4)]
    for room in rooms:
        made.fronts[0].want(room, Edit(80.0))
    made.run(0.5)
    dead = made.workers.pop(0)
    lost = set(dead.serving)
    kept = dict(made.workers[0].serving)
    assert lost | set(kept) == set(rooms) and not lost & set(kept)
    made.run(DEAD_AFTER + 0.5)
    assert set(made.workers[0].serving) == set(rooms)
    assert all(made.workers[0].serving[room] == since for room, since in kept.items())
    assert all(made.workers[0].orders[room].edit == Edit(80.0) for room in rooms)


def test_a_worker_whose_connection_closes_is_given_up_sooner_and_one_that_comes_back_is_not() -> None:
    made = scene()
    front, (one, two) = made.fronts[0], made.workers
    made.now += 0.01
    front.hear(Beat(one.name, made.now, 4, {}, ()), lambda: True)
    front.hear(Beat(two.name, made.now, 4, {}, ()), lambda: False)
    made.now += CLOSED_AFTER / 2
    assert front.live() == [one.name, two.name]
    made.now += CLOSED_AFTER
    assert front.live() == [two.name]
    front.hear(Beat(one.name, made.now, 4, {}, ()))
    assert front.live() == [one.name, two.name]


def test_a_front_that_has_just_begun_places_nothing_until_it_knows_who_serves_what() -> None:
    made = scene(workers=3)
    worker = made.fronts[0].want("room", None).worker
    made.run(0.5)
    second = made.front()
    with pytest.raises(Refusal) as refused:
        second.want("room", None)
    assert refused.value.status == 503
    made.run(DEAD_AFTER + 0.5)
    assert serving(made, "room") == [worker]
    assert second.want("room", None).worker == worker


def test_two_fronts_give_the_same_answer_whoever_is_asked() -> None:
    made = scene(fronts=2, workers=4)
    for number in range(10):
        first = made.fronts[number % 2].want(f"room-{number}", Edit(60.0))
        again = made.fronts[1 - number % 2].want(f"room-{number}", Edit(60.0))
        assert (first.worker, first.home) == (again.worker, again.home)
        made.run(0.25)
    made.run(1.0)
    assert all(len(serving(made, f"room-{number}")) == 1 for number in range(10))


def test_an_edit_reaches_the_worker_and_outlives_every_front() -> None:
    made = scene()
    made.fronts[0].want("room", Edit(80.0))
    made.run(0.5)
    made.fronts[0].want("room", Edit(None))
    made.run(0.5)
    made.fronts.clear()
    made.front()
    made.run(DEAD_AFTER + 0.5)
    name = serving(made, "room")[0]
    made.workers = [worker for worker in made.workers if worker.name != name]
    made.run(DEAD_AFTER + 0.5)
    assert made.workers[0].orders["room"].edit == Edit(None)
    assert "room" in made.workers[0].serving


def test_a_closed_room_ends_everywhere_and_does_not_come_back() -> None:
    made = scene(fronts=2)
    made.fronts[0].want("room", Edit(80.0))
    made.run(0.5)
    made.fronts[0].close("room")
    made.run(1.0)
    assert not serving(made, "room")
    with pytest.raises(Refusal):
        made.fronts[0].close("room")
    made.run(2 * FORGET_AFTER)
    assert not serving(made, "room")
    made.fronts[1].want("room", Edit(90.0))
    made.run(1.0)
    assert len(serving(made, "room")) == 1


def test_when_all_are_full_a_room_is_refused() -> None:
    made = scene()
    for number in range(8):
        made.fronts[0].want(f"room-{number}", None)
    with pytest.raises(Refusal) as refused:
        made.fronts[0].want("one-more", None)
    assert refused.value.status == 503 and refused.value.retry_after


def test_a_beat_that_is_replayed_or_of_another_time_is_refused() -> None:
    front = Front(("a",), lambda: 0.0, lambda: 1000.0)
    front.hear(Beat("worker", 1000.0, 4, {}, ()))
    for sent in (1000.0, 999.0, 900.0, 1100.0):
        with pytest.raises(Refusal) as refused:
            front.hear(Beat("worker", sent, 4, {}, ()))
        assert refused.value.status == 409


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_what_is_no_beat_is_a_value_error(body: bytes) -> None:
    for parse in (Beat.from_bytes, Instructions.from_bytes):
        with pytest.raises(ValueError):  # noqa: PT011  # json's own error is one
            parse(body)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Order,
        st.text(min_size=1, max_size=64),
        st.text(min_size=1, max_size=64),
        st.builds(Edit, st.none() | st.floats(40, 180), st.floats(0, 1)),
        st.integers(0, 10**15),
        st.booleans(),
    )
)
def test_messages_come_back_as_they_were(order: Order) -> None:
    beat = Beat("worker", 5.0, 3, {"room": 7}, (order,))
    assert Beat.from_bytes(beat.to_bytes()) == beat
    told = Instructions((order,), ("room",))
    assert Instructions.from_bytes(told.to_bytes()) == told


def test_over_http_only_what_the_relays_secret_signed_is_heard() -> None:
    async def go() -> None:
        keys, others = ClusterKeys(SECRET, "janus"), ClusterKeys(SECRET[::-1], "janus")
        server = FrontServer(Front(("a",)), keys)
        await server.start()
        try:
            async with aiohttp.ClientSession() as http:
                body = Beat("worker", time.time(), 4, {}, ()).to_bytes()

                async def send(path: str, data: bytes, signature: str) -> tuple[int, bytes, str]:
                    headers = {SIGNATURE: signature}
                    async with http.post(server.url + path, data=data, headers=headers) as response:
                        given = response.headers.get(SIGNATURE, "")
                        return response.status, await response.read(), given

                for forged in ("", "ff" * 32, others.signature("beat", body), keys.signature("want", body)):
                    assert (await send("/beat", body, forged))[0] == 401
                assert (await send("/beat", body + b" ", keys.signature("beat", body)))[0] == 401
                status, answer, given = await send("/beat", body, keys.signature("beat", body))
                assert status == 200 and keys.signed(given, "instructions", body, answer)
                assert (await send("/beat", body, keys.signature("beat", body)))[0] == 409
                assert (await send("/beat", b"{}", keys.signature("beat", b"{}")))[0] == 400
                wish = json.dumps({"sent": time.time(), "bpm": 80.0}).encode()
                assert (await send("/rooms/visit", wish, keys.signature("want", b"other", wish)))[0] == 401
                assert (await send("/rooms/visit", wish, keys.signature("want", b"visit", wish)))[0] == 503
                old = json.dumps({"sent": time.time() - 60.0}).encode()
                assert (await send("/rooms/visit", old, keys.signature("want", b"visit", old)))[0] == 400
        finally:
            await server.stop()

    asyncio.run(go())
