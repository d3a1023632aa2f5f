"""Where a frame's time goes, seen from outside: clocks around finder and engine, none inside the filter.

The filter finds faces, then cuts out and steps each, then writes. So what lies between the finder's end and
a step is the crop (with the clock and noise that go in), and what lies after the last step is the composite
(with the skin beyond the face). The stages add up to the whole because they are cut at the same moments.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt

from streamfilter.engine.base import Engine, Gain, State
from streamfilter.face.finder import FaceFinder
from streamfilter.face.track import TrackedFace
from streamfilter.frame import Frame

FILTER_STAGES = ("detect", "crop", "step", "composite")
_FIND, _STEP = "find", "step"


class Probe:
    """The moments of one frame, in seconds. About a microsecond for each of them."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self._marks: list[tuple[str, float, float]] = []

    def mark(self, what: str, start: float) -> None:
        """``what`` began at ``start`` and ends now."""
        self._marks.append((what, start, self.clock()))

    def cut(self, start: float, end: float) -> dict[str, float]:
        """Milliseconds of each stage of a frame filtered from ``start`` to ``end``; forgets the frame."""
        marks, self._marks = self._marks, []
        spent = dict.fromkeys(FILTER_STAGES, 0.0)
        at = start
        for what, began, ended in marks:
            between = "detect" if what == _FIND else "crop"
            spent[between] += began - at
            spent["detect" if what == _FIND else "step"] += ended - began
            at = ended
        spent["composite"] += end - at
        return {stage: 1000 * seconds for stage, seconds in spent.items()}


class TimedFinder(FaceFinder):
    """The finder, with its times told to a probe."""

    def __init__(self, probe: Probe) -> None:
        super().__init__()
        self._probe = probe

    def find(self, frame: Frame) -> list[TrackedFace]:
        """See :meth:`streamfilter.face.finder.FaceFinder.find`."""
        start = self._probe.clock()
        faces = super().find(frame)
        self._probe.mark(_FIND, start)
        return faces


class TimedEngine:
    """An engine, with the times of its steps told to a probe."""

    def __init__(self, engine: Engine, probe: Probe) -> None:
        self.name, self.reason = engine.name, engine.reason
        self._engine, self._probe = engine, probe

    def init_state(self) -> State:
        """See :meth:`streamfilter.engine.base.Engine.init_state`."""
        return self._engine.init_state()

    def step(self, inputs: Mapping[str, npt.NDArray[Any]], state: State) -> tuple[Gain, State]:
        """See :meth:`streamfilter.engine.base.Engine.step`."""
        start = self._probe.clock()
        stepped = self._engine.step(inputs, state)
        self._probe.mark(_STEP, start)
        return stepped

    def close(self) -> None:
        """See :meth:`streamfilter.engine.base.Engine.close`."""
        self._engine.close()
