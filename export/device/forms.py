"""Operators in the forms that every GPU library computes, and computes exactly.

TF32, on by default in most of them, rounds the factors of a float32 product to 10 bits: a twentieth of a
per cent of the colour, a good part of a pulse. Turing cards (RTX 20) have no float32 product in TensorRT for
RTX at all. So what is not to be in float16 is no product here: a mean of pixels is a pooling, and small
matrices are multiplied and summed by hand. A norm with a scale of its own for each stream is a plain norm,
times the scale, plus the shift: GPU libraries take one scale only. A tangent is sine over cosine: ONNX
Runtime has none for CUDA.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.device.surgery import Surgeon, shapes
from streamfilter.contract import CROP

PRODUCTS = ("Conv", "Gemm", "MatMul")


def without_scaled_norms(model: onnx.ModelProto) -> onnx.ModelProto:
    """Norms with one scale for all streams, and no tangent."""
    work = Surgeon(model, "norm")
    constants = {one.name for one in work.graph.initializer}
    size = shapes(model)

    def change(node: onnx.NodeProto) -> Iterable[onnx.NodeProto]:
        nodes: list[onnx.NodeProto] = []
        if node.op_type == "Tan":
            over, under = (work.node(nodes, kind, node.input[0]) for kind in ("Sin", "Cos"))
            return [*nodes, helper.make_node("Div", [over, under], [node.output[0]], f"{node.name}_ratio")]
        if node.op_type != "LayerNormalization" or node.input[1] in constants:
            return [node]
        value, scale, shift = node.input
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        ones = np.ones(size[value][-1], np.float32)
        normed = work.node(nodes, "LayerNormalization", value, ones, np.zeros_like(ones), **attributes)
        scaled = work.node(nodes, "Mul", normed, scale)
        return [*nodes, helper.make_node("Add", [scaled, shift], [node.output[0]], f"{node.name}_shift")]

    work.replace(change)
    return work.finished(model.graph.name)


def with_exact_cells(model: onnx.ModelProto) -> onnx.ModelProto:
    """The first convolution, one cell at a time, multiplied and summed by hand; the cells' mean colour, which
    the serving graph takes out of it, as a pooling.

    Not in float16: it would round the picture itself, and double the error of the gain.

    Raises ValueError where that convolution has no rows that are plain means, split off after it.
    """
    work = Surgeon(model, "colour")
    constants = {one.name: numpy_helper.to_array(one) for one in work.graph.initializer}
    readers = {
        node.input[0]: node for node in work.graph.node if node.op_type in ("Conv", "Reshape", "Split")
    }
    conv = readers[CROP]
    flat = readers[conv.output[0]]
    split = readers[flat.output[0]]
    weight, bias = (constants[name] for name in conv.input[1:])
    channels, *cell = weight.shape[1:]
    fine = len(weight) - channels
    mean = np.zeros((channels, channels, *cell), np.float32)
    mean[np.arange(channels), np.arange(channels)] = 1.0 / np.prod(cell)
    cut = constants[split.input[1]].tolist() if split.op_type == "Split" else None
    if not np.array_equal(weight[fine:], mean) or cut != [fine, channels]:
        raise ValueError("the first convolution holds no means of the cells")
    nodes: list[onnx.NodeProto] = []
    high, wide = cell
    rows, columns = (side // step for side, step in zip(shapes(model)[CROP][2:], cell, strict=True))
    apart = work.node(nodes, "Reshape", CROP, np.array([0, channels, rows, high, columns, wide]))
    apart = work.node(nodes, "Transpose", apart, perm=[0, 2, 4, 1, 3, 5])
    pixels = work.node(nodes, "Reshape", apart, np.array([0, rows * columns, channels * high * wide, 1]))
    terms = work.node(nodes, "Mul", pixels, weight[:fine].reshape(fine, -1).T)
    total = work.node(nodes, "ReduceSum", terms, np.array([2]), keepdims=0)
    total = work.node(nodes, "Add", total, bias[:fine])
    pooled = work.node(nodes, "AveragePool", CROP, kernel_shape=cell, strides=cell)
    colour = work.node(nodes, "Add", pooled, bias[fine:].reshape(-1, 1, 1))
    features, colours = split.output
    nodes.append(helper.make_node("Transpose", [total], [features], "colour_fine", perm=[0, 2, 1]))
    shape = work.constant(np.array([0, channels, rows * columns]))
    nodes.append(helper.make_node("Reshape", [colour, shape], [colours], "colour_cells"))
    gone = {conv.name: nodes, flat.name: [], split.name: []}
    work.replace(lambda node: gone.get(node.name, [node]))
    return work.finished(model.graph.name)


def written_out(model: onnx.ModelProto, chosen: Collection[str]) -> onnx.ModelProto:
    """The matrix products ``chosen`` as multiplications and a sum: (…, M, K, 1) · (…, 1, K, N) over K.

    Raises ValueError where one of them is a convolution.
    """
    work = Surgeon(model, "sum")

    def change(node: onnx.NodeProto) -> Iterable[onnx.NodeProto]:
        if node.name not in chosen:
            return [node]
        if node.op_type == "Conv" or node.attribute:
            raise ValueError(f"{node.name} cannot be written out")
        nodes: list[onnx.NodeProto] = []
        left = work.node(nodes, "Unsqueeze", node.input[0], np.array([-1]))
        right = work.node(nodes, "Unsqueeze", node.input[1], np.array([-3]))
        terms = work.node(nodes, "Mul", left, right)
        if len(node.input) == 2:
            made, name = [node.output[0]], f"{node.name}_sum"
            nodes.append(
                helper.make_node("ReduceSum", [terms, work.constant(np.array([-2]))], made, name, keepdims=0)
            )
            return nodes
        total = work.node(nodes, "ReduceSum", terms, np.array([-2]), keepdims=0)
        add = helper.make_node("Add", [total, node.input[2]], [node.output[0]], f"{node.name}_bias")
        return [*nodes, add]

    work.replace(change)
    return work.finished(model.graph.name)
