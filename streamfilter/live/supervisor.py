"""The supervisor: one thread for each stage, all started and joined here, and all decisions about them.

Threads do their stage's work and report; what is wanted (camera open or not, a new start after the machine's
sleep, a camera that hangs) is decided in :meth:`Supervisor.tick`, which does not block.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamfilter.errors import UsageError
from streamfilter.live.board import Hold
from streamfilter.live.demand import Demand
from streamfilter.live.guard import LiveFilter
from streamfilter.live.meter import read_pulse
from streamfilter.live.pipeline import Openers, Pipeline
from streamfilter.live.ports import Camera, Clock, Picture, SystemClock, VideoOutput
from streamfilter.live.status import Pulse, State, Status
from streamfilter.live.target import Target, parse_target
from streamfilter.live.wish import Wish
from streamfilter.web.control import Preview

PAUSED = "paused"
RESUMED = "the computer has slept"
OTHER_CAMERA = "another camera is being opened"
SLEPT = 2.0  # seconds of sleep that count
HANGS = 3.0  # seconds in one read of the camera, which should take a twentieth
STOP_WITHIN = 0.8  # seconds until threads that still run are left behind
PREVIEWED = 1.0  # seconds after its last look, a page counts as watching
_TICK = 0.05  # seconds
_SWITCH_INTERVAL = 1e-3  # seconds
_METER_PERIOD = 1.0  # seconds

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """How the parts are opened (each may raise a PhysioCamError) and what cameras there are.

    ``open_camera`` takes the name that the user chose (None: as the settings say); ``engine`` names what
    runs the network, once the filter has been made.
    """

    open_camera: Callable[[str | None], Camera]
    open_output: Callable[[Picture], VideoOutput]
    make_filter: Callable[[], LiveFilter]
    cameras: Callable[[], Sequence[str]] = tuple
    engine: Callable[[], str] = str


class Supervisor:
    """Runs the live filter. Its methods may be called from any thread, see ``streamfilter.web.control``;
    ``start``, ``tick``, ``run`` and ``stop`` are for the one that owns it."""

    def __init__(
        self, parts: Parts, target: Target, *, always_on: bool = False, clock: Clock | None = None
    ) -> None:
        """Opens nothing yet. ``always_on``: the camera stays open while nobody watches."""
        self._parts = parts
        self._clock = clock or SystemClock()
        self._always_on = always_on
        self._wish = Wish(target)
        self._camera: str | None = None
        self._pipeline: Pipeline | None = None
        self._pulse = Pulse()
        self._previewed = float("-inf")
        self._demand = Demand(self._clock.now())
        self._slept = self._sleep()
        self._started = self._clock.now()
        self._stopping = threading.Event()
        self._threads: dict[str, threading.Thread] = {}
        self._interval: float | None = None

    @property
    def pipeline(self) -> Pipeline:
        """What runs. Raises RuntimeError before ``prepare``."""
        if self._pipeline is None:
            raise RuntimeError("the pipeline is not prepared")
        return self._pipeline

    def prepare(self) -> None:
        """Open camera, output and filter, without threads. Raises PhysioCamError; nothing stays open then."""
        openers = Openers(
            lambda: self._parts.open_camera(self._camera), self._parts.open_output, self._parts.make_filter
        )
        self._started = self._clock.now()
        self._pipeline = Pipeline(openers, self._wish, self._clock)
        self._demand = Demand(self._clock.now())

    def start(self) -> None:
        """``prepare``, then a thread for each stage."""
        self.prepare()
        # A stage that wakes waits for the interpreter until the running one yields: 5 ms by default.
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_INTERVAL)
        for name, loop in (
            ("publish", self._publish_loop),
            ("filter", self._filter_loop),
            ("capture", self._capture_loop),
            ("meter", self._meter_loop),
        ):
            # Daemons: a driver that hangs must not keep the program from ending.
            self._threads[name] = threading.Thread(target=loop, name=f"physio-cam {name}", daemon=True)
            self._threads[name].start()

    def run(
        self,
        stop: Callable[[], bool],
        each: Callable[[], None] = lambda: None,
        seconds: float | None = None,
    ) -> None:
        """Supervise until ``stop`` turns true or ``seconds`` have passed; ``each`` is called at each tick."""
        end = None if seconds is None else time.monotonic() + seconds
        while not stop() and not self._stopping.is_set() and (end is None or time.monotonic() < end):
            self.tick()
            each()
            time.sleep(_TICK)

    def tick(self) -> None:
        """Decide what is wanted now. Does not block."""
        pipeline, now = self.pipeline, self._clock.now()
        slept = self._sleep()
        if slept - self._slept > SLEPT:
            pipeline.capture.reopen(RESUMED)
        self._slept = slept
        watchers = pipeline.publish.watchers
        if watchers == 0 and now - self._previewed < PREVIEWED:
            watchers = 1
        self._demand = self._demand.after(watchers, now, always=self._always_on)
        pipeline.capture.want(self._demand.wants_camera(now))
        reading_since = pipeline.capture.reading_since
        if reading_since is not None and now - reading_since > HANGS:
            pipeline.capture.hang_up()

    def stop(self) -> None:
        """End the threads and close everything, the output after a last card; within a second."""
        self._stopping.set()
        pipeline = self._pipeline
        if pipeline is None or pipeline.closed:
            return
        pipeline.ring.close()
        pipeline.outbox.stir()
        end = time.monotonic() + STOP_WITHIN
        for thread in self._threads.values():
            thread.join(max(0.0, end - time.monotonic()))
        stuck = {name for name, thread in self._threads.items() if thread.is_alive()}
        for name in sorted(stuck):
            _log.warning("the %s thread did not end in time and is left behind", name)
        pipeline.close(leave=stuck)
        if self._interval is not None:
            sys.setswitchinterval(self._interval)

    def wait_for_threads(self, seconds: float) -> bool:
        """After ``stop``: give threads that were left behind so long to end; whether all have."""
        end = time.monotonic() + seconds
        for thread in self._threads.values():
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads.values())

    def status(self) -> Status:
        """A snapshot."""
        pipeline, now = self.pipeline, self._clock.now()
        state, reason = pipeline.state()
        counts = pipeline.metrics.snapshot(now)
        return Status(
            state=State.STOPPED if self._stopping.is_set() else state,
            reason=reason,
            camera=pipeline.capture.name,
            output=pipeline.publish.name,
            engine=self._parts.engine(),
            target=str(self._wish),
            fps_in=counts.fps_in,
            fps_out=counts.fps_out,
            latency_p50=counts.latency_p50,
            latency_p99=counts.latency_p99,
            frames=counts.frames,
            dropped=counts.dropped,
            shielded=counts.shielded,
            restarts=counts.restarts,
            watchers=pipeline.publish.watchers,
            pulse=self._pulse,
            uptime=now - self._started,
        )

    def preview(self) -> Preview | None:
        """The newest moment. Who looks counts as somebody who watches: the camera opens for it."""
        self._previewed = self._clock.now()
        pair = self.pipeline.preview()
        return None if pair is None else Preview(*pair)

    def set_target(self, text: str) -> None:
        """Show this from the next frame on, without a jump in phase. Raises UsageError."""
        self._wish.set(parse_target(text))

    def pause(self, on: bool) -> None:
        """Shield the output, or filter again."""
        if on:
            self.pipeline.board.hold(Hold.PAUSED, PAUSED)
        else:
            self.pipeline.board.release(Hold.PAUSED)

    def cameras(self) -> Sequence[str]:
        """The names of the cameras that are there."""
        return self._parts.cameras()

    def choose_camera(self, name: str) -> None:
        """Go on with this camera; a card shows until it runs. Raises UsageError where it is not there."""
        if name not in self.cameras():
            raise UsageError(
                f"there is no camera {name!r}: choose one of {', '.join(self.cameras()) or 'none'}"
            )
        self._camera = name
        self.pipeline.capture.reopen(OTHER_CAMERA)

    def _sleep(self) -> float:
        return self._clock.since_boot() - self._clock.now()

    def _capture_loop(self) -> None:
        while not self._stopping.is_set():
            self.pipeline.capture_once(_TICK)
            self._breathe("capture")

    def _filter_loop(self) -> None:
        while not self._stopping.is_set():
            self.pipeline.filter_once(_TICK)
            self._breathe("filter")

    def _publish_loop(self) -> None:
        while not self._stopping.is_set():
            due = self.pipeline.publish_once()
            self._breathe("publish")
            self.pipeline.outbox.wait(min(max(due - self._clock.now(), 0.0), _TICK))

    def _meter_loop(self) -> None:
        while not self._stopping.wait(_METER_PERIOD):
            try:
                self._pulse = read_pulse(self.pipeline.filter.traces.read(), self._wish.bpm)
                self._wish.saw(self._pulse.true)
            except Exception as error:  # noqa: BLE001  # a figure less is no reason to end
                _log.error("meter: %s: %s", type(error).__name__, error)

    def _breathe(self, stage: str) -> None:
        """A stage that fails at once, again and again, must not take the whole machine."""
        if self.pipeline.is_faulty(stage):
            self._stopping.wait(_TICK)
