"""``device.onnx`` on ONNX Runtime's CUDA provider, steps replayed as CUDA graphs."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
from pathlib import Path

import onnxruntime as ort

from streamfilter.artifact import Artifact
from streamfilter.engine.device_buffers import Place
from streamfilter.engine.device_session import DeviceSession, device_graph
from streamfilter.engine.gpu_options import gpu_options, without_tf32
from streamfilter.errors import EngineError

PROVIDER = "CUDAExecutionProvider"
_LIBRARIES = ("libonnxruntime_providers_cuda.so", "onnxruntime_providers_cuda.dll")
_HELP = (
    "it needs an NVIDIA driver and, in place of the package onnxruntime, "
    "pip install 'onnxruntime-gpu[cuda,cudnn]'; or take --engine onnxruntime"
)
_LOG = logging.getLogger(__name__)


def available() -> bool:
    """Is this an ONNX Runtime that was built with the provider? It may still fail to load."""
    return PROVIDER in ort.get_available_providers()


def open_cuda(artifact: Artifact, index: int = 0) -> DeviceSession:
    """The device graph on GPU ``index``.

    Raises EngineError where ONNX Runtime has no CUDA provider, or it does not load, or the processor would
    have to run a part; ArtifactError where the artifact has no device graph.
    """
    if not available():
        raise EngineError(f"this ONNX Runtime ({ort.__version__}) has no CUDA provider: {_HELP}")
    graph = device_graph(artifact)
    without_tf32()
    place = Place("cuda", PROVIDER, "cuda", index, "gpu_graph_id")
    settings = {"device_id": str(index), "enable_cuda_graph": "1", "use_tf32": "0"}
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            ort.preload_dlls()  # CUDA and cuDNN from their wheels; it prints what it does not find
        _LOG.debug("%s", said.getvalue())
        session = ort.InferenceSession(graph, gpu_options(), providers=[(PROVIDER, settings)])
    except Exception as error:  # the binding raises a dozen unrelated classes
        raise EngineError(f"the CUDA provider does not run the graph ({_why() or error}): {_HELP}") from error
    if session.get_providers()[0] != PROVIDER:
        raise EngineError(f"the CUDA provider did not load ({_why() or 'no reason given'}): {_HELP}")
    return DeviceSession(artifact, session, place)


def _why() -> str | None:
    """What the system's loader says of the provider's library: ONNX Runtime only logs it."""
    for name in _LIBRARIES:
        library = Path(ort.__file__).parent / "capi" / name
        if library.is_file():
            try:
                ctypes.CDLL(str(library))
            except OSError as error:
                return str(error)
    return None
