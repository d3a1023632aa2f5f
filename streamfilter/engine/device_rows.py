"""Many streams on a device: one run for all slots, those without a frame held as they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from streamfilter.contract import FRAME, HOLD
from streamfilter.engine.base import Gain
from streamfilter.engine.device_buffers import Array, Buffers
from streamfilter.engine.layout import Layout
from streamfilter.engine.serving import empty
from streamfilter.errors import EngineError


class DeviceRows:
    """:class:`~streamfilter.engine.batch.Rows` over :class:`~streamfilter.engine.device_buffers.Buffers`.

    A run always takes all slots, so that sizes and addresses stay and a captured CUDA graph serves every
    step; a slot without a frame costs arithmetic, and keeps its state.
    """

    def __init__(self, buffers: Buffers, layout: Layout, slots: int) -> None:
        self._buffers = buffers
        self._frames = np.zeros(slots, np.int64)
        self._given = {spec.name: empty(spec, slots) for spec in layout.inputs}

    def restart(self, slot: int) -> None:
        """See :class:`~streamfilter.engine.batch.Rows`."""
        self._frames[slot] = 0

    def step(self, frames: Mapping[int, Mapping[str, Array]]) -> dict[int, Gain]:
        """See :class:`~streamfilter.engine.batch.Rows`. A run that fails loses the state of all slots, also
        of those without a frame: they too start over."""
        counts = np.full_like(self._frames, HOLD)
        for slot, inputs in frames.items():
            counts[slot] = self._frames[slot]
            for name, value in inputs.items():
                self._given[name][slot] = value[0]
        try:
            gains = self._buffers.run({**self._given, FRAME: counts})
        except EngineError:
            self._frames[:] = 0
            raise
        self._frames[list(frames)] += 1
        return {slot: gains[slot : slot + 1].copy() for slot in frames}
