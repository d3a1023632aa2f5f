"""The window graph on ONNX Runtime's CPU provider: a window of crops in, the edited crops out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from streamfilter.contract import TensorSpec
from streamfilter.engine.base import check_graph, check_inputs
from streamfilter.engine.onnxruntime_cpu import DTYPES, PROVIDER, cpu_options
from streamfilter.errors import ArtifactError, EngineError
from streamfilter.window.artifact import WindowArtifact
from streamfilter.window.contract import CROPS, EDITED, GRAPH, PHASE, TEXT

Array32 = npt.NDArray[np.float32]


class WindowEngine:
    """Runs ``window.onnx``. ``threads``: within an operator."""

    name = "onnxruntime"

    def __init__(self, artifact: WindowArtifact, threads: int = 1) -> None:
        """Raises EngineError where ONNX Runtime refuses the graph, ArtifactError where it is not the graph
        that the manifest promises."""
        try:
            session = ort.InferenceSession(artifact.graph, cpu_options(threads), providers=[PROVIDER])
        except Exception as error:  # the binding raises a dozen unrelated classes
            raise EngineError(f"ONNX Runtime cannot load {artifact.path / GRAPH}: {error}") from error
        manifest = artifact.manifest
        check_graph(map(_spec, session.get_inputs()), manifest.inputs, "input", GRAPH)
        check_graph(map(_spec, session.get_outputs()), manifest.outputs, "output", GRAPH)
        self._session: ort.InferenceSession | None = session
        self._inputs = manifest.inputs

    def run(self, crops: Array32, text: Array32, phase: Array32) -> Array32:
        """``crops`` (W, 3, S, S), ``text`` (1, D), ``phase`` (W, 2) → edited (W, 3, S, S), not clipped.

        Raises EngineError where an input has another shape, the run fails or the output is not finite.
        """
        if self._session is None:
            raise EngineError("the engine is closed")
        inputs = {CROPS: crops[None], TEXT: text, PHASE: phase[None]}
        check_inputs(inputs, self._inputs)
        try:
            edited = self._session.run([EDITED], inputs)[0][0]
        except Exception as error:  # as above
            raise EngineError(f"ONNX Runtime failed in a window: {error}") from error
        if not np.isfinite(edited).all():
            raise EngineError("the window editor's output is not finite")
        return np.asarray(edited, np.float32)

    def close(self) -> None:
        """Free the graph. Closing twice is harmless."""
        self._session = None


def _spec(node: Any) -> TensorSpec:
    if not all(isinstance(side, int) for side in node.shape):
        raise ArtifactError(f"tensor {node.name!r} of {GRAPH} has no fixed shape: export the artifact again")
    return TensorSpec(node.name, tuple(node.shape), DTYPES.get(node.type, node.type))
