"""Which engine runs the artifact: the one that was asked for, or the best of those that are here."""

from __future__ import annotations

from importlib.util import find_spec

from streamfilter.artifact import Artifact
from streamfilter.engine.base import Engine, frame_inputs
from streamfilter.engine.serving import ServingEngine
from streamfilter.errors import EngineError, UsageError

AUTO = "auto"
ONNXRUNTIME = "onnxruntime"
OPENVINO = "openvino"
ENGINE_NAMES = (AUTO, ONNXRUNTIME, OPENVINO)

# ONNX Runtime runs this small graph as fast as OpenVINO, opens it several times faster, and is always there
# (physio-bench compares them).
PREFERRED = ONNXRUNTIME
PREFERRED_REASON = "as fast as any on this graph, and the quickest to start"


def open_engine(artifact: Artifact, name: str = AUTO, threads: int = 1) -> Engine:
    """Load the artifact into an engine; its ``name`` and ``reason`` say which and why.

    ``auto`` takes PREFERRED. The choice is made once: an engine that is there and fails is an error, another
    one does not take its place in silence. ``threads`` is the number of
    threads that a step may use, at least 1.

    Raises UsageError for an unknown name or thread count, EngineError where the engine is not installed or
    refuses the graph, ArtifactError where the graph is not what the manifest promises.
    """
    if name not in ENGINE_NAMES:
        raise UsageError(f"there is no engine {name!r}: choose one of {', '.join(ENGINE_NAMES)}")
    if threads < 1:
        raise UsageError(f"an engine needs at least 1 thread, not {threads}")
    reason = "asked for"
    if name == AUTO:
        name, reason = PREFERRED, PREFERRED_REASON
    return (
        _open_openvino(artifact, threads, reason)
        if name == OPENVINO
        else _open_ort(artifact, threads, reason)
    )


def _open_ort(artifact: Artifact, threads: int, reason: str) -> Engine:
    from streamfilter.engine.onnxruntime_cpu import OnnxRuntimeEngine

    if artifact.serving is not None:
        from streamfilter.engine.onnxruntime_serving import OrtRunner

        return ServingEngine(OrtRunner(artifact, threads), frame_inputs(artifact.manifest.inputs), reason)
    return OnnxRuntimeEngine(artifact, threads, reason)


def _open_openvino(artifact: Artifact, threads: int, reason: str) -> Engine:
    if find_spec("openvino") is None:
        raise EngineError(
            "OpenVINO is not installed: pip install 'physio-cam[openvino]', or --engine onnxruntime"
        )
    try:
        from streamfilter.engine.openvino_cpu import OpenVinoEngine
    except ImportError as error:
        raise EngineError(
            f"OpenVINO is installed but does not start ({error}): reinstall it with "
            "pip install --force-reinstall openvino, or take --engine onnxruntime"
        ) from error
    return OpenVinoEngine(artifact, threads, reason)
