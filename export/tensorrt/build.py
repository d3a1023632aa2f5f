"""Builds an engine of TensorRT for RTX from the device graph, for a card that need not be in this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import onnx

from export.tensorrt.inspection import Inspection, check, inspect
from streamfilter.errors import EngineError, UsageError

CARDS = {75: "RTX 20, GTX 16", 86: "RTX 30", 89: "RTX 40", 120: "RTX 50"}
BATCHES = (1, 8, 32)  # smallest, the one to be best at, largest


@dataclass(frozen=True, slots=True)
class Engine:
    """A plan and what is in it. ``operators``: of the ONNX graph; ``products``: layers that are products, in
    float16 and in float32; ``norms``: number of norms, all in float32."""

    sm: int
    plan: bytes
    seconds: float
    operators: int
    products: tuple[int, int]
    norms: int
    inspection: Inspection


def tensorrt() -> ModuleType:
    """The library. Raises EngineError where it is not installed or does not load."""
    try:
        import tensorrt_rtx
    except ImportError as error:
        raise EngineError(
            f"TensorRT for RTX is not here ({error}): pip install -e '.[tensorrt]' (331 MB; needs no GPU)"
        ) from error
    module: ModuleType = tensorrt_rtx
    return module


class EngineBuilder:
    """Builds engines, one after the other, and listens to the builder's log.

    One object a process: TensorRT keeps the first logger that it is given.
    """

    def __init__(self) -> None:
        """Raises EngineError where TensorRT for RTX is not installed."""
        self._trt = trt = tensorrt()
        self.version: str = trt.__version__
        said: list[str] = []
        errors: list[str] = []
        self._said, self._errors = said, errors

        class Listener(trt.ILogger):  # type: ignore[name-defined,misc]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                said.append(message)
                if severity <= trt.ILogger.Severity.ERROR:
                    errors.append(message)

        self._listener = Listener()
        self._builder = trt.Builder(self._listener)

    def build(self, graph: bytes, sm: int, batches: tuple[int, int, int] = BATCHES) -> Engine:
        """An engine of ``graph``, checked: every operator supported, one engine, the graph's own bindings.

        TF32 is switched off: it rounds colour to a twentieth of a per cent, a good part of a pulse. Raises
        UsageError for an unknown card, EngineError where TensorRT refuses the graph or makes something else.
        """
        trt = self._trt
        capability = getattr(trt.ComputeCapability, f"SM{sm}", None)
        if capability is None:
            raise UsageError(f"TensorRT for RTX {self.version} builds nothing for SM {sm}")
        self._said.clear()
        self._errors.clear()
        network = self._builder.create_network(0)  # always strongly typed
        parser = trt.OnnxParser(network, self._listener)
        if not parser.parse(graph):
            why = "; ".join(parser.get_error(index).desc() for index in range(parser.num_errors))
            raise EngineError(f"TensorRT for RTX does not support the graph: {why}")
        config = self._builder.create_builder_config()
        config.clear_flag(trt.BuilderFlag.TF32)
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        config.num_compute_capabilities = 1
        config.set_compute_capability(capability, 0)
        profile = self._builder.create_optimization_profile()
        for index in range(network.num_inputs):
            tensor = network.get_input(index)
            rest = tuple(tensor.shape)[1:]
            profile.set_shape(tensor.name, *((batch, *rest) for batch in batches))
        config.add_optimization_profile(profile)
        begun = time.perf_counter()
        plan = self._builder.build_serialized_network(network, config)
        seconds = time.perf_counter() - begun
        if plan is None:
            raise EngineError(f"TensorRT for RTX built no engine for SM {sm}: {'; '.join(self._errors)}")
        model = onnx.load_from_string(graph)
        found = inspect(self._said)
        check(found, model.graph, batches)
        products, norms = _types(trt, network)
        return Engine(sm, bytes(plan), seconds, len(model.graph.node), products, norms, found)


def _types(trt: ModuleType, network: Any) -> tuple[tuple[int, int], int]:
    """Products in float16 and float32, and norms; EngineError where a norm is not in float32."""
    half = full = norms = 0
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        kind = layer.get_input(0).dtype if layer.num_inputs else None
        if layer.type in (trt.LayerType.MATRIX_MULTIPLY, trt.LayerType.CONVOLUTION):
            half += kind == trt.DataType.HALF
            full += kind == trt.DataType.FLOAT
        elif layer.type == trt.LayerType.NORMALIZATION:
            if kind != trt.DataType.FLOAT:
                raise EngineError(f"the norm {layer.name} is in {kind}, not in float32")
            norms += 1
    return (half, full), norms
