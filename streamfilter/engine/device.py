"""An engine whose streams keep their state on the device: a pair of buffers for each, used again later."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from streamfilter.contract import FRAME, TensorSpec
from streamfilter.engine.base import Gain, State, check_gain, check_inputs
from streamfilter.engine.device_buffers import Array, Buffers
from streamfilter.engine.device_session import DeviceSession
from streamfilter.errors import EngineError

WARM_UP = 4  # steps: each of the two bindings is run, and its CUDA graph captured and replayed


class Lane:
    """The buffers of one stream and its place in time. When nobody holds the lane, they serve another."""

    def __init__(self, buffers: Buffers, pool: list[Buffers]) -> None:
        self.frame = 0
        self._buffers = buffers
        weakref.finalize(self, pool.append, buffers)

    def step(self, inputs: Mapping[str, Array]) -> Gain:
        """One frame; the gain is the caller's own."""
        gain = self._buffers.run({**inputs, FRAME: np.array([self.frame])})
        self.frame += 1
        return gain


@dataclass(frozen=True, slots=True, eq=False)
class DeviceState(State):
    """A stream after ``frame`` steps, on its lane."""

    lane: Lane
    frame: int


class DeviceEngine:
    """An :class:`~streamfilter.engine.base.Engine` over a :class:`DeviceSession`."""

    def __init__(self, opened: DeviceSession, single: tuple[TensorSpec, ...], reason: str) -> None:
        """``single`` are the manifest's frame inputs, with their batch of 1. Runs the graph a few times.

        Raises EngineError where it does not run.
        """
        self.name = opened.name
        self.reason = reason
        self._opened: DeviceSession | None = opened
        self._single = single
        self._pool: list[Buffers] = []
        state: State = self.init_state()
        zeros = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in single}
        for _ in range(WARM_UP):
            _, state = self.step(zeros, state)

    def init_state(self) -> DeviceState:
        """See :meth:`streamfilter.engine.base.Engine.init_state`."""
        if self._opened is None:
            raise EngineError("the engine is closed")
        buffers = self._pool.pop() if self._pool else self._opened.buffers(1)
        return DeviceState({}, {}, Lane(buffers, self._pool), 0)

    def step(self, inputs: Mapping[str, Array], state: State) -> tuple[Gain, State]:
        """See :meth:`streamfilter.engine.base.Engine.step`."""
        if self._opened is None:
            raise EngineError("the engine is closed")
        if not isinstance(state, DeviceState) or state.frame != state.lane.frame:
            raise EngineError("the state is another engine's, or was stepped already")
        check_inputs(inputs, self._single)
        gain = state.lane.step(inputs)
        check_gain(gain)
        return gain, DeviceState({}, {}, state.lane, state.lane.frame)

    def close(self) -> None:
        """See :meth:`streamfilter.engine.base.Engine.close`."""
        self._opened = None
        self._pool.clear()
