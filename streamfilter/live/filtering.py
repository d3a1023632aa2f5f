"""The filter stage: frame by frame from the ring through the guard into the outbox."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

from streamfilter.errors import PhysioCamError
from streamfilter.face.box import FaceBox
from streamfilter.frame import Frame
from streamfilter.live.backoff import Backoff
from streamfilter.live.board import Board
from streamfilter.live.capturing import OVERLOAD, RESTART, Captured
from streamfilter.live.fit import fit
from streamfilter.live.guard import Cards, Guard, LiveFilter, SafeFrame
from streamfilter.live.outbox import Outbox
from streamfilter.live.ports import Clock
from streamfilter.live.traces import FaceTraces, skin_mean
from streamfilter.live.wish import Wish
from streamfilter.metrics import Metrics
from streamfilter.ring import FrameRing

OUTPUT_BUSY = "the output is busy"
REBUILD_FAILED = "the filter does not start"
REBUILDING = "the filter is being started again"

# Seconds: a frame that will leave by this age is still filtered, though a newer one is there. A filter that
# was held up for a moment then drops nothing; one that is too slow for good works on the newest frames.
CATCH_UP = 0.1
_PACE = 0.1  # share of the last frame in the filter's usual time for one

_log = logging.getLogger(__name__)


class Pair(NamedTuple):
    """One moment before and after the filter."""

    before: Frame
    after: SafeFrame


class FilterStage:
    """Owns the filter. For one thread."""

    def __init__(
        self,
        live_filter: LiveFilter,
        make_filter: Callable[[], LiveFilter],
        cards: Cards,
        ring: FrameRing[Captured],
        outbox: Outbox,
        board: Board,
        metrics: Metrics,
        clock: Clock,
        wish: Wish,
    ) -> None:
        """``live_filter`` is ready; ``make_filter`` makes another one that knows nothing of the past."""
        self.traces = FaceTraces()
        self.pair: Pair | None = None
        self._make_filter = make_filter
        self._cards, self._ring, self._outbox, self._board = cards, ring, outbox, board
        self._metrics, self._clock, self._wish = metrics, clock, wish
        self._backoff = Backoff()
        self._generation = board.generation
        self._guard: Guard | None = Guard(live_filter, cards)
        self._told: tuple[float, float] | None = None
        self._logged: str | None = None
        self._pace = 0.0

    @property
    def failure(self) -> str | None:
        """What the filter raised last."""
        guard = self._guard
        return None if guard is None else guard.failure

    def once(self, timeout: float) -> bool:
        """One frame through the guard, within about ``timeout`` seconds; whether there was one."""
        generation = self._board.generation
        if generation != self._generation or self._guard is None:
            self._renew(generation)
        elif self._guard.worn_out:
            self._give_up(self._guard)
            return False
        taken = self._ring.take(timeout, self._fresh)
        if taken is None:
            return False
        if taken.skipped:
            self._metrics.drop(OVERLOAD, taken.skipped)
        captured = taken.item
        if self._guard is None or captured.generation != self._generation:
            self._metrics.drop(RESTART)
            return False
        self._filter(self._guard, captured)
        return True

    def _fresh(self, captured: Captured) -> bool:
        return self._clock.now() - captured.arrived + self._pace < CATCH_UP

    def close(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.close()

    def _filter(self, guard: Guard, captured: Captured) -> None:
        frame = fit(captured.frame, self._cards.width, self._cards.height)
        self._tell(guard.filter, frame.seconds)
        start = self._clock.now()
        safe, boxes = guard.process(frame, captured.arrived)
        self._pace += _PACE * (self._clock.now() - start - self._pace)
        if self._outbox.put(safe):
            self._metrics.drop(OUTPUT_BUSY)
        self.pair = Pair(frame, safe)
        if guard.failure is not None:
            self._log_once(f"the filter failed: {guard.failure}")
        self._trace(frame, safe, boxes)

    def _tell(self, live_filter: LiveFilter, seconds: float) -> None:
        shown = self._wish.at(seconds)
        wanted = (shown.bpm, shown.strength)
        if wanted != self._told:
            live_filter.set_target(shown.bpm)
            live_filter.set_strength(shown.strength)
            self._told = wanted

    def _trace(self, before: Frame, safe: SafeFrame, boxes: Mapping[int, FaceBox]) -> None:
        if safe.card or not boxes:
            self.traces.clear()
            return
        if safe.reason is not None:  # covered in part: a moment that is not read, no new start
            return
        face, box = next(iter(boxes.items()))
        try:
            self.traces.add(face, before.seconds, skin_mean(before, box), skin_mean(safe.frame, box))
        except PhysioCamError:  # a box without area, at the picture's edge
            self.traces.clear()

    def _log_once(self, message: str) -> None:
        """What goes wrong at every frame is said once."""
        if message != self._logged:
            self._logged = message
            _log.error("%s", message)

    def _give_up(self, guard: Guard) -> None:
        self._log_once(f"the filter failed too often ({guard.failure}): it is started again")
        self._metrics.restart()
        self._backoff = self._backoff.failed(self._clock.now())
        self._board.renew(REBUILDING)

    def _renew(self, generation: int) -> None:
        if not self._backoff.ready(self._clock.now()):
            return
        self.traces.clear()
        self.pair = None
        self._told = None
        try:
            self.close()
            made = self._make_filter()
        except Exception as error:  # noqa: BLE001  # artifact or engine gone: cards until it is back
            self._log_once(f"the filter does not start: {error}")
            self._board.renew(REBUILD_FAILED)
            self._backoff = self._backoff.failed(self._clock.now())
            return
        self._guard = Guard(made, self._cards)
        self._generation = generation
        self._board.renewed(generation)
