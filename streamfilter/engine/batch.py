"""Many streams on one engine: a slot for each, joining and leaving at any frame, one call for all."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Protocol

from streamfilter.contract import TensorSpec
from streamfilter.engine.base import Gain, check_gain, check_inputs
from streamfilter.engine.layout import Layout
from streamfilter.engine.serving import Array
from streamfilter.errors import EngineError, UsageError


class Rows(Protocol):
    """Memory of many streams, a row of each tensor for each slot, and what steps it."""

    def restart(self, slot: int) -> None:
        """Put a slot's state back to the start of a stream."""
        ...

    def step(self, frames: Mapping[int, Mapping[str, Array]]) -> Mapping[int, Gain]:
        """One frame of each slot in ``frames``: its gain map (1, 3, S, S), the caller's own. The other slots
        stay as they are. Raises EngineError; the slots in ``frames`` are then to be restarted."""
        ...


class BatchRunner(Protocol):
    """A graph with room for many streams: :class:`~streamfilter.engine.onnxruntime_serving.OrtRunner` on the
    processor, :class:`~streamfilter.engine.device_session.DeviceSession` on a GPU."""

    name: str
    layout: Layout

    def rows(self, slots: int) -> Rows:
        """Memory for so many streams."""
        ...


class BatchEngine:
    """One engine for up to ``slots`` streams.

    Thread-safe: calls from any thread take turns. Results do not depend on who else is in the batch beyond
    rounding (below 1e-5; tests/test_engine_batch.py).
    """

    def __init__(self, runner: BatchRunner, slots: int) -> None:
        """Raises UsageError unless ``slots`` is at least 1."""
        if slots < 1:
            raise UsageError(f"a batch needs at least 1 slot, not {slots}")
        self.name, self.slots = runner.name, slots
        self._lock = Lock()
        self._single = tuple(
            TensorSpec(spec.name, (1, *spec.shape), spec.dtype) for spec in runner.layout.inputs
        )
        self._rows: Rows | None = runner.rows(slots)
        self._free = list(range(slots))

    def join(self) -> int:
        """A new stream: its slot, the lowest that is free. Raises EngineError where none is, or closed."""
        with self._lock:
            rows = self._open()
            if not self._free:
                raise EngineError(f"all {self.slots} streams of the engine are taken")
            slot = min(self._free)
            self._free.remove(slot)
            rows.restart(slot)
            return slot

    def leave(self, slot: int) -> None:
        """End a stream. Raises EngineError where the slot holds none."""
        with self._lock:
            self._check(slot)
            self._free.append(slot)

    def restart(self, slot: int) -> None:
        """Put a stream back to its start. Raises EngineError where the slot holds none."""
        with self._lock:
            self._check(slot).restart(slot)

    def step(self, frames: Mapping[int, Mapping[str, Array]]) -> dict[int, Gain | EngineError]:
        """One frame of each stream in ``frames``: slot → inputs as for :meth:`Engine.step`.

        Returns for each slot the gain map (1, 3, S, S), the caller's own; or the EngineError of a stream
        whose gain is not finite, which then starts over, while the others go on. Raises EngineError, with no
        stream stepped, where a slot holds no stream or an input has another name, shape or dtype, and where
        a run fails: all streams in ``frames`` then start over.
        """
        with self._lock:
            rows = self._open()
            for slot, inputs in frames.items():
                self._check(slot)
                check_inputs(inputs, self._single)
            if not frames:
                return {}
            try:
                gains = rows.step(frames)
            except EngineError:
                for slot in frames:
                    rows.restart(slot)
                raise
            return {slot: _finite(rows, slot, gain) for slot, gain in gains.items()}

    def close(self) -> None:
        """Free the graph. Closing twice is harmless; other calls after it raise EngineError."""
        with self._lock:
            self._rows = None

    def _open(self) -> Rows:
        if self._rows is None:
            raise EngineError("the engine is closed")
        return self._rows

    def _check(self, slot: int) -> Rows:
        rows = self._open()
        if not 0 <= slot < self.slots or slot in self._free:
            raise EngineError(f"slot {slot} holds no stream: join first")
        return rows


def _finite(rows: Rows, slot: int, gain: Gain) -> Gain | EngineError:
    try:
        check_gain(gain)
    except EngineError as error:
        rows.restart(slot)
        return error
    return gain
