"""OpenVINO on the serving graph: streams beside each other, each as it is alone on ``step.onnx``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from export.serving_parity import TOLERANCE, parity_inputs
from streamfilter.artifact import load_artifact
from streamfilter.contract import SERVING_GRAPH
from streamfilter.engine import open_engine
from streamfilter.engine.onnxruntime_cpu import OnnxRuntimeEngine
from streamfilter.errors import ArtifactError, EngineError

ov = pytest.importorskip("openvino")


def test_it_computes_what_the_step_graph_does_for_two_streams_in_turn() -> None:
    artifact = load_artifact()
    ours, plain = open_engine(artifact, "openvino"), OnnxRuntimeEngine(artifact)
    rng = np.random.default_rng(0)
    pictures = rng.uniform(0.2, 0.8, (2, 3, 72, 72)).astype(np.float32)
    states = [(ours.init_state(), plain.init_state()) for _ in range(2)]
    worst = 0.0
    for index in range(280):  # beyond the look-back of 128 frames, for either
        stream = int(rng.integers(2))
        inputs = parity_inputs(artifact, pictures[stream], rng, index)
        mine, theirs = states[stream]
        gain, mine = ours.step(inputs, mine)
        wanted, theirs = plain.step(inputs, theirs)
        states[stream] = (mine, theirs)
        worst = max(worst, float(np.abs(gain - wanted).max()))
    assert 0.0 < worst < TOLERANCE
    ours.close()
    with pytest.raises(EngineError, match="closed"):
        ours.init_state()


def test_a_graph_that_is_none_and_one_that_is_another() -> None:
    artifact = load_artifact()
    with pytest.raises(EngineError, match=rf"cannot load .*{SERVING_GRAPH}"):
        open_engine(replace(artifact, serving=b"not a graph"), "openvino")
    with pytest.raises((ArtifactError, EngineError)):
        open_engine(replace(artifact, serving=artifact.graph), "openvino")
