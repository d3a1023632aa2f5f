"""FrameRing: the newest is taken, nothing blocks the giver, nothing is lost uncounted."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.ring import FrameRing


@given(
    capacity=st.integers(1, 6),
    actions=st.lists(st.sampled_from(["put", "put", "take", "clear"]), max_size=60),
)
def test_every_item_is_taken_once_or_counted_once(capacity: int, actions: list[str]) -> None:
    ring: FrameRing[int] = FrameRing(capacity)
    put = taken = dropped = 0
    for action in actions:
        if action == "put":
            ring.put(put)
            put += 1
        elif action == "clear":
            dropped += ring.clear()
        elif (found := ring.take_newest(0.0)) is not None:
            assert found.item == put - 1
            taken += 1
            dropped += found.skipped
        assert len(ring) <= capacity
    assert taken + dropped + ring.clear() == put


def test_an_empty_ring_gives_nothing_after_the_timeout() -> None:
    ring: FrameRing[int] = FrameRing()
    start = time.monotonic()
    assert ring.take_newest(0.05) is None
    assert 0.04 < time.monotonic() - start < 1.0


def test_a_taker_is_woken_by_an_item_and_by_the_end() -> None:
    ring: FrameRing[int] = FrameRing()
    found: list[int | None] = []

    def take() -> None:
        while (taken := ring.take_newest(10.0)) is not None:
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
    assert ring.take_newest(0.0) is None


def test_a_ring_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        FrameRing(0)
