"""One stream on the serving graph: memory bound once, two sets of small states, rings written in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from streamfilter.contract import FRAME, TensorSpec
from streamfilter.engine.base import Gain, State, check_gain, check_inputs
from streamfilter.engine.layout import Layout, Ring
from streamfilter.errors import EngineError

Array = npt.NDArray[Any]


class Bound(Protocol):
    """A graph with its memory."""

    def run(self) -> None:
        """One step. Raises EngineError."""
        ...


class Runner(Protocol):
    """A library that runs the serving graph. Arrays have the batch first; they are read and written where
    they lie, and have to stay there as long as the bound run is used."""

    name: str
    layout: Layout

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Bound: ...


@dataclass(frozen=True, slots=True, eq=False)
class LaneState(State):
    """A stream after ``frame`` steps, in the memory of its lane."""

    lane: Lane
    frame: int


class Lane:
    """The memory of one stream, bound twice: each binding reads one set of states and writes the other."""

    def __init__(self, runner: Runner) -> None:
        layout = runner.layout
        self.frame = 0
        self._count = np.zeros(1, np.int64)
        self._given = {spec.name: empty(spec, 1) for spec in layout.inputs}
        self._gain = empty(layout.gain, 1)
        self._rings = [(ring, empty(ring.ring, 1), empty(ring.row, 1)) for ring in layout.rings]
        sets = [[empty(spec, 1) for spec, _ in layout.states] for _ in range(2)]
        fixed = {**self._given, FRAME: self._count} | {
            ring.ring.name: memory for ring, memory, _ in self._rings
        }
        rows = {layout.gain.name: self._gain} | {ring.row.name: row for ring, _, row in self._rings}
        self._runs = [
            runner.bind(
                fixed | {spec.name: one for (spec, _), one in zip(layout.states, now, strict=True)},
                rows | {spec.name: one for (_, spec), one in zip(layout.states, after, strict=True)},
            )
            for now, after in (sets, sets[::-1])
        ]

    def step(self, inputs: Mapping[str, Array]) -> Gain:
        """One frame; the gain is the caller's own."""
        for name, memory in self._given.items():
            np.copyto(memory, inputs[name])
        self._count[0] = self.frame
        self._runs[self.frame % 2].run()
        for ring, memory, row in self._rings:
            memory[place(ring, self.frame)] = row
        self.frame += 1
        return self._gain.copy()


class ServingEngine:
    """An :class:`~streamfilter.engine.base.Engine` over a :class:`Runner`."""

    def __init__(self, runner: Runner, single: tuple[TensorSpec, ...], reason: str) -> None:
        """``single`` are the manifest's frame inputs, with their batch of 1."""
        self.name = runner.name
        self.reason = reason
        self._runner: Runner | None = runner
        self._single = single

    def init_state(self) -> LaneState:
        """See :meth:`streamfilter.engine.base.Engine.init_state`."""
        if self._runner is None:
            raise EngineError("the engine is closed")
        return LaneState({}, {}, Lane(self._runner), 0)

    def step(self, inputs: Mapping[str, Array], state: State) -> tuple[Gain, State]:
        """See :meth:`streamfilter.engine.base.Engine.step`."""
        if self._runner is None:
            raise EngineError("the engine is closed")
        if not isinstance(state, LaneState) or state.frame != state.lane.frame:
            raise EngineError("the state is another engine's, or was stepped already")
        check_inputs(inputs, self._single)
        gain = state.lane.step(inputs)
        check_gain(gain)
        return gain, LaneState({}, {}, state.lane, state.lane.frame)

    def close(self) -> None:
        """See :meth:`streamfilter.engine.base.Engine.close`."""
        self._runner = None


def empty(spec: TensorSpec, streams: int) -> Array:
    """Zeroed memory of a tensor for so many streams."""
    return np.zeros((streams, *spec.shape), spec.dtype)


def place(ring: Ring, frame: int) -> tuple[slice, ...]:
    """Where in the ring's memory, batch first, the row of ``frame`` goes."""
    at = frame % ring.length
    return (slice(None),) * (ring.axis + 1) + (slice(at, at + 1),)
