"""Which engine runs the artifact: the one that was asked for, or the quickest of those that are here."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from streamfilter.artifact import Artifact
from streamfilter.engine.base import Engine, frame_inputs
from streamfilter.engine.serving import ServingEngine
from streamfilter.engine.trial import Opener, Trial, choose
from streamfilter.errors import EngineError, UsageError

if TYPE_CHECKING:
    from streamfilter.engine.device_session import DeviceSession

AUTO = "auto"
ONNXRUNTIME = "onnxruntime"
OPENVINO = "openvino"
CUDA = "cuda"
TENSORRT_RTX = "tensorrt-rtx"
ENGINE_NAMES = (AUTO, ONNXRUNTIME, OPENVINO, CUDA, TENSORRT_RTX)
ON_GPU = (CUDA, TENSORRT_RTX)
PREFERRED = ONNXRUNTIME  # where one engine serves many streams and none is asked for


def open_engine(artifact: Artifact, name: str = AUTO, threads: int = 1, trial: Trial | None = None) -> Engine:
    """Load the artifact into an engine; its ``name`` and ``reason`` say which and why.

    ``auto`` takes the quickest of those that are installed, by a short ``trial`` the first time, see
    :mod:`streamfilter.engine.trial`. An engine that was asked for and fails is an error: none takes
    its place. ``threads`` is the number of processor threads that a step may use, at least 1.

    Raises UsageError for an unknown name or thread count, EngineError where the engine is not installed or
    refuses the graph, ArtifactError where the graph is not what the manifest promises.
    """
    if name not in ENGINE_NAMES:
        raise UsageError(f"there is no engine {name!r}: choose one of {', '.join(ENGINE_NAMES)}")
    if threads < 1:
        raise UsageError(f"an engine needs at least 1 thread, not {threads}")
    if name != AUTO:
        return _OPENERS[name](artifact, threads)
    candidates = {name: _OPENERS[name] for name in installed_engines()}
    if TENSORRT_RTX in candidates:
        candidates[TENSORRT_RTX] = _open_built
    return choose(artifact, threads, candidates, trial or Trial())


def installed_engines() -> tuple[str, ...]:
    """The engines whose libraries are here, the one that starts soonest first. They may still fail."""
    from streamfilter.engine import cuda, tensorrt_rtx

    found = [ONNXRUNTIME]
    if find_spec("openvino") is not None:
        found.append(OPENVINO)
    if cuda.available():
        found.append(CUDA)
    if tensorrt_rtx.available():
        found.append(TENSORRT_RTX)
    return tuple(found)


def open_on_gpu(artifact: Artifact, name: str, most: int = 1) -> DeviceSession:
    """The device graph on the GPU engine ``name``, for up to ``most`` streams in a run. Raises as
    :func:`open_engine`."""
    if name == CUDA:
        from streamfilter.engine.cuda import open_cuda

        return open_cuda(artifact)
    from streamfilter.engine.tensorrt_rtx import open_tensorrt_rtx

    return open_tensorrt_rtx(artifact, most=most)


def _open_ort(artifact: Artifact, threads: int) -> Engine:
    from streamfilter.engine.onnxruntime_cpu import OnnxRuntimeEngine

    if artifact.serving is not None:
        from streamfilter.engine.onnxruntime_serving import OrtRunner

        return ServingEngine(OrtRunner(artifact, threads), frame_inputs(artifact.manifest.inputs), ASKED)
    return OnnxRuntimeEngine(artifact, threads, ASKED)


def _open_openvino(artifact: Artifact, threads: int) -> Engine:
    if find_spec("openvino") is None:
        raise EngineError(
            "OpenVINO is not installed: pip install 'physio-cam[openvino]', or --engine onnxruntime"
        )
    try:
        from streamfilter.engine.openvino_cpu import OpenVinoEngine
        from streamfilter.engine.openvino_serving import OpenVinoRunner
    except ImportError as error:
        raise EngineError(
            f"OpenVINO is installed but does not start ({error}): reinstall it with "
            "pip install --force-reinstall openvino, or take --engine onnxruntime"
        ) from error
    if artifact.serving is not None:
        return ServingEngine(OpenVinoRunner(artifact, threads), frame_inputs(artifact.manifest.inputs), ASKED)
    return OpenVinoEngine(artifact, threads, ASKED)


def _open_cuda(artifact: Artifact, threads: int) -> Engine:
    return _on_device(open_on_gpu(artifact, CUDA), artifact)


def _open_tensorrt_rtx(artifact: Artifact, threads: int) -> Engine:
    return _on_device(open_on_gpu(artifact, TENSORRT_RTX), artifact)


def _open_built(artifact: Artifact, threads: int) -> Engine:
    """For a trial: nobody who did not ask waits for a build."""
    from streamfilter.engine.tensorrt_rtx import is_built

    if not is_built(artifact):
        raise EngineError("its engine for this GPU is not built yet: physio-cam doctor builds it")
    return _open_tensorrt_rtx(artifact, threads)


def _on_device(opened: DeviceSession, artifact: Artifact) -> Engine:
    from streamfilter.engine.device import DeviceEngine

    return DeviceEngine(opened, frame_inputs(artifact.manifest.inputs), ASKED)


ASKED = "asked for"
_OPENERS: dict[str, Opener] = {
    ONNXRUNTIME: _open_ort,
    OPENVINO: _open_openvino,
    CUDA: _open_cuda,
    TENSORRT_RTX: _open_tensorrt_rtx,
}
