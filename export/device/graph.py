"""``serving.onnx`` → ``device.onnx``: the same step for an engine that leaves the state on its device.

The serving graph hands one row of its rings to the engine, which writes it in place: cheap in the memory of
a processor, but a strided copy by hand on a GPU. There, memory is fast and starting a copy is slow. So here

- the rings are states like all others: they enter whole and leave whole, with the new row in its place; two
  sets of buffers take turns, and nothing but the frame and the gain passes between host and device;
- ``frame`` says what happens to a stream: 0 takes its state for zeros, whatever is in the memory; a negative
  number leaves its state as it is. So streams join, leave and sit a step out without a copy, and a batch of
  fixed size and place, as CUDA graphs want it, serves them all;
- a norm with a scale of its own for each stream is a plain norm, times the scale, plus the shift: GPU
  libraries take norms with one scale only. A tangent is sine over cosine: ONNX Runtime has none for CUDA.

``export.device.half`` then gives the network's products to float16.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.device.half import half_products, halve
from export.device.surgery import Surgeon, shapes
from export.graph import BATCH
from streamfilter.contract import FRAME, NEXT_PREFIX, RING_PREFIX, ROW_PREFIX, STATE_PREFIX


def device_graph(serving: onnx.ModelProto, half: bool = True) -> onnx.ModelProto:
    """The device form of a serving graph; ``half`` gives its products and rings to float16.

    Raises ValueError where ``serving`` is no serving graph.
    """
    if not any(value.name == FRAME for value in serving.graph.input):
        raise ValueError("this is no serving graph: it has no input 'frame'")
    plain = _in_gpu_forms(serving)
    rings = {value.name for value in plain.graph.input if value.name.startswith(RING_PREFIX)}
    return _with_state(halve(plain, half_products(plain), rings) if half else plain)


def _in_gpu_forms(serving: onnx.ModelProto) -> onnx.ModelProto:
    work = Surgeon(serving, "gpu")
    constants = {one.name for one in work.graph.initializer}
    size = shapes(serving)

    def change(node: onnx.NodeProto) -> Iterable[onnx.NodeProto]:
        if node.op_type == "Tan":
            parts: list[onnx.NodeProto] = []
            over, under = (work.node(parts, kind, node.input[0]) for kind in ("Sin", "Cos"))
            return [*parts, helper.make_node("Div", [over, under], [node.output[0]], f"{node.name}_ratio")]
        if node.op_type != "LayerNormalization" or node.input[1] in constants:
            return [node]
        value, scale, shift = node.input
        nodes: list[onnx.NodeProto] = []
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        ones = np.ones(size[value][-1], np.float32)
        normed = work.node(nodes, "LayerNormalization", value, ones, np.zeros_like(ones), **attributes)
        scaled = work.node(nodes, "Mul", normed, scale)
        nodes.append(helper.make_node("Add", [scaled, shift], [node.output[0]], f"{node.name}_shift"))
        return nodes

    work.replace(change)
    return work.finished(serving.graph.name)


def _with_state(model: onnx.ModelProto) -> onnx.ModelProto:
    work = Surgeon(model, "state")
    zero = np.zeros(1, np.int64)
    started = work.node(work.head, "Equal", FRAME, zero)
    held = work.node(work.head, "Less", FRAME, zero)
    kept = list(work.graph.input)
    outputs = {value.name: value for value in work.graph.output}
    for value in kept:
        ring = value.name.startswith(RING_PREFIX)
        if not ring and not value.name.startswith(STATE_PREFIX):
            continue
        name = value.name.removeprefix(RING_PREFIX if ring else STATE_PREFIX)
        state, following = f"{STATE_PREFIX}{name}", f"{NEXT_PREFIX}{name}"
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        kind = value.type.tensor_type.elem_type
        none = np.zeros((), np.float16 if kind == TensorProto.FLOAT16 else np.float32)
        now = work.node(work.head, "Where", _across(work, started, len(shape)), none, state)
        work.rename(value.name, now)
        made = f"{ROW_PREFIX if ring else NEXT_PREFIX}{name}"
        new = f"new.{name}"
        work.rename(made, new)
        if ring:
            # The place of this frame's row; nowhere in a stream that is held, so that one Where does both.
            axis = _ring_axis(shape, outputs.pop(made))
            length = shape[axis]
            at = work.node(work.tail, "Mod", FRAME, np.array([length]))
            at = work.node(work.tail, "Where", held, np.array([-1]), at)
            at = work.node(work.tail, "Reshape", at, np.array([0] + [1] * (len(shape) - 1)))
            line = np.arange(length).reshape([-1 if index == axis else 1 for index in range(len(shape))])
            mask = work.node(work.tail, "Equal", at, line)
            if kind == TensorProto.FLOAT16:
                new = work.node(work.tail, "Cast", new, to=kind)
            chosen = [mask, new, now]
        else:
            outputs.pop(made)
            chosen = [_across(work, held, len(shape)), now, new]
        work.tail.append(helper.make_node("Where", chosen, [following], f"state_{following}"))
        value.name = state
        outputs[following] = helper.make_tensor_value_info(following, kind, [BATCH, *shape[1:]])
    del work.graph.output[:]
    work.graph.output.extend(outputs.values())
    return work.finished("physiolatent-device")


def _across(work: Surgeon, flags: str, rank: int) -> str:
    """Flags (batch,) as (batch, 1, …) of ``rank`` axes; before the graph, where both ends can use them."""
    return work.node(work.head, "Reshape", flags, np.array([0] + [1] * (rank - 1)))


def _ring_axis(shape: list[int], row: onnx.ValueInfoProto) -> int:
    one = [dim.dim_value for dim in row.type.tensor_type.shape.dim]
    axes = [axis for axis in range(1, len(shape)) if shape[axis] != one[axis]]
    if len(axes) != 1 or one[axes[0]] != 1:
        raise ValueError(f"{row.name} is no row of its ring")
    return axes[0]
