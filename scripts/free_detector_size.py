"""Makes the face detector's graph one for pictures of any size: python scripts/free_detector_size.py IN OUT

The published graph takes 256 x 256 only, since constants in it repeat that size: zeros that are joined to
widen the channels, and the shapes of the outputs. The first become a Pad, the second are left open. Weights
and operators are the same, and so are the answers for a picture of 256 x 256 (checked here, to the last bit
but rounding). A picture in 16:9 then needs 256 x 160: five eighths of the time.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

TOLERANCE = 1e-4  # of the raw answers, which go up to hundreds


def freed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its picture's height and width left open. Raises ValueError for another graph."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    zeros = {one.output[0]: constants[one.input[0]] for one in graph.node if one.op_type == "ConstantOfShape"}
    if not zeros:
        raise ValueError("the graph has no constant zeros: it is not the published one, or freed already")
    kept: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "ConstantOfShape":
            continue
        if node.op_type == "Concat" and node.input[1] in zeros:
            channels = int(zeros[node.input[1]][1])
            name = f"pads_{channels}"
            pads = np.array([0, 0, 0, 0, 0, channels, 0, 0], np.int64)
            graph.initializer.append(numpy_helper.from_array(pads, name))
            node = helper.make_node("Pad", [node.input[0], name], [node.output[0]], node.name)
        elif node.op_type == "Reshape":
            name = f"{node.output[0]}_shape"
            shape = np.array([1, -1, constants[node.input[1]][-1]], np.int64)
            graph.initializer.append(numpy_helper.from_array(shape, name))
            node.input[1] = name
        kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    used = {name for node in kept for name in node.input}
    weights = [one for one in graph.initializer if one.name in used]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(weights)
    image = next(one for one in graph.input if one.name not in constants)
    del graph.input[:]
    graph.input.append(image)
    sides = graph.input[0].type.tensor_type.shape.dim
    sides[1].dim_param, sides[2].dim_param = "height", "width"
    for answer in graph.output:
        answer.type.tensor_type.shape.dim[1].dim_param = f"{answer.name}_count"
    onnx.checker.check_model(made, full_check=True)
    return made


def difference(first: onnx.ModelProto, second: onnx.ModelProto) -> float:
    """The largest difference of the raw answers to a 256 x 256 picture of noise."""
    picture = np.random.default_rng(0).uniform(-1, 1, (1, 256, 256, 3)).astype(np.float32)
    answers = []
    for model in (first, second):
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        answers.append(session.run(None, {session.get_inputs()[0].name: picture}))
    return max(float(np.abs(one - other).max()) for one, other in zip(*answers, strict=True))


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    source, target = map(Path, sys.argv[1:])
    model = onnx.load(source)
    made = freed(model)
    apart = difference(model, made)
    if not apart < TOLERANCE:
        print(f"error: the answers differ by {apart:.2g}: nothing written", file=sys.stderr)
        return 1
    aside = target.with_suffix(".part")
    onnx.save(made, aside)
    aside.replace(target)
    print(f"{target}: answers differ by {apart:.2g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
