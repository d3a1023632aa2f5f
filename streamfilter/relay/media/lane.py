"""One publisher's way through the filter: newest frame only, a worker of a small pool, and a watch on time.

Whatever goes wrong ends in a card: a lane has nothing else to give than what the guard sealed.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Executor
from dataclasses import dataclass

from av.video.frame import VideoFrame

from streamfilter.config import FilterSettings
from streamfilter.frame_filter import FILTER_FAILED
from streamfilter.live.guard import Cards, SafeFrame
from streamfilter.metrics import Metrics
from streamfilter.relay.media.filter_slot import FilterSlot, MakeFilter, filter_settings
from streamfilter.relay.media.stage import Stage
from streamfilter.relay.ports import Edit

HOLD_LEAST, HOLD_MOST = 0.15, 0.25  # seconds that the last filtered frame may stand
HOLD_PICTURES = 3.0  # pictures that may be missing, where that is longer
LATE = 0.5  # seconds; what took longer is not shown
GAP = 1.0  # seconds without a picture after which the filter begins anew
CAUSE_OVERRUN, CAUSE_LATE, CAUSE_PAUSED = "filter busy", "too late", "paused"
NO_PICTURE, OVERLOADED, PAUSED, CONNECTED = (
    "no picture arrives",
    "the relay is overloaded",
    "paused",
    "waiting for the first picture",
)
_SMOOTH = 0.1  # weight of the newest of a measure


@dataclass(frozen=True, slots=True)
class _Work:
    picture: VideoFrame
    arrived: float
    epoch: int


class Lane:
    """Everything but the filtering itself runs in the event loop's thread."""

    def __init__(
        self, make_filter: MakeFilter, base: FilterSettings, edit: Edit, workers: Executor, stage: Stage
    ) -> None:
        """Raises UsageError where ``edit`` is out of its range."""
        self.metrics = Metrics()
        self.edit = edit
        self.size: tuple[int, int] | None = None
        self.cost: float | None = None  # processor seconds a frame
        self.paused = False
        self.last_in: float | None = None
        self._base = base
        self._settings = filter_settings(base, edit)
        self._slot = FilterSlot(make_filter, self._settings)
        self._workers = workers
        self._stage = stage
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: _Work | None = None
        self._busy = self._closed = self._freed = False
        self._epoch = self._slot_epoch = 0
        self._shown_at: float | None = None
        self._interval = 1 / 15
        self.reason: str | None = CONNECTED

    @property
    def failure(self) -> str | None:
        """What the filter said when it last failed, for logs."""
        return self._slot.failure

    @property
    def live(self) -> bool:
        """Whether a filtered picture is shown."""
        return self._shown_at is not None

    def begin(self) -> None:
        """Takes the stage."""
        self._card(CONNECTED)

    def set_edit(self, edit: Edit) -> None:
        """Raises UsageError where it is out of its range."""
        self._settings = filter_settings(self._base, edit)
        self.edit = edit

    def pause(self, paused: bool) -> None:
        """A card while paused; afterwards the filter settles anew."""
        if paused == self.paused or self._closed:
            return
        self.paused = paused
        self._epoch += 1
        self._card(PAUSED if paused else CONNECTED)

    def push(self, picture: VideoFrame, arrived: float) -> None:
        """A decoded picture, which came at ``arrived`` (s)."""
        if self._closed:
            return
        self.metrics.frame_in(arrived)
        if self.last_in is not None:
            gap = arrived - self.last_in
            if gap > GAP:
                self._epoch += 1
            else:
                self._interval += _SMOOTH * (gap - self._interval)
        self.last_in = arrived
        size = (picture.width, picture.height)
        if self.size not in (None, size):
            self._epoch += 1
            self._card(CONNECTED)
        self.size = size
        if self.paused:
            self.metrics.drop(CAUSE_PAUSED)
            return
        with self._lock:
            if self._waiting is not None:
                self.metrics.drop(CAUSE_OVERRUN)
            self._waiting = _Work(picture, arrived, self._epoch)
            start, self._busy = not self._busy, True
        if start:
            self._workers.submit(self._turn)

    def tick(self, now: float) -> None:
        """Looks at the time: a picture that has stood too long gives way to a card."""
        if self._closed or self._shown_at is None:
            return
        hold = min(max(HOLD_PICTURES * self._interval, HOLD_LEAST), HOLD_MOST)
        if now - self._shown_at > hold:
            came = self.last_in is not None and now - self.last_in < hold
            self._card(OVERLOADED if came else NO_PICTURE)

    def load(self, now: float) -> float | None:
        """Processors that filtering takes now; None as long as it is not known."""
        return None if self.cost is None else self.cost * self.metrics.snapshot(now).fps_in

    def close(self) -> None:
        """Nothing is shown any more; the filter is freed by its worker. Twice is once."""
        if self._closed:
            return
        self._closed = True
        self._shown_at = None
        self._epoch += 1
        with self._lock:
            self._waiting = None
            start, self._busy = not self._busy, True
        if start:
            self._workers.submit(self._turn)

    def _turn(self) -> None:
        """In a worker's thread: one frame, then back to the end of the queue, so that lanes take turns."""
        with self._lock:
            work, self._waiting = self._waiting, None
        if work is not None:
            self._filter(work)
        if self._closed:
            self._slot.reset()
            self._freed = True
        with self._lock:
            self._busy = again = self._waiting is not None or (self._closed and not self._freed)
        if again:
            self._workers.submit(self._turn)

    def _filter(self, work: _Work) -> None:
        worked = time.thread_time()
        try:
            if work.epoch != self._slot_epoch:
                self._slot_epoch = work.epoch
                self._slot.reset()
            self._slot.set(self._settings)
            safe = self._slot.process(work.picture, work.arrived)
        except Exception as error:  # noqa: BLE001  # any fault at all must end in a card, not in a raw frame
            self._slot.failure = f"{type(error).__name__}: {error}"
            safe = Cards(work.picture.width, work.picture.height).make(FILTER_FAILED, work.arrived)
        worked = time.thread_time() - worked
        if not safe.card:
            self.cost = worked if self.cost is None else self.cost + _SMOOTH * (worked - self.cost)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._done, work, safe, time.monotonic())

    def _done(self, work: _Work, safe: SafeFrame, finished: float) -> None:
        """Back in the loop: shown, if nothing has happened meanwhile that speaks against it."""
        if self._closed or work.epoch != self._epoch:
            self.metrics.drop("superseded")
            return
        now = time.monotonic()
        if now - work.arrived > LATE:
            self.metrics.drop(CAUSE_LATE)
            return
        self.reason = safe.reason
        self._shown_at = None if safe.card else now
        self._stage.show(safe)
        self.metrics.frame_out(now, None if safe.card else finished - work.arrived)
        if safe.reason is not None:
            self.metrics.shield(safe.reason)

    def _card(self, reason: str) -> None:
        self.reason = reason
        self._shown_at = None
        if self.size is None:
            self._stage.card(reason)
        else:
            self._stage.show(Cards(*self.size).make(reason, time.monotonic()))
        self.metrics.shield(reason)
