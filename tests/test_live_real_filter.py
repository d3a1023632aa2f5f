"""The live pipeline with the real filter on a real face: no face region leaves as the camera saw it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pytest

from streamfilter.config import FilterSettings
from streamfilter.errors import EngineError
from streamfilter.face_filter import VideoFilter, build_filter
from streamfilter.frame import Frame
from streamfilter.live.guard import NO_FACE, UNSEEN, Guard
from streamfilter.live.ports import Picture
from streamfilter.live.status import State
from streamfilter.live.supervisor import Parts, Supervisor
from streamfilter.live.target import FixedRate
from tests.face_scene import frame_of, scene
from tests.live_devices import SimulatedOutput
from tests.live_simulation import Seen, Simulation, is_card
from tests.test_live_canary import LeakyGuard

WIDTH, HEIGHT, FACE = 320, 240, 110
SETTLE = 0.5


@cache
def poses() -> list[Frame]:
    """A head that sways, once forth; the camera shows it forth and back. The first is the empty room."""
    places = [(160.0 + 4 * math.sin(index / 5), 120 + 3 * math.sin(index / 7)) for index in range(12)]
    pictures = [scene([], WIDTH, HEIGHT), *(scene([(x, y, FACE)], WIDTH, HEIGHT) for x, y in places)]
    return [frame_of(picture) for picture in pictures]


@dataclass
class FaceSimulation(Simulation):
    """As ``Simulation``, with a face instead of the mark; ``empty``: the person has left."""

    empty: bool = False
    sources: set[bytes] = field(default_factory=set)
    real: list[VideoFilter] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.camera.picture = Picture(WIDTH, HEIGHT, 30.0)
        self.camera.draw = self._draw
        self.output = SimulatedOutput(self.clock, self._see)
        parts = Parts(lambda name: self.camera.open(), self.output.open, self._build)
        self.supervisor = Supervisor(parts, FixedRate(90.0), clock=self.clock)
        self._noise = np.random.default_rng(3)

    def _draw(self, index: int, seconds: float) -> Frame:
        room, *faces = poses()
        order = [*range(len(faces)), *range(len(faces) - 2, 0, -1)]
        frame = replace(room if self.empty else faces[order[index % len(order)]], pts=round(seconds * 1e6))
        noise = self._noise.integers(-1, 2, frame.y.shape, np.int8).view(np.uint8)
        noisy = frame.with_planes(frame.y + noise, frame.u, frame.v)  # no level is at either end
        if not self.empty:
            self.sources.add(region(noisy))
        return noisy

    def _build(self) -> VideoFilter:
        made = build_filter(FilterSettings(target_bpm=90.0, seed=1, settle_seconds=SETTLE))
        self.real.append(made)
        return made

    def _see(self, frame: Frame) -> None:
        leak = region(frame) in self.sources
        self.seen.append(Seen(self.clock.now(), is_card(frame), leak, self.clock.now() - frame.seconds))


def region(frame: Frame) -> bytes:
    """The middle of the face, luma and chroma: no noise or sway makes two of them the same by chance."""
    rows, columns = slice(100, 140), slice(145, 175)
    half = slice(50, 70), slice(72, 88)
    return frame.y[rows, columns].tobytes() + frame.u[half].tobytes() + frame.v[half].tobytes()


def break_engine(video: VideoFilter) -> None:
    def broken(*arguments: object) -> None:
        raise EngineError("the engine was killed, as this test wants")

    video.engine.step = broken  # type: ignore[assignment,method-assign]


def test_a_face_leaves_edited_or_not_at_all_through_faults_of_the_real_filter() -> None:
    simulation = FaceSimulation()
    simulation.supervisor.prepare()
    simulation.run(1.2)
    status = simulation.supervisor.status()
    assert status.state is State.FILTERING and status.dropped == {}
    assert "settling" in status.shielded

    step = simulation.real[0].engine.step
    break_engine(simulation.real[0])
    struck = simulation.clock.seconds
    simulation.run(0.3)
    assert simulation.first_card(struck) <= 0.1
    simulation.real[0].engine.step = step  # type: ignore[method-assign]
    simulation.run(1.0)
    assert simulation.supervisor.status().state is State.FILTERING

    # The detector and the tracker lose the face, the person is still there: the edit stays where it was.
    finder = simulation.real[0]._finder
    find = finder.find
    finder.find = lambda frame: []  # type: ignore[method-assign]
    lost = simulation.clock.seconds
    simulation.run(UNSEEN - 0.2)
    assert simulation.supervisor.status().state is State.FILTERING
    # It does not do so for ever: what looks like skin there could be a wall.
    simulation.run(0.5)
    assert simulation.supervisor.status().reason == NO_FACE
    assert simulation.edits(lost + UNSEEN + 0.2) == 0
    # Whoever is found again where the edit went on need not settle anew.
    finder.find = find  # type: ignore[method-assign]
    simulation.run(0.4)
    assert simulation.supervisor.status().state is State.FILTERING

    simulation.empty = True
    simulation.run(2.0)
    assert simulation.supervisor.status().reason == NO_FACE
    simulation.empty = False
    simulation.run(1.2)

    break_engine(simulation.real[0])
    simulation.run(2.5)
    assert len(simulation.real) >= 2
    assert simulation.supervisor.status().state is State.FILTERING
    simulation.supervisor.stop()
    assert simulation.leaks() == 0
    assert simulation.edits(0.0) > 150


def test_the_test_above_would_see_a_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfilter.live.filtering.Guard", LeakyGuard)
    simulation = FaceSimulation()
    simulation.supervisor.prepare()
    assert issubclass(LeakyGuard, Guard)
    break_engine(simulation.real[0])
    simulation.run(0.5)
    simulation.supervisor.stop()
    assert simulation.leaks() > 5


def test_the_meter_sees_the_face() -> None:
    simulation = FaceSimulation()
    simulation.supervisor.prepare()
    simulation.run(1.2)
    traces = simulation.supervisor.pipeline.filter.traces.read()
    assert len(traces.seconds) > 10
    assert not np.array_equal(traces.before, traces.after)
    assert abs(traces.before - traces.after).max() < 0.05
    simulation.supervisor.stop()
