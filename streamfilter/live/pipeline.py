"""Camera, ring, filter, outbox and output joined. No threads and no sleep here: each stage is called in turn
by whoever drives it, the supervisor's threads or a test with a clock of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from streamfilter.frame import Frame
from streamfilter.live.board import Board, Hold
from streamfilter.live.capturing import Captured, CaptureStage
from streamfilter.live.filtering import FilterStage
from streamfilter.live.guard import Cards, LiveFilter
from streamfilter.live.outbox import Outbox
from streamfilter.live.ports import Camera, Clock, Picture, VideoOutput
from streamfilter.live.publisher import STARTING
from streamfilter.live.publishing import PublishStage
from streamfilter.live.status import State
from streamfilter.live.wish import Wish
from streamfilter.metrics import Metrics
from streamfilter.ring import FrameRing

T = TypeVar("T")

INTERNAL = "an internal error"

_HELD_STATE = {Hold.PAUSED: State.PAUSED, Hold.WAITING: State.WAITING}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Openers:
    """How the parts are opened, at the start and again. Each raises a PhysioCamError where it cannot."""

    camera: Callable[[], Camera]
    output: Callable[[Picture], VideoOutput]
    filter: Callable[[], LiveFilter]


class Pipeline:
    """The open parts, joined. ``capture_once``, ``filter_once``, ``publish_once`` are for a thread each."""

    def __init__(self, openers: Openers, wish: Wish, clock: Clock) -> None:
        """Opens camera, output (a card shows at once) and filter, in that order; closes them if one fails.

        No frame leaves before all three are there. Raises what the openers raise.
        """
        self.metrics = Metrics()
        self.outbox = Outbox()
        self.board = Board(self.outbox.stir)
        self.ring: FrameRing[Captured] = FrameRing()
        self._clock = clock
        self.closed = False
        self._faulty: dict[str, str] = {}  # stage and what was wrong
        camera = openers.camera()
        self.capture = CaptureStage(camera, openers.camera, self.ring, self.board, self.metrics, clock)
        try:
            self.camera_picture = camera.picture
            self.picture = even(camera.picture)
            cards = Cards(self.picture.width, self.picture.height)
            output = openers.output(self.picture)
        except BaseException:
            self.capture.close()
            raise
        self.publish = PublishStage(
            output,
            lambda: openers.output(self.picture),
            cards,
            self.outbox,
            self.board,
            self.metrics,
            clock,
            self.capture.cadence,
        )
        try:
            self.board.hold(Hold.FILTER, STARTING)
            self.publish.once()
            live_filter = openers.filter()
        except BaseException:
            self.publish.close()
            self.capture.close()
            raise
        self.filter = FilterStage(
            live_filter,
            openers.filter,
            cards,
            self.ring,
            self.outbox,
            self.board,
            self.metrics,
            clock,
            wish,
        )
        self.board.release(Hold.FILTER)

    def capture_once(self, timeout: float = 0.0) -> None:
        """Move one frame from the camera to the ring, or tend to the camera; about ``timeout`` seconds."""
        self._guarded("capture", lambda: self.capture.once(timeout), None)

    def filter_once(self, timeout: float = 0.0) -> bool:
        """Move one frame from the ring to the outbox; whether there was one."""
        return self._guarded("filter", lambda: self.filter.once(timeout), False)

    def publish_once(self) -> float:
        """Show what is due; the moment (s) of what is due next."""
        return self._guarded("publish", self.publish.once, self._clock.now())

    def state(self) -> tuple[State, str | None]:
        """What the output shows, and why."""
        standing, screen = self.board.standing(), self.publish.screen
        if standing is not None:
            usual = State.RESTARTING if self.capture.begun else State.STARTING
            return _HELD_STATE.get(standing.hold, usual), standing.reason
        if screen.reason == STARTING:
            return State.STARTING, None
        reason = screen.reason or self.publish.covered
        return (State.FILTERING, None) if reason is None else (State.SHIELDED, reason)

    def preview(self) -> tuple[Frame, Frame] | None:
        """The newest moment as the camera gave it and as it left; None while the camera is closed."""
        pair, shown = self.filter.pair, self.publish.shown
        if pair is None or shown is None or not self.capture.is_open:
            return None
        return pair.before, shown.frame if shown.card else pair.after.frame

    def is_faulty(self, stage: str) -> bool:
        """Whether the last call of ``capture``, ``filter`` or ``publish`` failed as none foresaw."""
        return stage in self._faulty

    def close(self, leave: Collection[str] = ()) -> None:
        """A last card, then everything is closed but the stages of ``leave``, whose threads still run."""
        self.closed = True
        self.ring.close()
        stages = {"publish": self.publish.close, "filter": self.filter.close, "capture": self.capture.close}
        for name, close in stages.items():
            if name in leave:
                continue
            try:
                close()
            except Exception as error:  # noqa: BLE001  # the others are to be closed too
                _log.warning("closing %s: %s: %s", name, type(error).__name__, error)

    def _guarded(self, stage: str, work: Callable[[], T], otherwise: T) -> T:
        """What no stage foresaw: a card until it works again; the thread goes on."""
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  # the last resort; the stages handle what can be expected
            message = f"{stage}: {type(error).__name__}: {error}"
            if self._faulty.get(stage) != message:
                _log.error("%s", message)
            self._faulty[stage] = message
            self.board.hold(Hold.FAULT, INTERNAL)
            return otherwise
        if stage in self._faulty:
            del self._faulty[stage]
            if not self._faulty:
                self.board.release(Hold.FAULT)
        return result


def even(picture: Picture) -> Picture:
    """The largest picture within this one that has even sides, as virtual cameras need."""
    return Picture(picture.width // 2 * 2, picture.height // 2 * 2, picture.fps)
