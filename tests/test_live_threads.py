"""The supervisor's threads in real time: faults, recoveries, and an end within a second with nothing left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamfilter.errors import ArtifactError
from streamfilter.frame import Frame
from streamfilter.live.ports import Picture, SystemClock
from streamfilter.live.status import State
from streamfilter.live.supervisor import Parts, Supervisor
from streamfilter.live.target import FixedRate
from tests.live_devices import SimulatedCamera, SimulatedOutput
from tests.live_simulation import MarkFilter, is_card, marked, shows_mark

SOON = 2.0  # seconds; the exact moments are tested under a manual clock, here the machine may be busy


class Run:
    """A supervisor with its threads, and what left."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.camera = SimulatedCamera(
            clock, lambda index, seconds: marked(seconds), picture=Picture(160, 120, 60.0)
        )
        self.output = SimulatedOutput(clock, self._inspect)
        self.seen: list[tuple[float, bool]] = []
        self.leaks = 0
        self.filters: list[MarkFilter] = []
        self.making: Callable[[], None] = lambda: None
        parts = Parts(lambda name: self.camera.open(), self.output.open, self._make)
        self.supervisor = Supervisor(parts, FixedRate(70.0), clock=clock)

    def _make(self) -> MarkFilter:
        self.making()
        self.filters.append(MarkFilter())
        return self.filters[-1]

    def _inspect(self, frame: Frame) -> None:
        self.leaks += shows_mark(frame)
        self.seen.append((time.monotonic(), is_card(frame)))

    def until(self, done: Callable[[], bool], seconds: float = 5.0) -> float:
        """Tick until ``done``; how long that took. Fails after ``seconds``."""
        start = time.monotonic()
        while not done():
            assert time.monotonic() - start < seconds, self.supervisor.status()
            self.supervisor.tick()
            time.sleep(0.005)
        return time.monotonic() - start

    def state(self) -> State:
        return self.supervisor.status().state

    def shows(self, card: bool) -> Callable[[], bool]:
        count = len(self.seen)
        return lambda: any(was == card for _, was in self.seen[count:])


@contextmanager
def running() -> Iterator[Run]:
    run = Run()
    run.supervisor.start()
    try:
        run.until(run.shows(card=False))
        yield run
    finally:
        run.supervisor.stop()
    assert run.leaks == 0


def test_faults_are_covered_and_survived_in_real_time() -> None:
    with running() as run:
        run.filters[-1].fault = RuntimeError("x")
        assert run.until(run.shows(card=True)) < SOON
        run.filters[-1].fault = None
        run.until(run.shows(card=False))
        run.camera.plugged = False
        assert run.until(run.shows(card=True)) < SOON
        run.until(lambda: run.state() is State.RESTARTING)
        run.camera.plugged = True
        assert run.until(run.shows(card=False)) < 3.0
        run.output.gone = True
        run.until(lambda: not run.output.is_open)
        run.output.gone = False
        assert run.until(run.shows(card=False)) < 3.0
        run.output.fault = RuntimeError("x")
        run.until(lambda: run.output.opened >= 3)
        assert run.until(run.shows(card=False)) < 3.0
        run.filters[-1].before = lambda: time.sleep(0.4)
        assert run.until(run.shows(card=True)) < SOON
        run.filters[-1].before = lambda: None
        run.until(run.shows(card=False))


def test_a_camera_that_hangs_in_a_read_is_hung_up_and_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfilter.live.supervisor.HANGS", 0.3)
    with running() as run:
        read = run.camera.read

        def hang(timeout: float) -> Frame | None:
            run.camera.ended.wait(20.0)
            return None

        run.camera.read = hang  # type: ignore[method-assign]
        assert run.until(run.shows(card=True)) < SOON
        run.until(lambda: run.camera.closed > 0)
        run.camera.read = read  # type: ignore[method-assign]
        run.until(run.shows(card=False))


def test_the_end_comes_within_a_second_and_leaves_no_thread_and_no_descriptor() -> None:
    before = {thread for thread in threading.enumerate() if thread.name.startswith("physio-cam")}
    descriptors = Path("/proc/self/fd")
    opened = len(list(descriptors.iterdir())) if descriptors.is_dir() else 0
    for _ in range(3):
        run = Run()
        run.supervisor.start()
        run.until(run.shows(card=False))
        start = time.monotonic()
        run.supervisor.stop()
        run.supervisor.stop()
        assert time.monotonic() - start < 1.0
        assert run.seen[-1][1]
        assert not run.camera.is_open and not run.output.is_open and run.filters[-1].closed
        assert run.state() is State.STOPPED
    after = {thread for thread in threading.enumerate() if thread.name.startswith("physio-cam")}
    assert after == before
    assert not descriptors.is_dir() or len(list(descriptors.iterdir())) == opened


def test_a_thread_that_hangs_does_not_hold_up_the_end() -> None:
    release = threading.Event()
    run = Run()
    run.supervisor.start()
    run.until(run.shows(card=False))

    def hang() -> None:
        release.wait(20.0)

    run.filters[-1].before = hang
    time.sleep(0.1)
    start = time.monotonic()
    run.supervisor.stop()
    assert time.monotonic() - start < 1.0
    assert not run.camera.is_open and not run.output.is_open
    release.set()
    for thread in run.supervisor._threads.values():
        thread.join(5.0)
        assert not thread.is_alive()


def test_an_artifact_that_is_missing_at_the_start_starts_no_thread() -> None:
    run = Run()

    def missing() -> None:
        raise ArtifactError("there is no artifact: put it back")

    run.making = missing
    with pytest.raises(ArtifactError):
        run.supervisor.start()
    assert not any(thread.name.startswith("physio-cam") for thread in threading.enumerate())
    assert [card for _, card in run.seen] == [True] * len(run.seen) and run.seen
    run.supervisor.stop()


def test_run_ends_when_asked_and_when_its_time_is_over() -> None:
    with running() as run:
        calls: list[int] = []
        start = time.monotonic()
        run.supervisor.run(lambda: False, lambda: calls.append(1), 0.3)
        assert 0.3 <= time.monotonic() - start < 0.8 and len(calls) >= 3
        run.supervisor.run(lambda: True)
