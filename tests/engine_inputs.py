"""A frame's inputs for an engine, drawn at random within their ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamfilter.artifact import Artifact
from streamfilter.contract import DT, PHASE
from streamfilter.engine import Engine, Gain, State
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


def listen(monkeypatch: pytest.MonkeyPatch, engine: Engine, name: str) -> list[float]:
    """What an engine is told from now on, step by step, as its input ``name`` (1, 1)."""
    told: list[float] = []
    step = engine.step

    def listening(inputs: Inputs, state: State) -> tuple[Gain, State]:
        told.append(float(inputs[name][0, 0]))
        return step(inputs, state)

    monkeypatch.setattr(engine, "step", listening)
    return told
