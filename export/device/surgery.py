"""Small tools for changing a finished ONNX graph: insert before, insert after, constants by value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper, shape_inference

from export.graph import BATCH

Array = npt.NDArray[np.generic]


class Surgeon:
    """Adds nodes to a copy of a graph. ``head`` come before all that is there, ``tail`` after it; inside,
    nodes are replaced one by one."""

    def __init__(self, model: onnx.ModelProto, mark: str) -> None:
        """``mark`` starts the names of what is added."""
        self._mark = mark
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.graph = self.model.graph
        self.head: list[onnx.NodeProto] = []
        self.tail: list[onnx.NodeProto] = []
        self._made = 0
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def node(self, into: list[onnx.NodeProto], kind: str, *inputs: str | Array, **attributes: Any) -> str:
        """Append a node with one output to ``into`` and return the output's name."""
        self._made += 1
        out = f"{self._mark}_{kind.lower()}_{self._made}"
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        into.append(helper.make_node(kind, names, [out], f"{self._mark}_{kind}_{self._made}", **attributes))
        return out

    def constant(self, value: Array) -> str:
        """An initialiser with this value, made once."""
        array = np.ascontiguousarray(value)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            name = f"{self._mark}_constant_{len(self._constants)}"
            self.graph.initializer.append(numpy_helper.from_array(array, name))
            self._constants[key] = name
        return self._constants[key]

    def rename(self, old: str, new: str) -> None:
        """A tensor's name, wherever a node reads or writes it."""
        for node in self.graph.node:
            for field in (node.input, node.output):
                for index, name in enumerate(field):
                    if name == old:
                        field[index] = new

    def replace(self, change: Callable[[onnx.NodeProto], Iterable[onnx.NodeProto]]) -> None:
        """Put what ``change`` gives in each node's place."""
        nodes = [new for node in self.graph.node for new in change(node)]
        del self.graph.node[:]
        self.graph.node.extend(nodes)

    def finished(self, name: str) -> onnx.ModelProto:
        """The graph with head and tail in place, unused initialisers dropped, checked."""
        body = list(self.graph.node)
        del self.graph.node[:]
        self.graph.node.extend([*self.head, *body, *self.tail])
        used = {value for node in self.graph.node for value in node.input}
        kept = [one for one in self.graph.initializer if one.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
        del self.graph.value_info[:]
        self.graph.name = name
        onnx.checker.check_model(self.model, full_check=True)
        return self.model


def producers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """Tensor → the node that makes it."""
    return {output: node for node in graph.node for output in node.output}


def ancestors(graph: onnx.GraphProto, tensors: Iterable[str]) -> set[str]:
    """Names of all nodes that ``tensors`` depend on."""
    made = producers(graph)
    found: set[str] = set()
    waiting = list(tensors)
    while waiting:
        node = made.get(waiting.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            waiting.extend(node.input)
    return found


def descendants(graph: onnx.GraphProto, tensors: Iterable[str]) -> set[str]:
    """Names of all nodes that depend on ``tensors``; the graph's nodes are in topological order."""
    reached = set(tensors)
    found: set[str] = set()
    for node in graph.node:
        if reached.intersection(node.input):
            found.add(node.name)
            reached.update(node.output)
    return found


def shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor for a batch of one."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    for value in (*single.graph.input, *single.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        if first.dim_param == BATCH:
            first.dim_value = 1
    inferred = shape_inference.infer_shapes(single, data_prop=True).graph
    found = {one.name: tuple(one.dims) for one in inferred.initializer}
    for value in _values(inferred):
        found[value.name] = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    return found


def _values(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    yield from graph.value_info
    yield from graph.input
    yield from graph.output
