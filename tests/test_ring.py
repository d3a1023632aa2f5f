"""FrameRing: the oldest that is fresh is taken, nothing blocks the giver, nothing is lost uncounted."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.ring import FrameRing


def always(item: int) -> bool:
    return True


def test_a_late_taker_catches_up_on_what_is_fresh_and_drops_the_rest() -> None:
    ring: FrameRing[int] = FrameRing()
    for item in range(6):
        ring.put(item)
    taken = [ring.take(0.0, lambda item: item >= 4) for _ in range(3)]
    assert [found and (found.item, found.skipped) for found in taken] == [(4, 4), (5, 0), None]
    ring.put(6)
    ring.put(7)
    stale = ring.take(0.0, lambda item: False)
    assert stale == (7, 1)


@given(
    capacity=st.integers(1, 6),
    actions=st.lists(st.sampled_from(["put", "put", "take", "clear"]), max_size=60),
    fresh=st.integers(0, 3),
)
def test_every_item_is_taken_once_or_counted_once(capacity: int, actions: list[str], fresh: int) -> None:
    ring: FrameRing[int] = FrameRing(capacity)
    put = taken = dropped = 0
    for action in actions:
        if action == "put":
            ring.put(put)
            put += 1
        elif action == "clear":
            dropped += ring.clear()
        elif (found := ring.take(0.0, lambda item: item >= put - fresh)) is not None:  # noqa: B023
            waiting = len(ring) + 1
            assert found.item == put - min(max(fresh, 1), waiting)
            taken += 1
            dropped += found.skipped
        assert len(ring) <= capacity
    assert taken + dropped + ring.clear() == put


def test_an_empty_ring_gives_nothing_after_the_timeout() -> None:
    ring: FrameRing[int] = FrameRing()
    start = time.monotonic()
    assert ring.take(0.05, always) is None
    assert 0.04 < time.monotonic() - start < 1.0


def test_a_taker_is_woken_by_an_item_and_by_the_end() -> None:
    ring: FrameRing[int] = FrameRing()
    found: list[int | None] = []

    def take() -> None:
        while (taken := ring.take(10.0, always)) is not None:
            found.append(taken.item)
        found.append(None)

    thread = threading.Thread(target=take)
    thread.start()
    ring.put(1)
    deadline = time.monotonic() + 5
    while not found and time.monotonic() < deadline:
        time.sleep(0.001)
    ring.close()
    thread.join(5)
    assert not thread.is_alive()
    assert found == [1, None]
    ring.put(2)
    assert ring.take(0.0, always) is None


def test_a_ring_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        FrameRing(0)
