"""The simpler way that is compared: skin beyond the face gets the face's own mean gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from streamfilter import contract
from streamfilter.body import BodyEditor, BodyState, Wearer
from streamfilter.dither import FloatMap
from streamfilter.engine import Engine
from streamfilter.engine.base import State
from streamfilter.face.crop import CROP_SIZE, skin_prior
from streamfilter.skin_cells import Cells, Grid


class Overheard:
    """An engine whose last gain is noted, as the mean over the face's oval: ``gain`` (3,)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.gain = np.zeros(3, np.float32)

        self.name, self.reason = engine.name, engine.reason

    def init_state(self) -> State:
        return self._engine.init_state()

    def close(self) -> None:
        self._engine.close()

    def step(self, inputs: Mapping[str, npt.NDArray[Any]], state: State) -> tuple[FloatMap, State]:
        gain, following = self._engine.step(inputs, state)
        weights = skin_prior(CROP_SIZE) > 0.5
        crop = inputs[contract.CROP][0]
        self.gain = (gain[0] * crop)[:, weights].sum(axis=1) / crop[:, weights].sum(axis=1)
        return gain, following


class FaceGain(BodyEditor):
    """Puts the face's mean gain, wanted pulse and masking included, on the skin beyond it."""

    def __init__(self, heard: Overheard) -> None:
        super().__init__(np.random.default_rng(0), (0.0, 0.0, 0.0), masking=0.0)
        self._heard = heard

    def removed(
        self, before: BodyState, like: FloatMap, cells: Cells, step: float
    ) -> tuple[FloatMap, FloatMap, npt.NDArray[np.bool_]]:
        return np.zeros((3, 1, 1), np.float32), before.filters, before.known

    def shown(self, wearers: Sequence[Wearer], grid: Grid, strength: float) -> FloatMap:
        return np.asarray(self._heard.gain[:, None, None], np.float32)
