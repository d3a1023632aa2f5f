"""The whole live pipeline without threads, under a manual clock, with a mark in every camera frame.

A stage that takes its time (a slow filter, an output that blocks) lets the others run on meanwhile, by
``Simulation.elsewhere``: the order of events is that of threads, and always the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from streamfilter.errors import ArtifactError
from streamfilter.frame import Frame, Plane
from streamfilter.live.ports import Picture
from streamfilter.live.supervisor import Parts, Supervisor
from streamfilter.live.target import FixedRate
from tests.live_devices import Edited, ManualClock, PlainFilter, SimulatedCamera, SimulatedOutput, live_frame

STEP = 0.005  # seconds between two turns of the stages
CELLS, TINT = 8, 77  # of the mark: cells a side, and its chroma

_KEY = np.random.default_rng(20).permutation(np.repeat([40, 220], CELLS * CELLS // 2)).reshape(CELLS, CELLS)


def _block(plane: Plane) -> tuple[slice, slice]:
    """The middle of a picture, where the face is: a fifth of its height and 4 / 15 of its width, at most."""
    height, width = plane.shape
    tall, wide = height * 4 // 15, width // 5
    top, left = (height - tall) // 2, (width - wide) // 2
    return slice(top, top + tall), slice(left, left + wide)


def marked(seconds: float, width: int = 160, height: int = 120) -> Frame:
    """A camera's frame with the mark where the face is."""
    frame = live_frame(seconds, width, height)
    rows, columns = _block(frame.y)
    tall, wide = rows.stop - rows.start, columns.stop - columns.start
    across, down = np.arange(wide) * CELLS // wide, np.arange(tall) * CELLS // tall
    frame.y[rows, columns] = _KEY[down[:, None], across[None, :]]
    frame.u[_block(frame.u)] = TINT
    return frame


def shows_mark(frame: Frame) -> bool:
    """Whether the mark is in the frame: its chroma, or most cells of its luma."""
    block = frame.y[_block(frame.y)]
    tall, wide = (side // CELLS * CELLS for side in block.shape)
    cells = block[:tall, :wide].reshape(CELLS, tall // CELLS, CELLS, wide // CELLS).mean(axis=(1, 3))
    alike = np.mean((cells > 128) == (_KEY > 128))
    return bool(alike > 0.75 or np.mean(np.abs(frame.u[_block(frame.u)].astype(int) - TINT) < 4) > 0.1)


def is_card(frame: Frame) -> bool:
    return bool((frame.u == 128).all() and (frame.v == 128).all() and np.median(frame.y) == 96)


@dataclass
class MarkFilter(PlainFilter):
    """Edits the mark away, as the real one edits a face; ``dead``: the engine is gone for good."""

    dead: bool = False

    def process(self, frame: Frame) -> Edited:
        self.before()
        self.count += 1
        if self.fault is not None:
            raise self.fault
        if self.dead:
            raise RuntimeError("the engine was killed, as this test wants")
        if not self.faces:
            return Edited(frame, 0)
        y, u = frame.y.copy(), frame.u.copy()
        y[_block(y)] = 255 - y[_block(y)]
        u[_block(u)] = 150
        return Edited(frame.with_planes(y, u, frame.v), self.faces, self.shielded)


@dataclass
class Seen:
    """One picture that left."""

    seconds: float
    card: bool
    leak: bool
    age: float


@dataclass
class Simulation:
    """Camera, pipeline and output; ``run`` advances the clock and gives each stage its turns."""

    clock: ManualClock = field(default_factory=ManualClock)
    seen: list[Seen] = field(default_factory=list)
    filters: list[MarkFilter] = field(default_factory=list)
    artifact_missing: bool = False
    size: tuple[int, int] = (160, 120)
    while_making: Callable[[], None] = lambda: None
    while_filtering: Callable[[], None] = lambda: None
    while_writing: Callable[[], None] = lambda: None
    busy: set[str] = field(default_factory=set)
    turns: int = 0

    def __post_init__(self) -> None:
        self.camera = SimulatedCamera(self.clock, lambda index, seconds: marked(seconds, *self.size))
        self.output = SimulatedOutput(self.clock, self._inspect)
        parts = Parts(lambda name: self.camera.open(), self.output.open, self._make_filter)
        self.supervisor = Supervisor(parts, FixedRate(70.0), clock=self.clock)

    @property
    def filter(self) -> MarkFilter:
        return self.filters[-1]

    def run(self, seconds: float) -> None:
        """Let this much time pass."""
        end = self.clock.seconds + seconds - STEP / 2
        pipeline = self.supervisor.pipeline
        stages: dict[str, Callable[[], object]] = {
            "capture": pipeline.capture_once,
            "filter": pipeline.filter_once,
            "publish": pipeline.publish_once,
        }
        while self.clock.seconds < end:
            self.clock.seconds += STEP
            self.turns += 1
            for name, once in stages.items():
                if name not in self.busy:
                    once()
            if self.turns % 10 == 0:
                self.supervisor.tick()

    def elsewhere(self, stage: str, seconds: float) -> None:
        """``stage`` is busy for so long; the others run on."""
        if stage in self.busy or seconds <= 0:
            return
        self.busy.add(stage)
        self.run(seconds)
        self.busy.discard(stage)

    def leaks(self) -> int:
        return sum(one.leak for one in self.seen)

    def first_card(self, since: float) -> float:
        """Seconds from ``since`` to the first card after it."""
        return next(one.seconds for one in self.seen if one.card and one.seconds >= since) - since

    def first_edit(self, since: float) -> float:
        """Seconds from ``since`` to the first edited frame after it."""
        return next(one.seconds for one in self.seen if not one.card and one.seconds >= since) - since

    def edits(self, since: float, until: float = float("inf")) -> int:
        return sum(not one.card for one in self.seen if since <= one.seconds < until)

    def _make_filter(self) -> MarkFilter:
        self.while_making()
        if self.artifact_missing:
            raise ArtifactError("there is no artifact: put it back")
        made = MarkFilter(before=lambda: self.while_filtering())
        self.filters.append(made)
        return made

    def _inspect(self, frame: Frame) -> None:
        age = self.clock.now() - frame.seconds
        self.seen.append(Seen(self.clock.now(), is_card(frame), shows_mark(frame), age))
        self.while_writing()


def picture_of(simulation: Simulation) -> Picture:
    return simulation.supervisor.pipeline.picture
