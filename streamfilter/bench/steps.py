"""One step of the graph, by itself: every engine, and ONNX Runtime used as its manual says, in turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from streamfilter import contract
from streamfilter.artifact import Artifact
from streamfilter.bench.contest import Taken
from streamfilter.bench.footage import Footage
from streamfilter.engine.base import next_name
from streamfilter.engine.select import open_engine
from streamfilter.errors import EngineError
from streamfilter.face.crop import crop_rgb
from streamfilter.face.finder import FaceFinder

PLAIN = "onnxruntime, plain"
Inputs = dict[str, npt.NDArray[Any]]


def step_inputs(artifact: Artifact, footage: Footage) -> list[Inputs]:
    """What the filter would give a step in each frame of the footage. Raises EngineError without a face."""
    finder = FaceFinder()
    size = artifact.manifest.crop_size
    rng = np.random.default_rng(0)
    noise = next(spec.shape for spec in artifact.manifest.inputs if spec.name == contract.MASKING)
    made = []
    for frame in footage.frames():
        faces = finder.find(frame)
        if not faces:
            raise EngineError("no face is found in the footage: give a clip that shows one")
        angle = 2.0 * np.pi * 70.0 / 60.0 * frame.seconds
        made.append(
            {
                contract.CROP: crop_rgb(frame, faces[0].box, size)[None],
                contract.TEXT: artifact.text(70.0),
                contract.PHASE: np.array([[np.cos(angle), np.sin(angle)]], np.float32),
                contract.STRENGTH: np.ones((1, 1), np.float32),
                contract.DT: np.full((1, 1), 1 / 30, np.float32),
                contract.MASKING: (0.001 * rng.standard_normal(noise)).astype(np.float32),
            }
        )
    return made


class Stepper:
    """One engine, one stream. Raises EngineError where it cannot run here."""

    kind = "engine"

    def __init__(self, artifact: Artifact, engine: str, threads: int, inputs: Sequence[Inputs]) -> None:
        self.name = engine
        self._engine = open_engine(artifact, engine, threads)
        self._inputs = inputs
        self._state = self._engine.init_state()

    def take(self, index: int) -> Taken:
        """See :class:`streamfilter.bench.contest.Contestant`."""
        inputs = self._inputs[index % len(self._inputs)]
        worked, start = time.process_time(), time.perf_counter()
        _, self._state = self._engine.step(inputs, self._state)
        return _taken(start, worked)

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()


class PlainOrt:
    """ONNX Runtime's ``session.run`` with its own defaults but for the threads; the state goes through NumPy.

    What the engines are compared with: the same graph, the same number of threads.
    """

    kind = "rival"
    name = PLAIN

    def __init__(self, artifact: Artifact, threads: int, inputs: Sequence[Inputs]) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = ort.InferenceSession(artifact.graph, options, providers=["CPUExecutionProvider"])
        self._inputs = inputs
        self._states = {
            spec.name: np.zeros(spec.shape, spec.dtype) for spec in artifact.manifest.state_inputs()
        }

    def take(self, index: int) -> Taken:
        """See :class:`streamfilter.bench.contest.Contestant`."""
        inputs = self._inputs[index % len(self._inputs)]
        worked, start = time.process_time(), time.perf_counter()
        names = [contract.GAIN, *map(next_name, self._states)]
        _, *following = self._session.run(names, {**inputs, **self._states})
        self._states = dict(zip(self._states, following, strict=True))
        return _taken(start, worked)

    def close(self) -> None:
        """Free the session."""
        del self._session


def _taken(start: float, worked: float) -> Taken:
    took = 1000 * (time.perf_counter() - start)
    return Taken({"step": took}, took, took, 1000 * (time.process_time() - worked), None)
