"""The step graph on ONNX Runtime's CPU provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from streamfilter.artifact import Artifact
from streamfilter.contract import GAIN, TensorSpec
from streamfilter.engine.base import (
    Gain,
    State,
    check_gain,
    check_graph,
    check_inputs,
    frame_inputs,
    next_name,
)
from streamfilter.errors import ArtifactError, EngineError

PROVIDER = "CPUExecutionProvider"
DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
}


class OnnxRuntimeEngine:
    """An :class:`~streamfilter.engine.base.Engine` that needs nothing beyond the runtime's dependencies.

    ``threads`` is the number of threads within an operator. The state stays in ONNX Runtime's memory: it is
    bound, written into the stream's spare buffers and exchanged with them, never copied to NumPy.
    """

    name = "onnxruntime"

    def __init__(self, artifact: Artifact, threads: int = 1, reason: str = "asked for") -> None:
        """Load the graph. Raises EngineError where ONNX Runtime refuses it, ArtifactError where it is not
        the graph that the manifest promises."""
        self.reason = reason
        try:
            session = ort.InferenceSession(artifact.graph, cpu_options(threads), providers=[PROVIDER])
        except Exception as error:  # the binding raises a dozen unrelated classes
            raise EngineError(f"ONNX Runtime cannot load {artifact.path / 'step.onnx'}: {error}") from error
        if session.get_providers()[0] != PROVIDER:
            raise EngineError(f"ONNX Runtime runs on {session.get_providers()[0]}, not on {PROVIDER}")
        manifest = artifact.manifest
        check_graph(map(_spec, session.get_inputs()), manifest.inputs, "input")
        check_graph(map(_spec, session.get_outputs()), manifest.outputs, "output")
        self._session: ort.InferenceSession | None = session
        self._inputs = frame_inputs(manifest.inputs)
        self._states = manifest.state_inputs()
        self._gain_shape = next(spec.shape for spec in manifest.outputs if spec.name == GAIN)

    def init_state(self) -> State:
        """See :meth:`streamfilter.engine.base.Engine.init_state`."""
        return State(self._zeros(), self._zeros())

    def step(self, inputs: Mapping[str, npt.NDArray[Any]], state: State) -> tuple[Gain, State]:
        """See :meth:`streamfilter.engine.base.Engine.step`."""
        if self._session is None:
            raise EngineError("the engine is closed")
        check_inputs(inputs, self._inputs)
        gain = np.empty(self._gain_shape, np.float32)
        binding = self._session.io_binding()
        # The binding points into these arrays: they have to live until the run is over.
        values = {spec.name: np.ascontiguousarray(inputs[spec.name]) for spec in self._inputs}
        for name, value in values.items():
            binding.bind_cpu_input(name, value)
        for spec in self._states:
            binding.bind_ortvalue_input(spec.name, state.tensors[spec.name])
            binding.bind_ortvalue_output(next_name(spec.name), state.spare[spec.name])
        binding.bind_ortvalue_output(GAIN, ort.OrtValue.ortvalue_from_numpy(gain))
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:  # as above
            raise EngineError(f"ONNX Runtime failed in a step: {error}") from error
        check_gain(gain)
        return gain, State(state.spare, state.tensors)

    def close(self) -> None:
        """See :meth:`streamfilter.engine.base.Engine.close`."""
        self._session = None

    def _zeros(self) -> dict[str, ort.OrtValue]:
        return {
            spec.name: ort.OrtValue.ortvalue_from_numpy(np.zeros(spec.shape, spec.dtype))
            for spec in self._states
        }


def cpu_options(threads: int) -> ort.SessionOptions:
    """A session that leaves the other cores to camera and call."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Between two frames of a camera a spinning thread would burn a core that the call needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _spec(node: Any) -> TensorSpec:
    if not all(isinstance(side, int) for side in node.shape):
        raise ArtifactError(
            f"tensor {node.name!r} of step.onnx has no fixed shape: export the artifact again"
        )
    return TensorSpec(node.name, tuple(node.shape), DTYPES.get(node.type, node.type))
