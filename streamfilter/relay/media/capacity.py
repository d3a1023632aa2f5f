"""What this machine can filter and encode in real time, and what it takes on.

A publisher is refused rather than served late. What one costs is tried before the first comes, and measured
while they run; both in processor seconds, so that other programs' work does not count.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Protocol

import numpy as np

from streamfilter.config import FilterSettings
from streamfilter.doctor.portrait import DrawnScene
from streamfilter.errors import PhysioCamError
from streamfilter.relay.media.filter_slot import MakeFilter
from streamfilter.relay.ports import Refusal

WIDTH, HEIGHT, FPS = 640, 360, 15.0  # of the publisher that room is kept for
USABLE = 0.85  # of the processors: what is measured swings
FILTER_COST = 0.012  # seconds a frame, until it has been tried
DECODE_COST = 0.002  # seconds a frame of the nominal size
ENCODE_COST = 0.004
SESSION_SHARE = 0.03  # of a processor: packets, encryption, sound
RETRY_AFTER = 10.0  # seconds
_WARM_UP, _TRIED = 6, 20  # frames of the trial


class Costly(Protocol):
    """A connection that takes part of the machine."""

    def load(self, now: float) -> float | None:
        """Processors that it takes now, beyond ``SESSION_SHARE``; None: not known yet."""
        ...


class Capacity:
    """``processors``: how many may be used."""

    def __init__(self, processors: int) -> None:
        self._processors = processors
        self.filter_cost = FILTER_COST

    def try_filter(self, workers: Executor, make_filter: MakeFilter, settings: FilterSettings) -> None:
        """Has a worker find out what a frame of the nominal size costs."""

        def tried() -> None:
            try:
                self.filter_cost = measured_cost(make_filter, settings)
            except PhysioCamError:
                return  # the lanes will say what is wrong with the filter

        workers.submit(tried)

    @property
    def publisher_share(self) -> float:
        """Processors that a publisher of the nominal size takes."""
        return FPS * (self.filter_cost + DECODE_COST) + SESSION_SHARE

    @property
    def viewer_share(self) -> float:
        return FPS * ENCODE_COST + SESSION_SHARE

    def share(self, publishers: Iterable[Costly], viewers: Iterable[Costly], expected: int) -> float:
        """How much of what can be served is taken, 0 to 1 and, where it is too much, beyond.

        ``expected``: viewers that have not come yet, for whom room is kept.
        """
        now = time.monotonic()
        taken = sum(_share(one, now, self.publisher_share) for one in publishers)
        taken += sum(_share(one, now, self.viewer_share) for one in viewers) + expected * self.viewer_share
        return taken / (self._processors * USABLE)

    def admit(self, share: float, wanted: float, what: str) -> None:
        """Raises Refusal (503) where ``wanted`` more processors are not there."""
        if share + wanted / (self._processors * USABLE) > 1.0:
            raise Refusal(503, f"this relay has no room for one more {what} now", RETRY_AFTER)


def measured_cost(make_filter: MakeFilter, settings: FilterSettings) -> float:
    """Processor seconds of one frame of the nominal size with one face. Raises PhysioCamError."""
    scene = DrawnScene(WIDTH, HEIGHT, FPS)
    tried = make_filter(settings)
    try:
        taken = []
        for index in range(_WARM_UP + _TRIED):
            start = time.thread_time()
            tried.process(scene.frame(index))
            taken.append(time.thread_time() - start)
        # The faster half: what shares the processor's caches now will not always.
        return float(np.mean(sorted(taken[_WARM_UP:])[: _TRIED // 2]))
    finally:
        tried.close()


def _share(one: Costly, now: float, nominal: float) -> float:
    load = one.load(now)
    # Never less than nominal: a publisher in the dark, or who has just stopped, may come back at any moment.
    return nominal if load is None else max(load + SESSION_SHARE, nominal)
