"""The simpler way that is compared: skin beyond the face gets the face's own mean gain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamfilter.body import BodyEditor, Wearer
from streamfilter.dither import FloatMap
from streamfilter.skin_cells import Grid


class FaceGain(BodyEditor):
    """Puts the face's mean gain, wanted pulse and masking included, on the skin beyond it."""

    def __init__(self) -> None:
        super().__init__(np.random.default_rng(0), (0.0, 0.0, 0.0), masking=0.0)

    def change(
        self, wearers: Sequence[Wearer], grid: Grid, strength: float, pulse: FloatMap, trust: FloatMap
    ) -> FloatMap:
        return np.asarray(np.broadcast_to(wearers[0].gain[:, None, None], (3, *grid.tiles)), np.float32)
