"""A simulated camera, output and clock, and filters to go with them, for tests of the live pipeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from streamfilter.errors import SinkError, SourceError
from streamfilter.face.box import FaceBox
from streamfilter.frame import ColorSpec, Frame
from streamfilter.live.ports import LIVE_TIME_BASE, Clock, Picture

PICTURE = Picture(160, 120, 30.0)


class ManualClock:
    """Time as the test sets it."""

    def __init__(self, start: float = 1000.0) -> None:
        self.seconds = start
        self.slept = 0.0

    def now(self) -> float:
        return self.seconds

    def since_boot(self) -> float:
        return self.seconds + self.slept


def live_frame(seconds: float, width: int = 160, height: int = 120, level: int = 120) -> Frame:
    """A plain frame of one luma level."""
    chroma = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    luma = np.full((height, width), level, np.uint8)
    return Frame(luma, chroma, chroma.copy(), round(seconds / LIVE_TIME_BASE), LIVE_TIME_BASE, ColorSpec())


@dataclass
class SimulatedCamera:
    """Gives the frames of ``draw`` at its rate, by the clock it is given; newest only, as drivers do.

    ``plugged`` False: reading and opening fail. ``stalled``: nothing comes. ``fault`` is raised by the next
    read. ``skew`` is added to the capture time that it claims.
    """

    clock: Clock
    draw: Callable[[int, float], Frame] = lambda index, seconds: live_frame(seconds)
    picture: Picture = PICTURE
    name: str = "simulated camera"
    pixel_format: str = "YUYV"
    plugged: bool = True
    stalled: bool = False
    fault: Exception | None = None
    skew: float = 0.0
    index: int = 0
    opened: int = 0
    closed: int = 0
    is_open: bool = False
    due: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)

    def open(self) -> SimulatedCamera:
        if not self.plugged:
            raise SourceError("the simulated camera is not plugged in: plug it in")
        self.opened += 1
        self.is_open = True
        self.ended.clear()
        self.due = self.clock.now()
        return self

    def read(self, timeout: float) -> Frame | None:
        if not self.plugged or not self.is_open:
            raise SourceError("the simulated camera has gone: plug it in again")
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        if self.stalled or self.clock.now() + timeout < self.due:
            self._pass_time(timeout)
            return None
        self._pass_time(max(0.0, self.due - self.clock.now()))
        now = self.clock.now()
        if self.stalled or now < self.due:
            return None
        self.index += 1
        self.due = max(self.due + 1 / self.picture.fps, now - 1 / self.picture.fps)
        return self.draw(self.index, now + self.skew)

    def close(self) -> None:
        self.closed += 1
        self.is_open = False
        self.ended.set()

    def _pass_time(self, seconds: float) -> None:
        if seconds > 0 and not isinstance(self.clock, ManualClock):
            self.ended.wait(seconds)


@dataclass
class SimulatedOutput:
    """Keeps what ``inspect`` makes of each frame. ``gone``: writing and opening fail; ``fault`` once."""

    clock: Clock
    inspect: Callable[[Frame], None] = lambda frame: None
    picture: Picture = PICTURE
    name: str = "simulated output"
    gone: bool = False
    fault: Exception | None = None
    readers: int | None = None
    delay: float = 0.0
    count: int = 0
    opened: int = 0
    closed: int = 0
    is_open: bool = False

    def open(self, picture: Picture) -> SimulatedOutput:
        if self.gone:
            raise SinkError("the simulated output is not there: load its module")
        self.picture = picture
        self.opened += 1
        self.is_open = True
        return self

    def write(self, frame: Frame) -> None:
        if self.gone or not self.is_open:
            raise SinkError("the simulated output has gone")
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        if (frame.width, frame.height) != (self.picture.width, self.picture.height):
            raise ValueError(f"a frame of {frame.width}x{frame.height} for an output of {self.picture}")
        if self.delay:
            time.sleep(self.delay)
        self.count += 1
        self.inspect(frame)

    def watchers(self) -> int | None:
        return self.readers

    def close(self) -> None:
        self.closed += 1
        self.is_open = False


@dataclass(frozen=True)
class Edited:
    frame: Frame
    faces: int = 1
    shielded: str | None = None
    boxes: Mapping[int, FaceBox] = field(default_factory=dict)
    unseen: float = 0.0


@dataclass
class PlainFilter:
    """Inverts luma; ``faces`` 0, ``unseen`` and ``fault`` are set by tests, ``before`` is called first."""

    faces: int = 1
    shielded: str | None = None
    fault: Exception | None = None
    before: Callable[[], None] = lambda: None
    count: int = 0
    closed: bool = False
    bpm: float = 70.0
    strength: float = 1.0
    unseen: float = 0.0

    def process(self, frame: Frame) -> Edited:
        self.before()
        self.count += 1
        if self.fault is not None:
            raise self.fault
        if not self.faces:
            return Edited(frame, 0)
        inverted = (251 - np.clip(frame.y, 16, 235)).astype(np.uint8)
        edited = frame.with_planes(inverted, frame.u, frame.v)
        return Edited(edited, self.faces, self.shielded, unseen=self.unseen)

    def set_target(self, bpm: float) -> None:
        self.bpm = bpm

    def set_strength(self, strength: float) -> None:
        self.strength = strength

    def close(self) -> None:
        self.closed = True
