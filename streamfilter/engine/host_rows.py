"""Many streams in the processor's memory: neighbours go in one run of the serving graph."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from streamfilter.contract import FRAME
from streamfilter.engine.base import Gain
from streamfilter.engine.serving import Array, Bound, Runner, empty, place

_KEPT = 256  # bindings of runs of slots that are kept ready


class HostRows:
    """:class:`~streamfilter.engine.batch.Rows` over a :class:`~streamfilter.engine.serving.Runner`.

    The state of all streams lies in one block of memory for each tensor, a row a slot. A step binds the rows
    of the slots that have a frame, where they lie; neighbours go in one run of the graph, so that gaps make
    more runs. No stream's state is moved for another's sake; a stream's own small states
    (75 KB of the default artifact's 660) are written back after its step, its rings by one row.
    """

    def __init__(self, runner: Runner, slots: int) -> None:
        layout = runner.layout
        self._runner, self._layout = runner, layout
        self._frames = np.zeros(slots, np.int64)
        self._given = {spec.name: empty(spec, slots) for spec in layout.inputs}
        self._gain = empty(layout.gain, slots)
        self._now = {spec.name: empty(spec, slots) for spec, _ in layout.states}
        self._after = {spec.name: empty(spec, slots) for _, spec in layout.states}
        self._rings = {ring.ring.name: empty(ring.ring, slots) for ring in layout.rings}
        self._rows = {ring.row.name: empty(ring.row, slots) for ring in layout.rings}
        self._bound: dict[tuple[int, int], Bound] = {}

    def restart(self, slot: int) -> None:
        """See :class:`~streamfilter.engine.batch.Rows`."""
        # Rings too: a row that is not finite would spoil the sums even with a weight of zero.
        for memory in (*self._now.values(), *self._rings.values()):
            memory[slot] = 0
        self._frames[slot] = 0

    def step(self, frames: Mapping[int, Mapping[str, Array]]) -> dict[int, Gain]:
        """See :class:`~streamfilter.engine.batch.Rows`."""
        for slot, inputs in frames.items():
            for name, value in inputs.items():
                self._given[name][slot] = value[0]
        for part in neighbours(sorted(frames)):
            self._run(part)
        return {slot: self._gain[slot : slot + 1].copy() for slot in frames}

    def _run(self, part: slice) -> None:
        key = (part.start, part.stop)
        if key not in self._bound:
            if len(self._bound) >= _KEPT:
                self._bound.pop(next(iter(self._bound)))
            given = self._given | self._now | self._rings | {FRAME: self._frames}
            made = self._after | self._rows | {self._layout.gain.name: self._gain}
            self._bound[key] = self._runner.bind(
                {name: memory[part] for name, memory in given.items()},
                {name: memory[part] for name, memory in made.items()},
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


def neighbours(slots: list[int]) -> list[slice]:
    """Sorted slots as the fewest slices without gaps."""
    if not slots:
        return []
    cuts = [after for before, after in pairwise(slots) if after != before + 1]
    starts = [slots[0], *cuts]
    ends = [before + 1 for before, after in pairwise(slots) if after != before + 1] + [slots[-1] + 1]
    return [slice(start, end) for start, end in zip(starts, ends, strict=True)]
