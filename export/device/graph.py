"""``serving.onnx`` → ``device.onnx``: the same step for an engine that leaves the state on its device.

The serving graph hands one row of its rings to the engine, which writes it in place: cheap in the memory of
a processor, but a strided copy by hand on a GPU. There, memory is fast and starting a copy is slow. So here

- the rings are states like all others: they enter whole and leave whole, with the new row in its place; two
  sets of buffers take turns, and nothing but the frame and the gain passes between host and device;
- ``frame`` says what happens to a stream: 0 takes its state for zeros, whatever is in the memory; a negative
  number leaves its state as it is. So streams join, leave and sit a step out without a copy, and a batch of
  fixed size and place, as CUDA graphs want it, serves them all;

``export.device.forms`` writes operators as GPUs compute them exactly, ``export.device.half`` gives the
network's products to float16.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.device.forms import PRODUCTS, with_exact_cells, without_scaled_norms, written_out
from export.device.half import half_products, halve
from export.device.surgery import Surgeon
from export.graph import BATCH
from streamfilter.contract import FRAME, NEXT_PREFIX, RING_PREFIX, ROW_PREFIX, STATE_PREFIX


def device_graph(serving: onnx.ModelProto, half: bool = True) -> onnx.ModelProto:
    """The device form of a serving graph; ``half`` gives its products and rings to float16.

    Raises ValueError where ``serving`` is no serving graph.
    """
    if not any(value.name == FRAME for value in serving.graph.input):
        raise ValueError("this is no serving graph: it has no input 'frame'")
    plain = with_exact_cells(without_scaled_norms(serving))
    products = half_products(plain)
    exact = {node.name for node in plain.graph.node if node.op_type in PRODUCTS} - products
    plain = written_out(plain, exact)
    rings = {value.name for value in plain.graph.input if value.name.startswith(RING_PREFIX)}
    return _with_state(halve(plain, products, rings) if half else plain)


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
