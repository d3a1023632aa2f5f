"""Many streams on one engine: a slot for each, joining and leaving at any frame, one run for all."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from threading import Lock

import numpy as np

from streamfilter.contract import FRAME
from streamfilter.engine.base import Gain, check_gain, check_inputs
from streamfilter.engine.layout import Layout
from streamfilter.engine.serving import Array, Bound, Runner, empty, place
from streamfilter.errors import EngineError, UsageError

_KEPT = 256  # bindings of runs of slots that are kept ready


class BatchEngine:
    """One engine for up to ``slots`` streams.

    The state of all streams lies in one block of memory for each tensor, a row a slot. A step binds the rows
    of the slots that have a frame, where they lie; neighbours go in one run of the graph, so that gaps make
    more runs. No stream's state is moved for another's sake; a stream's own small states
    (75 KB of the default artifact's 660) are written back after its step, its rings by one row.

    Thread-safe: calls from any thread take turns. Results do not depend on who else is in the batch beyond
    rounding (below 1e-5; tests/test_engine_batch.py).
    """

    def __init__(self, runner: Runner, slots: int) -> None:
        """Raises UsageError unless ``slots`` is at least 1."""
        if slots < 1:
            raise UsageError(f"a batch needs at least 1 slot, not {slots}")
        layout = runner.layout
        self.name, self.slots = runner.name, slots
        self._lock = Lock()
        self._runner: Runner | None = runner
        self._layout: Layout = layout
        self._free = list(range(slots))
        self._frames = np.zeros(slots, np.int64)
        self._given = {spec.name: empty(spec, slots) for spec in layout.inputs}
        self._gain = empty(layout.gain, slots)
        self._now = {spec.name: empty(spec, slots) for spec, _ in layout.states}
        self._after = {spec.name: empty(spec, slots) for _, spec in layout.states}
        self._rings = {ring.ring.name: empty(ring.ring, slots) for ring in layout.rings}
        self._rows = {ring.row.name: empty(ring.row, slots) for ring in layout.rings}
        self._bound: dict[tuple[int, int], Bound] = {}

    def join(self) -> int:
        """A new stream: its slot, the lowest that is free. Raises EngineError where none is, or closed."""
        with self._lock:
            self._open()
            if not self._free:
                raise EngineError(f"all {self.slots} streams of the engine are taken")
            slot = min(self._free)
            self._free.remove(slot)
            self._restart(slot)
            return slot

    def leave(self, slot: int) -> None:
        """End a stream. Raises EngineError where the slot holds none."""
        with self._lock:
            self._check(slot)
            self._free.append(slot)

    def restart(self, slot: int) -> None:
        """Put a stream back to its start. Raises EngineError where the slot holds none."""
        with self._lock:
            self._check(slot)
            self._restart(slot)

    def step(self, frames: Mapping[int, Mapping[str, Array]]) -> dict[int, Gain | EngineError]:
        """One frame of each stream in ``frames``: slot → inputs as for :meth:`Engine.step`.

        Returns for each slot the gain map (1, 3, S, S), the caller's own; or the EngineError of a stream
        whose gain is not finite, which then starts over, while the others go on. Raises EngineError, with no
        stream stepped, where a slot holds no stream or an input has another name, shape or dtype, and where
        a run fails: all streams in ``frames`` then start over.
        """
        with self._lock:
            runner = self._open()
            single = tuple(
                type(spec)(spec.name, (1, *spec.shape), spec.dtype) for spec in self._layout.inputs
            )
            for slot, inputs in frames.items():
                self._check(slot)
                check_inputs(inputs, single)
            for slot, inputs in frames.items():
                for name, value in inputs.items():
                    self._given[name][slot] = value[0]
            try:
                for part in neighbours(sorted(frames)):
                    self._run(runner, part)
            except EngineError:
                for slot in frames:
                    self._restart(slot)
                raise
            return {slot: self._result(slot) for slot in frames}

    def close(self) -> None:
        """Free the graph. Closing twice is harmless; other calls after it raise EngineError."""
        with self._lock:
            self._runner = None
            self._bound.clear()

    def _run(self, runner: Runner, part: slice) -> None:
        key = (part.start, part.stop)
        if key not in self._bound:
            if len(self._bound) >= _KEPT:
                self._bound.pop(next(iter(self._bound)))
            self._bound[key] = runner.bind(
                {
                    name: memory[part]
                    for name, memory in (
                        self._given | self._now | self._rings | {FRAME: self._frames}
                    ).items()
                },
                {
                    name: memory[part]
                    for name, memory in (
                        self._after | self._rows | {self._layout.gain.name: self._gain}
                    ).items()
                },
            )
        self._bound[key].run()
        for spec, following in self._layout.states:
            self._now[spec.name][part] = self._after[following.name][part]
        for ring in self._layout.rings:
            memory, rows = self._rings[ring.ring.name], self._rows[ring.row.name]
            for slot in range(part.start, part.stop):
                at = place(ring, int(self._frames[slot]))[1:]
                memory[slot][at] = rows[slot]
        self._frames[part] += 1

    def _result(self, slot: int) -> Gain | EngineError:
        gain: Gain = self._gain[slot : slot + 1].copy()
        try:
            check_gain(gain)
        except EngineError as error:
            self._restart(slot)
            return error
        return gain

    def _restart(self, slot: int) -> None:
        # Rings too: a row that is not finite would spoil the sums even with a weight of zero.
        for memory in (*self._now.values(), *self._rings.values()):
            memory[slot] = 0
        self._frames[slot] = 0

    def _open(self) -> Runner:
        if self._runner is None:
            raise EngineError("the engine is closed")
        return self._runner

    def _check(self, slot: int) -> None:
        self._open()
        if not 0 <= slot < self.slots or slot in self._free:
            raise EngineError(f"slot {slot} holds no stream: join first")


def neighbours(slots: list[int]) -> list[slice]:
    """Sorted slots as the fewest slices without gaps."""
    if not slots:
        return []
    cuts = [after for before, after in pairwise(slots) if after != before + 1]
    starts = [slots[0], *cuts]
    ends = [before + 1 for before, after in pairwise(slots) if after != before + 1] + [slots[-1] + 1]
    return [slice(start, end) for start, end in zip(starts, ends, strict=True)]
