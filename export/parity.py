"""Does an exported step compute what the network computes? Both run the same stream, step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch

from export.onnx import StepGraph, step_inputs
from model.physiolatent import PhysioLatent
from streamfilter import contract

STEPS = 300
TOLERANCE = 1e-4  # of the gain, relative to the frame's own colour


Array = npt.NDArray[Any]
# One step in another form: inputs and state, by the contract's names, to gain and next state.
Step = Callable[[Mapping[str, Array]], Mapping[str, Array]]


def parity(network: PhysioLatent, graph: Path, steps: int = STEPS, seed: int = 0) -> float:
    """:func:`step_parity` of an ONNX graph on ONNX Runtime."""
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    outputs = [value.name for value in session.get_outputs()]

    def step(values: Mapping[str, Array]) -> Mapping[str, Array]:
        return dict(zip(outputs, session.run(None, dict(values)), strict=True))

    return step_parity(network, step, steps, seed)


@torch.no_grad()
def step_parity(network: PhysioLatent, other: Step, steps: int = STEPS, seed: int = 0) -> float:
    """Largest difference of the gain over ``steps`` frames of a moving, pulsing, noisy picture.

    Each side carries its own state, so that an error that builds up shows.
    """
    rng = np.random.default_rng(seed)
    step = StepGraph(network).eval()
    theirs = {contract.STATE_PREFIX + k: v.numpy() for k, v in network.init_state(1).items()}
    ours = network.init_state(1)
    inputs = step_inputs(network)
    picture = inputs[contract.CROP].numpy() * rng.uniform(0.4, 1.6, inputs[contract.CROP].shape)
    worst = 0.0
    for index in range(steps):
        beat = 1.0 + 0.005 * np.sin(2.0 * np.pi * 1.2 * index / 30.0)
        shifted = np.roll(picture, index // 40, axis=-1) * beat + 0.002 * rng.standard_normal(picture.shape)
        inputs[contract.CROP] = torch.from_numpy(shifted.clip(0.0, 1.0).astype(np.float32))
        inputs[contract.TEXT] = torch.from_numpy(
            rng.standard_normal(inputs[contract.TEXT].shape).astype(np.float32)
        )
        angle = 2.0 * np.pi * 1.5 * index / 30.0
        inputs[contract.PHASE] = torch.tensor([[np.cos(angle), np.sin(angle)]], dtype=torch.float32)
        inputs[contract.DT] = torch.tensor([[rng.uniform(1 / 60, 1 / 15)]], dtype=torch.float32)
        gain, ours = step(**inputs, state=ours)
        found = other({k: v.numpy() for k, v in inputs.items()} | theirs)
        worst = max(worst, float(np.abs(found[contract.GAIN] - gain.numpy()).max()))
        theirs = {
            contract.STATE_PREFIX + name.removeprefix(contract.NEXT_PREFIX): value
            for name, value in found.items()
            if name != contract.GAIN
        }
    return worst
