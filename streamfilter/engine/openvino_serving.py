"""The serving graph on OpenVINO's CPU plugin, for one stream at a time.

OpenVINO takes a layer norm's scale as one for all streams, so the graph is loaded for a batch of one, where
that is so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import openvino as ov

from streamfilter.artifact import Artifact
from streamfilter.contract import SERVING_GRAPH, TensorSpec
from streamfilter.engine.layout import layout_of
from streamfilter.engine.openvino_cpu import cpu_options, spec_of
from streamfilter.engine.serving import Array
from streamfilter.errors import ArtifactError, EngineError


class OpenVinoRunner:
    """A :class:`~streamfilter.engine.serving.Runner` of batches of one; several bindings may live at once."""

    name = "openvino"

    def __init__(self, artifact: Artifact, threads: int) -> None:
        """Raises EngineError where OpenVINO refuses the graph, ArtifactError where there is none or it is not
        what the manifest promises."""
        if artifact.serving is None:
            raise ArtifactError(f"{artifact.path} holds no {SERVING_GRAPH}: export the artifact again")
        try:
            core = ov.Core()
            model = core.read_model(artifact.serving, b"")
            shapes = {port.any_name: [1, *list(port.get_partial_shape())[1:]] for port in model.inputs}
            model.reshape({name: ov.PartialShape(shape) for name, shape in shapes.items()})
            self._model = core.compile_model(model, "CPU", cpu_options(threads))
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot load {artifact.path / SERVING_GRAPH}: {error}") from error
        self.layout = layout_of(
            artifact.manifest, map(_single, self._model.inputs), map(_single, self._model.outputs)
        )

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> _Bound:
        """See :class:`~streamfilter.engine.serving.Runner`."""
        request = self._model.create_infer_request()
        for name, value in (*inputs.items(), *outputs.items()):
            request.set_tensor(name, ov.Tensor(value, shared_memory=True))
        return _Bound(request, (dict(inputs), dict(outputs)))


class _Bound:
    def __init__(self, request: ov.InferRequest, memory: object) -> None:
        self._request = request
        self._memory = memory  # the request points into it

    def run(self) -> None:
        try:
            # By default every output is copied once more, for a dictionary that nobody reads.
            self._request.infer(share_outputs=True)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO failed in a step: {error}") from error


def _single(port: Any) -> TensorSpec:
    spec = spec_of(port, SERVING_GRAPH)
    return TensorSpec(spec.name, spec.shape[1:], spec.dtype)
