"""``device.onnx`` on TensorRT for RTX, through ONNX Runtime's plug-in provider.

The first start on a card builds the engine, which takes seconds; it is kept in the user's cache folder, and
so are the kernels that TensorRT for RTX makes for the card when the engine is loaded.
"""

from __future__ import annotations

import logging
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnxruntime as ort

from streamfilter.artifact import Artifact
from streamfilter.contract import DEVICE_GRAPH, FRAME
from streamfilter.engine.build_cache import cache_folder, cache_name, read_cached, write_cached
from streamfilter.engine.device_buffers import Place
from streamfilter.engine.device_session import DeviceSession, device_graph, layout_on_cpu
from streamfilter.engine.gpu_options import cause, gpu_options, without_tf32
from streamfilter.engine.layout import Layout
from streamfilter.errors import EngineError

PROVIDER = "NvTensorRTRTXExecutionProvider"
PACKAGE = "onnxruntime_ep_nv_tensorrt_rtx"
_DISTRIBUTION = "onnxruntime-ep-nv-tensorrt-rtx"
_FORM = "1"  # of the file in the cache
_LOG = logging.getLogger(__name__)


def available() -> bool:
    """Is the plug-in installed? It may still fail to load."""
    return find_spec(PACKAGE) is not None


def is_built(artifact: Artifact, most: int = 1) -> bool:
    """Is the engine for this machine's card in the cache? Raises EngineError as :func:`open_tensorrt_rtx`."""
    return _place_of(artifact, _device(0), most).is_file()


def open_tensorrt_rtx(artifact: Artifact, index: int = 0, most: int = 1) -> DeviceSession:
    """The device graph on the RTX card ``index``, for up to ``most`` streams in a run.

    Raises EngineError where the plug-in is not installed, does not load, finds no card or refuses the graph,
    or the processor would have to run a part; ArtifactError where the artifact has no device graph.
    """
    device = _device(index)
    graph = device_graph(artifact)
    path = _place_of(artifact, device, most)
    options = gpu_options()
    layout = layout_on_cpu(artifact, graph)
    options.add_provider_for_devices(
        [device], provider_options(layout, most, str(cache_folder() / "kernels"))
    )
    try:
        compiled = read_cached(path)
        if compiled is None:
            _LOG.warning("building the engine for this GPU, once: this takes some seconds")
            begun = time.perf_counter()
            compiled = ort.ModelCompiler(
                options, graph, embed_compiled_data_into_model=True
            ).compile_to_bytes()
            _LOG.warning("the engine was built in %.1f s", time.perf_counter() - begun)
            write_cached(path, compiled)
        session = ort.InferenceSession(compiled, options)
    except Exception as error:  # the binding raises a dozen unrelated classes
        raise EngineError(
            f"TensorRT for RTX does not run the graph ({error}): update the GPU's driver, "
            f"delete {path.parent}, or take --engine onnxruntime"
        ) from error
    return DeviceSession(
        artifact, session, Place("tensorrt-rtx", PROVIDER, "cuda", index, "cuda_graph_annotation_id")
    )


def provider_options(layout: Layout, most: int, kernels: str) -> dict[str, str]:
    """The provider's options: one profile from 1 to ``most`` streams, CUDA graphs, kernels kept on disk."""
    shapes = {spec.name: spec.shape for spec in (*layout.inputs, *(state for state, _ in layout.states))}
    shapes[FRAME] = ()

    def profile(streams: int) -> str:
        return ",".join(
            f"{name}:{'x'.join(str(side) for side in (streams, *shape))}" for name, shape in shapes.items()
        )

    return {
        "enable_cuda_graph": "1",
        "nv_profile_min_shapes": profile(1),
        "nv_profile_opt_shapes": profile(most),
        "nv_profile_max_shapes": profile(most),
        "nv_runtime_cache_path": kernels,
        "nv_persistent_context_memory": "1",
    }


def _device(index: int) -> Any:
    if not available():
        raise EngineError(
            "TensorRT for RTX is not installed: pip install 'physio-cam[gpu]', or take --engine onnxruntime"
        )
    without_tf32()
    try:
        import onnxruntime_ep_nv_tensorrt_rtx as plugin

        if all(device.ep_name != PROVIDER for device in ort.get_ep_devices()):
            ort.register_execution_provider_library(PROVIDER, plugin.get_library_path())
    except Exception as error:  # as above, and what the package raises while it looks for its libraries
        raise EngineError(
            f"TensorRT for RTX does not load ({cause(error)}): it needs an RTX 30 or newer, "
            f"NVIDIA's driver and ONNX Runtime from 1.24 (here {ort.__version__}); "
            "or take --engine onnxruntime"
        ) from error
    devices = [device for device in ort.get_ep_devices() if device.ep_name == PROVIDER]
    if index >= len(devices):
        raise EngineError(
            f"TensorRT for RTX finds {len(devices)} cards that it can use: it needs an RTX 30 or newer with "
            "NVIDIA's driver; or take --engine onnxruntime"
        )
    return devices[index]


def _place_of(artifact: Artifact, device: Any, most: int) -> Path:
    card = device.device
    parts = (
        _FORM,
        artifact.manifest.files.get(DEVICE_GRAPH, ""),
        f"{card.vendor_id}:{card.device_id}",
        str(most),
        version(_DISTRIBUTION),
        ort.__version__,
    )
    return cache_folder() / "engines" / cache_name("tensorrt-rtx", parts, ".onnx")
