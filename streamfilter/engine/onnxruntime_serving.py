"""The serving graph on ONNX Runtime's CPU provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnxruntime as ort

from streamfilter.artifact import Artifact
from streamfilter.contract import SERVING_GRAPH, TensorSpec
from streamfilter.engine.host_rows import HostRows
from streamfilter.engine.layout import layout_of
from streamfilter.engine.onnxruntime_cpu import DTYPES, PROVIDER, cpu_options
from streamfilter.engine.serving import Array
from streamfilter.errors import ArtifactError, EngineError

# It turns each small layer into reshape, product, reshape: a tenth slower for one stream.
_UNWANTED = ["MatMulAddFusion"]


class OrtRunner:
    """A :class:`~streamfilter.engine.serving.Runner`; several bindings may live at once."""

    name = "onnxruntime"

    def __init__(self, artifact: Artifact, threads: int) -> None:
        """Raises EngineError where ONNX Runtime refuses the graph, ArtifactError where there is none or it
        is not what the manifest promises."""
        if artifact.serving is None:
            raise ArtifactError(f"{artifact.path} holds no {SERVING_GRAPH}: export the artifact again")
        try:
            session = ort.InferenceSession(
                artifact.serving, cpu_options(threads), providers=[PROVIDER], disabled_optimizers=_UNWANTED
            )
        except Exception as error:  # the binding raises a dozen unrelated classes
            raise EngineError(f"ONNX Runtime cannot load {artifact.path / SERVING_GRAPH}: {error}") from error
        self._session = session
        self.layout = layout_of(
            artifact.manifest, map(_spec, session.get_inputs()), map(_spec, session.get_outputs())
        )

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> _Bound:
        """See :class:`~streamfilter.engine.serving.Runner`."""
        binding = self._session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(value))
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(value))
        return _Bound(self._session, binding, (dict(inputs), dict(outputs)))

    def rows(self, slots: int) -> HostRows:
        """See :class:`~streamfilter.engine.batch.BatchRunner`."""
        return HostRows(self, slots)


class _Bound:
    def __init__(self, session: ort.InferenceSession, binding: Any, memory: object) -> None:
        self._session, self._binding = session, binding
        self._memory = memory  # the binding points into it

    def run(self) -> None:
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:  # as above
            raise EngineError(f"ONNX Runtime failed in a step: {error}") from error


def _spec(node: Any) -> TensorSpec:
    _, *shape = node.shape
    if not all(isinstance(side, int) for side in shape):
        raise ArtifactError(f"tensor {node.name!r} of {SERVING_GRAPH} has no fixed shape beyond its batch")
    return TensorSpec(node.name, tuple(shape), DTYPES.get(node.type, node.type))
