"""Does the serving graph compute what ``step.onnx`` computes, for streams that come and go?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamfilter import contract
from streamfilter.artifact import Artifact
from streamfilter.engine.base import Gain, State, frame_inputs
from streamfilter.engine.batch import BatchEngine
from streamfilter.engine.onnxruntime_cpu import OnnxRuntimeEngine
from streamfilter.engine.onnxruntime_serving import OrtRunner
from streamfilter.errors import EngineError

Array = npt.NDArray[np.float32]
STEPS = 200  # beyond the look-back's 128 frames, so that its rings have gone round
TOLERANCE = 1e-5  # of the gain, relative to the frame's own colour


def serving_parity(artifact: Artifact, steps: int = STEPS, streams: int = 3, seed: int = 0) -> float:
    """Largest difference of the gain between streams in one batch, of different ages and with frames left
    out, and each alone on ``step.onnx``. Raises EngineError where a step of either fails."""
    alone, batch = OnnxRuntimeEngine(artifact), BatchEngine(OrtRunner(artifact, 1), streams)
    rng = np.random.default_rng(seed)
    pictures = rng.uniform(0.2, 0.8, (streams, *artifact.manifest.inputs[0].shape[1:]))
    states: dict[int, State] = {}
    worst = 0.0
    for index in range(steps):
        if len(states) < streams and index % 20 == 0:
            states[batch.join()] = alone.init_state()
        active = [slot for slot in states if rng.uniform() < 0.9]
        frames = {slot: parity_inputs(artifact, pictures[slot], rng, index) for slot in active}
        found = batch.step(frames)
        for slot in active:
            gain, states[slot] = alone.step(frames[slot], states[slot])
            worst = max(worst, _difference(gain, found[slot]))
    return worst


def _difference(gain: Gain, found: Gain | EngineError) -> float:
    if isinstance(found, EngineError):
        raise found
    return float(np.abs(gain - found).max())


def parity_inputs(
    artifact: Artifact, picture: npt.NDArray[np.floating], rng: np.random.Generator, index: int
) -> dict[str, Array]:
    """A frame of a moving, pulsing, noisy ``picture``, with the other inputs drawn at random."""
    values = {
        spec.name: 0.002 * rng.standard_normal(spec.shape) for spec in frame_inputs(artifact.manifest.inputs)
    }
    beat = 1.0 + 0.005 * np.sin(2.0 * np.pi * 1.2 * index / 30.0)
    values[contract.CROP] = (np.roll(picture, index // 40, axis=-1) * beat + values[contract.CROP]).clip(0, 1)
    values[contract.TEXT] = artifact.conditioning.embedding[rng.integers(len(artifact.conditioning.bpm))][
        None
    ]
    angle = rng.uniform(0.0, 2.0 * np.pi)
    values[contract.PHASE] = np.array([[np.cos(angle), np.sin(angle)]])
    values[contract.STRENGTH] = rng.uniform(0.0, 1.0, (1, 1))
    values[contract.DT] = rng.uniform(1 / 60, 1 / 10, (1, 1))
    return {name: value.astype(np.float32) for name, value in values.items()}
