"""The live pipeline's counts: right, in bounded memory, from many threads."""

from __future__ import annotations

import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.metrics import MAX_CAUSES, MAX_EVENTS, OTHER_CAUSES, Metrics

Events = list[tuple[float, float]]
EVENTS = st.lists(st.tuples(st.floats(0.0, 30.0), st.floats(0.0, 1.0)), max_size=60)


def test_nothing_has_happened() -> None:
    seen = Metrics().snapshot(5.0)
    assert (seen.fps_in, seen.fps_out, seen.frames, seen.restarts) == (0.0, 0.0, 0, 0)
    assert seen.latency_p50 is None and seen.latency_p99 is None
    assert not seen.dropped and not seen.shielded


@given(events=EVENTS, now=st.floats(0.0, 45.0))
def test_percentiles_are_exact_over_ten_seconds(events: Events, now: float) -> None:
    metrics = Metrics()
    for at, latency in sorted(events):
        metrics.frame_out(at, latency)
    seen = metrics.snapshot(now)
    recent = [1e3 * latency for at, latency in events if now - 10.0 < at <= now]
    assert seen.frames == len(events)
    if not recent:
        assert seen.latency_p50 is None and seen.latency_p99 is None
        return
    assert seen.latency_p50 == pytest.approx(np.percentile(recent, 50), abs=1e-9)
    assert seen.latency_p99 == pytest.approx(np.percentile(recent, 99), abs=1e-9)


def test_a_card_has_no_latency() -> None:
    metrics = Metrics()
    metrics.frame_out(1.0)
    metrics.frame_out(1.1, 0.008)
    seen = metrics.snapshot(1.1)
    assert seen.frames == 2
    assert seen.latency_p50 == pytest.approx(8.0)


@pytest.mark.parametrize("fps", [15.0, 30.0, 60.0])
@pytest.mark.parametrize("seconds", [0.5, 4.0, 60.0])
def test_rate_is_right_from_the_start(fps: float, seconds: float) -> None:
    metrics = Metrics()
    times = 100.0 + np.arange(int(seconds * fps) + 1) / fps
    for at in times:
        metrics.frame_in(float(at))
    assert metrics.snapshot(float(times[-1])).fps_in == pytest.approx(fps, abs=0.21)


def test_rate_falls_to_nothing_in_a_stall_and_is_right_at_once_after_a_pause() -> None:
    metrics = Metrics()
    for index in range(300):
        metrics.frame_out(index / 30, 0.01)
    rates = [metrics.snapshot(10.0 + late).fps_out for late in (0.0, 1.0, 2.5, 4.0, 5.1)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(30.0, abs=0.3) and rates[2] == pytest.approx(15.0, abs=0.3)
    assert rates[-1] == 0.0
    for index in range(31):
        metrics.frame_out(3600.0 + index / 30, 0.01)
    assert metrics.snapshot(3601.0).fps_out == pytest.approx(30.0, abs=0.1)


def test_causes_are_counted_apart() -> None:
    metrics = Metrics()
    metrics.drop("overload", 3)
    metrics.drop("overload")
    metrics.drop("restart", 0)
    metrics.shield("lost face")
    metrics.restart()
    seen = metrics.snapshot(0.0)
    assert seen.dropped == {"overload": 4}
    assert seen.shielded == {"lost face": 1}
    assert seen.restarts == 1


def test_a_snapshot_stays_as_it_was() -> None:
    metrics = Metrics()
    metrics.drop("overload")
    seen = metrics.snapshot(0.0)
    metrics.drop("overload")
    assert seen.dropped == {"overload": 1}
    with pytest.raises(TypeError):
        seen.dropped["overload"] = 0  # type: ignore[index]


def test_memory_stays_bounded() -> None:
    metrics = Metrics()

    def run(first: int, count: int) -> None:
        for index in range(first, first + count):
            at = index / 1000
            metrics.frame_in(at)
            metrics.frame_out(at, at % 0.03)
            metrics.drop(f"cause {index}")

    tracemalloc.start()
    try:
        run(0, 2 * MAX_EVENTS)
        before, _ = tracemalloc.get_traced_memory()
        run(2 * MAX_EVENTS, 4 * MAX_EVENTS)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    seen = metrics.snapshot(6 * MAX_EVENTS / 1000)
    assert after - before < 50_000
    assert len(seen.dropped) == MAX_CAUSES + 1
    assert seen.dropped[OTHER_CAUSES] == 6 * MAX_EVENTS - MAX_CAUSES


def test_no_event_of_several_threads_is_lost() -> None:
    metrics, threads, each = Metrics(), 4, 1500
    start = threading.Barrier(threads + 1)

    def work() -> None:
        start.wait()
        for index in range(each):
            metrics.frame_in(index / each)
            metrics.frame_out(index / each, 0.005)
            metrics.drop("overload")
            metrics.shield("lost face")

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    start.wait()
    frames = [metrics.snapshot(1.0).frames for _ in range(50)]
    for worker in workers:
        worker.join()
    seen = metrics.snapshot(1.0)
    assert frames == sorted(frames)
    assert seen.frames == seen.dropped["overload"] == seen.shielded["lost face"] == threads * each
    assert seen.latency_p50 == pytest.approx(5.0)
