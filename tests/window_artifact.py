"""A window artifact of known arithmetic, made for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from streamfilter.contract import CONDITIONING, WINDOW_KIND, TensorSpec
from streamfilter.window.artifact import write_window_manifest
from streamfilter.window.contract import (
    CROPS,
    EDITED,
    FORMAT_VERSION,
    GRAPH,
    PHASE,
    TEXT,
    WindowManifest,
)

WINDOW, CROP, TEXT_DIM = 16, 24, 4
BPM = tuple(range(40, 181))


def build_window_artifact(folder: Path, keep: float = 0.8, wave: float = 0.05) -> Path:
    """Its graph, of 16 crops of 24 x 24 cells, is::

        edited = keep * crop + 0.5 (1 - keep) + wave * cos(phase) + 0.001 * mean(text)

    Row b of the conditioning is b / 100 in each of its four numbers.
    """
    folder.mkdir(parents=True)
    pictures = (1, WINDOW, 3, CROP, CROP)
    inputs = (
        TensorSpec(CROPS, pictures, "float32"),
        TensorSpec(TEXT, (1, TEXT_DIM), "float32"),
        TensorSpec(PHASE, (1, WINDOW, 2), "float32"),
    )
    outputs = (TensorSpec(EDITED, pictures, "float32"),)
    constants = [
        helper.make_tensor(name, TensorProto.FLOAT, [], [value])
        for name, value in (("keep", keep), ("grey", 0.5 * (1.0 - keep)), ("wave", wave), ("hint", 0.001))
    ]
    constants += [
        helper.make_tensor("first", TensorProto.INT64, [1], [0]),
        helper.make_tensor("axes", TensorProto.INT64, [2], [0, 1]),
        helper.make_tensor("flat", TensorProto.INT64, [5], [1, WINDOW, 1, 1, 1]),
    ]
    node = helper.make_node
    nodes = [
        node("Mul", [CROPS, "keep"], ["kept"]),
        node("Add", ["kept", "grey"], ["pale"]),
        node("Gather", [PHASE, "first"], ["cosine"], axis=2),
        node("Reshape", ["cosine", "flat"], ["beat"]),
        node("Mul", ["beat", "wave"], ["pulse"]),
        node("ReduceMean", [TEXT, "axes"], ["level"], keepdims=0),
        node("Mul", ["level", "hint"], ["told"]),
        node("Add", ["pulse", "told"], ["shown"]),
        node("Add", ["pale", "shown"], [EDITED]),
    ]

    def info(spec: TensorSpec) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(spec.name, TensorProto.FLOAT, spec.shape)

    graph = helper.make_graph(nodes, "tiny", [info(s) for s in inputs], [info(s) for s in outputs], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, folder / GRAPH)
    rows = np.repeat((np.array(BPM)[:, None] / 100).astype(np.float32), TEXT_DIM, axis=1)
    np.savez(folder / CONDITIONING, bpm=np.array(BPM, np.int64), embedding=rows)
    write_window_manifest(folder, window_manifest(inputs, outputs))
    return folder


def window_manifest(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> WindowManifest:
    """The manifest, before its files are hashed."""
    return WindowManifest(
        format_version=FORMAT_VERSION,
        kind=WINDOW_KIND,
        name="tiny window",
        files={},
        crop_size=CROP,
        window=WINDOW,
        nominal_fps=30.0,
        inputs=inputs,
        outputs=outputs,
        bpm_grid=BPM,
        text_encoder="numeric",
        vae="none",
        pulse_direction=(0.0022, 0.0052, 0.0036),
        training={"commit": "none"},
        measured={},
        licence="Apache-2.0",
    )
