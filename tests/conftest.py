"""Shared fixtures: a tiny artifact with known arithmetic that keeps the contract, and the shared data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from streamfilter.artifact import write_manifest
from streamfilter.contract import (
    CONDITIONING,
    CROP,
    DT,
    FORMAT_VERSION,
    GAIN,
    MASKING,
    PHASE,
    STEP_GRAPH,
    STRENGTH,
    TEXT,
    Manifest,
    TensorSpec,
)

ROOT = Path(__file__).resolve().parent.parent
TINY_CROP = 72
TINY_TEXT = 4
TINY_BPM = tuple(range(40, 181))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the program keeps in the user's cache folder, such as an engine that a trial chose, stays away
    from the user's; processes that tests start inherit it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of shared faces and clips; skips where it is absent."""
    folder = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder} (set PHYSIOCAM_SHARED)")
    return folder


@pytest.fixture(scope="session")
def tiny_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small artifact, not to be changed (copy it to damage it).

    With the state ``mean`` (1, 3, 72, 72) and ``count`` (1,) int64, its step is::

        gain       = 0.02 (state.mean - crop) + 0.01 strength cos(phase) + 0.0001 mean(text)
                     + mean of masking over its 3 x 3 grid, for each of R, G, B
        next.mean  = state.mean + dt (crop - state.mean)
        next.count = state.count + 1

    Row b of the conditioning is b / 100 in each of its four numbers.
    """
    return build_tiny_artifact(tmp_path_factory.mktemp("artifact") / "tiny")


def build_tiny_artifact(folder: Path) -> Path:
    """Make the artifact of :func:`tiny_artifact` in ``folder``."""
    folder.mkdir(parents=True)
    inputs, outputs = tiny_tensors()
    onnx.save(tiny_graph(inputs, outputs), folder / STEP_GRAPH)
    bpm = np.array(TINY_BPM, np.int64)
    rows = np.repeat((bpm[:, None] / 100).astype(np.float32), TINY_TEXT, axis=1)
    np.savez(folder / CONDITIONING, bpm=bpm, embedding=rows)
    write_manifest(folder, tiny_manifest(inputs, outputs))
    return folder


def tiny_tensors() -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """The inputs and outputs of the tiny graph."""
    picture = (1, 3, TINY_CROP, TINY_CROP)
    inputs = (
        TensorSpec(CROP, picture, "float32"),
        TensorSpec(TEXT, (1, TINY_TEXT), "float32"),
        TensorSpec(PHASE, (1, 2), "float32"),
        TensorSpec(STRENGTH, (1, 1), "float32"),
        TensorSpec(DT, (1, 1), "float32"),
        TensorSpec(MASKING, (1, 3, 3, 3), "float32"),
        TensorSpec("state.mean", picture, "float32"),
        TensorSpec("state.count", (1,), "int64"),
    )
    outputs = (
        TensorSpec(GAIN, picture, "float32"),
        TensorSpec("next.mean", picture, "float32"),
        TensorSpec("next.count", (1,), "int64"),
    )
    return inputs, outputs


def tiny_manifest(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Manifest:
    """The tiny artifact's manifest, before its files are hashed."""
    return Manifest(
        format_version=FORMAT_VERSION,
        name="tiny",
        files={},
        crop_size=TINY_CROP,
        context=1,
        nominal_fps=30.0,
        inputs=inputs,
        outputs=outputs,
        bpm_grid=TINY_BPM,
        text_encoder="numeric",
        masking=0.0,
        pulse_direction=(0.0022, 0.0052, 0.0036),
        training={"commit": "none"},
        measured={},
        licence="Apache-2.0",
    )


def tiny_graph(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> onnx.ModelProto:
    """The tiny step graph; its arithmetic is in :func:`tiny_artifact`."""
    types = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}

    def info(spec: TensorSpec) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(spec.name, types[spec.dtype], spec.shape)

    def scalar(name: str, value: float) -> onnx.TensorProto:
        return helper.make_tensor(name, TensorProto.FLOAT, [], [value])

    constants = [
        scalar("edit", 0.02),
        scalar("wave", 0.01),
        scalar("hint", 0.0001),
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("first", TensorProto.INT64, [1], [0]),
        helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
        helper.make_tensor("grid", TensorProto.INT64, [2], [2, 3]),
        helper.make_tensor("picture", TensorProto.INT64, [4], [1, 1, 1, 1]),
    ]
    node = helper.make_node
    nodes = [
        node("Sub", ["state.mean", CROP], ["change"]),
        node("Mul", ["change", "edit"], ["removed"]),
        node("Gather", [PHASE, "first"], ["cosine"], axis=1),
        node("Mul", ["cosine", STRENGTH], ["wanted"]),
        node("Mul", ["wanted", "wave"], ["pulse"]),
        node("ReduceMean", [TEXT, "axes"], ["level"], keepdims=1),
        node("Mul", ["level", "hint"], ["told"]),
        node("Add", ["pulse", "told"], ["offset"]),
        node("Reshape", ["offset", "picture"], ["flat"]),
        node("Add", ["removed", "flat"], ["edited"]),
        node("ReduceMean", [MASKING, "grid"], ["noise"], keepdims=1),
        node("Add", ["edited", "noise"], [GAIN]),
        node("Reshape", [DT, "picture"], ["rate"]),
        node("Mul", ["change", "rate"], ["drift"]),
        node("Sub", ["state.mean", "drift"], ["next.mean"]),
        node("Add", ["state.count", "one"], ["next.count"]),
    ]
    graph = helper.make_graph(nodes, "tiny", [info(s) for s in inputs], [info(s) for s in outputs], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
