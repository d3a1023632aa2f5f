"""A small writer of ONNX graphs: one call a node, constants by value, each kept once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
IR_VERSION = 10  # what the oldest supported ONNX Runtime reads
BATCH = "batch"
TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "int64": TensorProto.INT64}
Value = str | float | npt.NDArray[np.floating] | npt.NDArray[np.int64]


class GraphWriter:
    """Collects nodes. A value is a tensor's name, an array or a number; arrays become initialisers."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, *shape: int, dtype: str = "float32") -> str:
        """Declare an input whose first axis is the batch."""
        self._inputs.append(helper.make_tensor_value_info(name, TYPES[dtype], [BATCH, *shape]))
        return name

    def output(self, value: str, name: str, *shape: int) -> None:
        """Declare that ``value``, made before, leaves as ``name``, (batch, *shape) float32."""
        for node in self._nodes:
            for field in (node.input, node.output):
                for index, old in enumerate(field):
                    if old == value:
                        field[index] = name
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, *shape]))

    def __call__(self, kind: str, *values: Value, **attributes: Any) -> str:
        """Add a node with one output and return its name."""
        return self._add(kind, values, 1, attributes)[0]

    def split(self, value: str, sizes: list[int], axis: int) -> list[str]:
        """Cut along ``axis`` into parts of ``sizes``."""
        return self._add("Split", (value, np.array(sizes)), len(sizes), {"axis": axis})

    def reshape(self, value: str, *shape: int) -> str:
        """Reshape; the first axis stays the batch unless ``shape`` starts with −1."""
        return self("Reshape", value, np.array(shape if shape[0] == -1 else (0, *shape)))

    def linear(self, value: str, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> str:
        """``value`` (…, I) times ``weight`` (I, O) plus ``bias``."""
        return self("Add", self("MatMul", value, weight), bias)

    def silu(self, value: str) -> str:
        """x · sigmoid(x)."""
        return self("Mul", value, self("Sigmoid", value))

    def model(self, name: str) -> onnx.ModelProto:
        """The finished graph, checked."""
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, list(self._constants.values())
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _add(
        self, kind: str, values: tuple[Value, ...], outputs: int, attributes: dict[str, Any]
    ) -> list[str]:
        names = [value if isinstance(value, str) else self._constant(value) for value in values]
        made = [f"{kind.lower()}_{len(self._nodes)}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(kind, names, made, f"{kind}_{len(self._nodes)}", **attributes))
        return made

    def _constant(self, value: float | npt.NDArray[np.floating] | npt.NDArray[np.int64]) -> str:
        array = np.asarray(value)
        if array.dtype != np.int64:
            array = array.astype(np.float32)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return self._constants[key].name
