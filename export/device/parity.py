"""Does the device graph compute what ``step.onnx`` computes, and does the difference grow with time?

Both run on the CPU: ONNX Runtime computes float16 there too, slowly, rounding as a GPU rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.serving_parity import parity_inputs
from streamfilter.artifact import Artifact
from streamfilter.engine.base import State
from streamfilter.engine.batch import BatchEngine
from streamfilter.engine.device_session import open_on_cpu
from streamfilter.engine.onnxruntime_cpu import OnnxRuntimeEngine
from streamfilter.errors import EngineError

TOLERANCE = 1e-4  # of the gain: a sixtieth of the shown pulse in green
SECOND = 30  # steps


@dataclass(frozen=True, slots=True)
class Difference:
    """Between the gains of the device graph and of ``step.onnx``. ``largest``: of any place and step;
    ``rms`` over all; ``by_second``: rms in each second, for what builds up in the state; ``gain``: rms of
    the gain itself."""

    largest: float
    rms: float
    by_second: tuple[float, ...]
    gain: float

    @property
    def drift(self) -> float:
        """Rms of the last three seconds over that of the three before them in the middle of the run: about 1
        where nothing builds up."""
        half = len(self.by_second) // 2
        before = float(np.mean(self.by_second[half - 3 : half]))
        return float(np.mean(self.by_second[-3:])) / max(before, 1e-12)


def device_parity(artifact: Artifact, seconds: int = 10, streams: int = 2, seed: int = 0) -> Difference:
    """Compare streams in one batch, that join at different times and leave frames out, with each alone.

    Raises EngineError where a step of either fails.
    """
    alone, batch = OnnxRuntimeEngine(artifact), BatchEngine(open_on_cpu(artifact), streams)
    rng = np.random.default_rng(seed)
    pictures = rng.uniform(0.2, 0.8, (streams, *artifact.manifest.inputs[0].shape[1:]))
    states: dict[int, State] = {}
    largest, squares, gains = 0.0, [], []
    for index in range(seconds * SECOND):
        if len(states) < streams and index % 20 == 0:
            states[batch.join()] = alone.init_state()
        active = [slot for slot in states if rng.uniform() < 0.9]
        frames: Mapping[int, Mapping[str, npt.NDArray[np.float32]]] = {
            slot: parity_inputs(artifact, pictures[slot], rng, index) for slot in active
        }
        found = batch.step(frames)
        square = []
        for slot in active:
            wanted, states[slot] = alone.step(frames[slot], states[slot])
            gain = found[slot]
            if isinstance(gain, EngineError):
                raise gain
            largest = max(largest, float(np.abs(gain - wanted).max()))
            square.append(float(np.mean((gain - wanted) ** 2)))
            gains.append(float(np.mean(wanted**2)))
        squares.append(square)
    parts = [np.concatenate(squares[at : at + SECOND]) for at in range(0, len(squares), SECOND)]
    return Difference(
        largest,
        float(np.sqrt(np.mean(np.concatenate(parts)))),
        tuple(float(np.sqrt(np.mean(part))) for part in parts),
        float(np.sqrt(np.mean(gains))),
    )
