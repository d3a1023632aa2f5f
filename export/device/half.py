"""Half precision by the graph's own types: the network's products in float16, all that has to be exact not.

TensorRT 11 and TensorRT for RTX are strongly typed: they compute in the types of the graph, and a builder's
flag changes nothing. Here the layers (Conv, Gemm, MatMul) of the network take and give float16, and so do the
rings, which are most of a stream's memory. What stays in float32:

- norms, soft maxima and every sum over the picture, by leaving alone all that is not a product;
- whatever feeds the band-stop's state: a pulse is a fraction of a per cent of the colour, and float16 rounds
  by a twentieth of one;
- what follows where the masking noise joins: the gain itself.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.device.forms import PRODUCTS
from export.device.surgery import Surgeon, ancestors, descendants, shapes
from streamfilter.contract import MASKING, NEXT_PREFIX

SIGNAL = tuple(f"{NEXT_PREFIX}{name}" for name in ("colour", "level", "filters"))
SMALLEST = 1000  # multiply-adds a stream: below it a cast costs more than the product


def half_products(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes that are computed in float16."""
    graph = model.graph
    exact = ancestors(graph, SIGNAL) | descendants(graph, (MASKING,))
    size = shapes(model)
    return {
        node.name
        for node in graph.node
        if node.op_type in PRODUCTS and node.name not in exact and _cost(node, size) >= SMALLEST
    }


def halve(model: onnx.ModelProto, chosen: set[str], halved_inputs: set[str]) -> onnx.ModelProto:
    """``model`` with the nodes ``chosen`` in float16 and casts around them.

    ``halved_inputs`` are inputs of the graph that become float16 themselves; the outputs that a caller wants
    in float16 too it casts itself.
    """
    work = Surgeon(model, "half")
    weights = {one.name: one for one in work.graph.initializer}
    cast: dict[str, str] = {}
    for value in work.graph.input:
        if value.name in halved_inputs:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    consumers = [node for node in work.graph.node for name in node.input if name in halved_inputs]
    if any(node.name not in chosen for node in consumers):
        raise ValueError("an input in float16 is read by a node in float32")

    def halved(name: str, before: list[onnx.NodeProto]) -> str:
        if name in halved_inputs:
            return name
        if name not in cast:
            if name in weights:
                cast[name] = work.constant(numpy_helper.to_array(weights[name]).astype(np.float16))
            else:
                cast[name] = work.node(before, "Cast", name, to=TensorProto.FLOAT16)
        return cast[name]

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.name not in chosen:
            return [node]
        nodes: list[onnx.NodeProto] = []
        names = [halved(name, nodes) for name in node.input]
        new = onnx.NodeProto()
        new.CopyFrom(node)
        del new.input[:]
        new.input.extend(names)
        new.output[0] = f"{node.output[0]}_half"
        back = helper.make_node(
            "Cast", [new.output[0]], [node.output[0]], f"{node.name}_float", to=TensorProto.FLOAT
        )
        return [*nodes, new, back]

    work.replace(change)
    return work.finished(model.graph.name)


def _cost(node: onnx.NodeProto, size: dict[str, tuple[int, ...]]) -> int:
    """Multiply-adds of a product, for a batch of one."""
    weight = size[node.input[1]]
    inner = math.prod(weight[1:]) if node.op_type == "Conv" else weight[-2]
    return math.prod(size[node.output[0]]) * inner
