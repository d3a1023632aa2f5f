"""int8: what is quantised and what is left alone; what is not good enough or not quicker is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.int8.acceptance import GAIN_ERROR, Line, gains, table, with_serving
from export.int8.quantise import calibration, layers, quantised
from streamfilter.artifact import load_artifact
from streamfilter.bench.footage import SIZES, footage


@pytest.fixture(scope="module")
def serving() -> onnx.ModelProto:
    graph = load_artifact().serving
    assert graph is not None
    return onnx.load_from_string(graph)


def test_the_band_stop_and_fixed_averages_stay_as_they_are(serving: onnx.ModelProto) -> None:
    chosen = set(layers(serving))
    assert len(chosen) > 15
    by_output = {name: node for node in serving.graph.node for name in node.output}
    assert by_output["gain"].name not in chosen
    front = ["next.first"]
    while front:
        node = by_output.get(front.pop())
        if node is not None:
            assert node.name not in chosen
            front += node.input


def test_it_is_calibrated_on_states_that_streams_come_to() -> None:
    frames = footage(SIZES["360p"], 1, "yu12").frames()
    feeds = calibration(load_artifact(), [frames])
    assert [int(feed["frame"][0]) for feed in feeds] == [0, 7, 14]
    assert np.abs(feeds[0]["state.filters"]).max() == 0.0 < np.abs(feeds[2]["state.filters"]).max()
    assert np.abs(feeds[2]["ring.keys0"]).max() > 0.0


def test_an_int8_graph_runs_and_is_told_from_the_f32_one(tmp_path: Path) -> None:
    artifact = load_artifact()
    graph = quantised(artifact, [footage(SIZES["360p"], 1, "yu12").frames()])
    kinds = Counter(node.op_type for node in onnx.load_from_string(graph).graph.node)
    assert kinds["QuantizeLinear"] > 15 and kinds["DequantizeLinear"] > 30
    made = with_serving(artifact, graph, tmp_path / "int8")
    line = gains(artifact, made, steps=20)
    assert 0.0 < line.int8 < 10 * GAIN_ERROR


def test_clips_without_a_face_are_refused() -> None:
    with pytest.raises(ValueError, match="no face"):
        quantised(load_artifact(), [])


def test_a_bar_is_met_from_its_own_side() -> None:
    assert Line("error", 0.1, 0.19, 0.2).met and not Line("error", 0.1, 0.21, 0.2).met
    assert Line("PSNR", 55.0, 54.8, 54.7, least=True).met
    slower = Line("speed", 1.0, 0.83, 1.0, least=True)
    assert not slower.met
    assert "| speed | 1 | 0.83 | ≥ 1 | **missed** |" in table([slower])
