"""Who serves which room: the same answer everywhere, no room moved that is served, none beyond capacity."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.relay.cluster.placement import Load, place

NAMES = st.sampled_from([f"worker-{number}" for number in range(6)])
ROOMS = st.sets(st.sampled_from([f"room-{number}" for number in range(20)]), max_size=20)


@st.composite
def loads(draw: st.DrawFn) -> dict[str, Load]:
    workers = {}
    for name in draw(st.sets(NAMES, min_size=1)):
        serving = {room: draw(st.integers(1, 9)) for room in draw(ROOMS)}
        workers[name] = Load(draw(st.integers(0, 8)), serving)
    return workers


@settings(max_examples=60, deadline=None)
@given(ROOMS, loads())
def test_every_front_gives_the_same_answer(rooms: set[str], workers: dict[str, Load]) -> None:
    turned = dict(reversed(workers.items()))
    assert place(rooms, workers) == place(sorted(rooms, reverse=True), turned)


@settings(max_examples=60, deadline=None)
@given(ROOMS, loads())
def test_a_served_room_stays_with_whoever_took_it_last(rooms: set[str], workers: dict[str, Load]) -> None:
    for room, worker in place(rooms, workers).items():
        began = [load.serving[room] for load in workers.values() if room in load.serving]
        if began:
            assert worker is not None and workers[worker].serving[room] == max(began)


@settings(max_examples=60, deadline=None)
@given(ROOMS, loads())
def test_new_rooms_go_nowhere_beyond_capacity_and_wait_only_when_all_is_full(
    rooms: set[str], workers: dict[str, Load]
) -> None:
    placed = place(rooms, workers)
    count = {name: sum(worker == name for worker in placed.values()) for name in workers}
    for name, load in workers.items():
        own = sum(worker == name and room in load.serving for room, worker in placed.items())
        assert count[name] <= max(load.capacity, own)
    if None in placed.values():
        assert all(count[name] >= load.capacity for name, load in workers.items())


@settings(max_examples=60, deadline=None)
@given(ROOMS, st.sets(NAMES, min_size=2), st.data())
def test_when_a_worker_dies_only_its_rooms_move(
    rooms: set[str], names: set[str], data: st.DataObject
) -> None:
    before = place(rooms, {name: Load(20) for name in names})
    dead = data.draw(st.sampled_from(sorted(names)))
    left = {
        name: Load(20, {room: 1 for room, worker in before.items() if worker == name})
        for name in names - {dead}
    }
    after = place(rooms, left)
    for room, worker in before.items():
        assert after[room] == worker if worker != dead else after[room] in left


def test_rooms_spread_over_workers_by_what_they_can_take() -> None:
    rooms = [f"room-{number}" for number in range(40)]
    placed = place(rooms, {"small": Load(10), "large": Load(40)})
    small = sum(worker == "small" for worker in placed.values())
    assert 4 <= small <= 10
    assert sum(worker == "large" for worker in placed.values()) == 40 - small


def test_without_workers_nothing_is_placed() -> None:
    assert place(["room"], {}) == {"room": None}
