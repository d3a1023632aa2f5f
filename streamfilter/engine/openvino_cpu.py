"""The step graph on OpenVINO's CPU plugin: the optional engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from streamfilter.artifact import Artifact
from streamfilter.contract import GAIN, STEP_GRAPH, TensorSpec
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

_DTYPES = {"f32": "float32", "f16": "float16", "i64": "int64", "i32": "int32", "boolean": "bool"}


class OpenVinoEngine:
    """An :class:`~streamfilter.engine.base.Engine` on OpenVINO (``pip install 'physio-cam[openvino]'``).

    ``threads`` is the number of inference threads. State tensors are given to the request by reference and
    exchanged with the stream's spare ones, never copied through Python.
    """

    name = "openvino"

    def __init__(self, artifact: Artifact, threads: int = 1, reason: str = "asked for") -> None:
        """Load the graph. Raises EngineError where OpenVINO refuses it, ArtifactError where it is not the
        graph that the manifest promises."""
        self.reason = reason
        try:
            core = ov.Core()
            model = core.read_model(artifact.graph, b"")
            compiled = core.compile_model(model, "CPU", cpu_options(threads))
            request = compiled.create_infer_request()
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot load {artifact.path / 'step.onnx'}: {error}") from error
        manifest = artifact.manifest
        check_graph(map(spec_of, compiled.inputs), manifest.inputs, "input")
        check_graph(map(spec_of, compiled.outputs), manifest.outputs, "output")
        self._request: ov.InferRequest | None = request
        self._inputs = frame_inputs(manifest.inputs)
        self._states = manifest.state_inputs()
        self._gain_shape = next(spec.shape for spec in manifest.outputs if spec.name == GAIN)

    def init_state(self) -> State:
        """See :meth:`streamfilter.engine.base.Engine.init_state`."""
        return State(self._zeros(), self._zeros())

    def step(self, inputs: Mapping[str, npt.NDArray[Any]], state: State) -> tuple[Gain, State]:
        """See :meth:`streamfilter.engine.base.Engine.step`."""
        request = self._request
        if request is None:
            raise EngineError("the engine is closed")
        check_inputs(inputs, self._inputs)
        gain = np.empty(self._gain_shape, np.float32)
        # The request points into these arrays: they have to live until the run is over.
        values = {spec.name: np.ascontiguousarray(inputs[spec.name]) for spec in self._inputs}
        for name, value in values.items():
            request.set_tensor(name, ov.Tensor(value, shared_memory=value.flags.writeable))
        for spec in self._states:
            request.set_tensor(spec.name, state.tensors[spec.name])
            request.set_tensor(next_name(spec.name), state.spare[spec.name])
        request.set_tensor(GAIN, ov.Tensor(gain, shared_memory=True))
        try:
            # By default every output is copied once more, for a dictionary that nobody reads.
            request.infer(share_outputs=True)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO failed in a step: {error}") from error
        check_gain(gain)
        return gain, State(state.spare, state.tensors)

    def close(self) -> None:
        """See :meth:`streamfilter.engine.base.Engine.close`."""
        self._request = None

    def _zeros(self) -> dict[str, ov.Tensor]:
        return {spec.name: ov.Tensor(np.zeros(spec.shape, spec.dtype)) for spec in self._states}


def cpu_options(threads: int) -> dict[str, Any]:
    """How a graph is loaded, for so many threads."""
    return {
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        # bf16, the default where the CPU has it, is too coarse for changes of a tenth of a per cent.
        "INFERENCE_PRECISION_HINT": "f32",
        # The camera, the call and the filter share these cores.
        "ENABLE_CPU_PINNING": False,
    }


def spec_of(port: Any, graph: str = STEP_GRAPH) -> TensorSpec:
    """What an input or output of a loaded graph is. Raises ArtifactError where its shape is not fixed."""
    if not port.get_partial_shape().is_static:
        raise ArtifactError(
            f"tensor {port.any_name!r} of {graph} has no fixed shape: export the artifact again"
        )
    dtype = port.element_type.get_type_name()
    return TensorSpec(port.any_name, tuple(port.shape), _DTYPES.get(dtype, dtype))
