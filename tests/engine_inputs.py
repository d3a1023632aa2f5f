"""A frame's inputs for an engine, drawn at random within their ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from streamfilter.artifact import Artifact
from streamfilter.contract import DT, PHASE
from streamfilter.engine.base import frame_inputs

Inputs = dict[str, npt.NDArray[Any]]


def drawn(artifact: Artifact, rng: np.random.Generator) -> Inputs:
    inputs: Inputs = {
        spec.name: rng.uniform(0.2, 0.8, spec.shape).astype(np.float32)
        for spec in frame_inputs(artifact.manifest.inputs)
    }
    angle = rng.uniform(0, 2 * np.pi)
    inputs[PHASE] = np.array([[np.cos(angle), np.sin(angle)]], np.float32)
    inputs[DT] = rng.uniform(1 / 60, 1 / 10, (1, 1)).astype(np.float32)
    return inputs
