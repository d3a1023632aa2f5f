"""Many streams on one engine: whoever joins, leaves or fails beside it, a stream is as if alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from export.rebuild import rebuild
from streamfilter.artifact import Artifact, load_artifact
from streamfilter.contract import CROP
from streamfilter.engine import Gain, State, open_engine
from streamfilter.engine.batch import BatchEngine
from streamfilter.engine.host_rows import neighbours
from streamfilter.engine.onnxruntime_cpu import OnnxRuntimeEngine
from streamfilter.engine.onnxruntime_serving import OrtRunner
from streamfilter.errors import ArtifactError, EngineError, UsageError
from tests.engine_inputs import drawn


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return load_artifact()


@pytest.fixture(scope="module")
def runner(artifact: Artifact) -> OrtRunner:
    return OrtRunner(artifact, 1)


def gain_of(found: Gain | EngineError) -> Gain:
    assert not isinstance(found, EngineError)
    return found


def test_streams_that_join_and_leave_at_random_get_what_they_would_alone(
    artifact: Artifact, runner: OrtRunner
) -> None:
    rng = np.random.default_rng(4)
    alone, batch = OnnxRuntimeEngine(artifact), BatchEngine(runner, 4)
    states: dict[int, State] = {}
    joined = left = 0
    for _ in range(80):
        if len(states) < 4 and rng.uniform() < 0.3:
            states[batch.join()] = alone.init_state()
            joined += 1
        elif states and rng.uniform() < 0.1:
            slot = int(rng.choice(list(states)))
            batch.leave(slot)
            del states[slot]
            left += 1
        frames = {slot: drawn(artifact, rng) for slot in states if rng.uniform() < 0.7}
        found = batch.step(frames)
        assert found.keys() == frames.keys()
        for slot, inputs in frames.items():
            gain, states[slot] = alone.step(inputs, states[slot])
            np.testing.assert_allclose(gain_of(found[slot]), gain, atol=1e-5)
    assert joined > 5 and left > 2


def test_the_serving_engine_is_step_onnx_beyond_its_look_back(artifact: Artifact) -> None:
    rng = np.random.default_rng(5)
    plain, fast = OnnxRuntimeEngine(artifact), open_engine(artifact, "onnxruntime")
    first, second = plain.init_state(), fast.init_state()
    for _ in range(artifact.manifest.context + 20):
        inputs = drawn(artifact, rng)
        wanted, first = plain.step(inputs, first)
        gain, second = fast.step(inputs, second)
        np.testing.assert_allclose(gain, wanted, atol=1e-5)


def test_a_stream_that_fails_starts_over_and_the_others_go_on(artifact: Artifact, runner: OrtRunner) -> None:
    rng = np.random.default_rng(6)
    alone, batch = OnnxRuntimeEngine(artifact), BatchEngine(runner, 2)
    bad, good = batch.join(), batch.join()
    state = alone.init_state()
    for index in range(6):
        frames = {bad: drawn(artifact, rng), good: drawn(artifact, rng)}
        if index == 3:
            frames[bad][CROP][0, 1, 40, 3] = np.nan
        found = batch.step(frames)
        wanted, state = alone.step(frames[good], state)
        np.testing.assert_allclose(gain_of(found[good]), wanted, atol=1e-5)
        if index == 3:
            assert isinstance(found[bad], EngineError)
        if index == 4:
            np.testing.assert_allclose(
                gain_of(found[bad]), alone.step(frames[bad], alone.init_state())[0], atol=1e-5
            )


def test_slots_are_checked(artifact: Artifact, runner: OrtRunner) -> None:
    with pytest.raises(UsageError, match="at least 1 slot"):
        BatchEngine(runner, 0)
    batch, inputs = BatchEngine(runner, 1), drawn(artifact, np.random.default_rng(7))
    with pytest.raises(EngineError, match="holds no stream"):
        batch.step({0: inputs})
    slot = batch.join()
    with pytest.raises(EngineError, match="all 1 streams"):
        batch.join()
    with pytest.raises(EngineError, match="a step takes the inputs"):
        batch.step({slot: {CROP: inputs[CROP]}})
    assert batch.step({}) == {}
    batch.leave(slot)
    with pytest.raises(EngineError, match="holds no stream"):
        batch.leave(slot)
    batch.close()
    batch.close()
    with pytest.raises(EngineError, match="closed"):
        batch.join()


def test_a_state_is_stepped_once_and_by_its_own_engine(artifact: Artifact) -> None:
    engine, inputs = open_engine(artifact, "onnxruntime"), drawn(artifact, np.random.default_rng(8))
    state = engine.init_state()
    engine.step(inputs, state)
    with pytest.raises(EngineError, match="stepped already"):
        engine.step(inputs, state)
    with pytest.raises(EngineError, match="another engine's"):
        engine.step(inputs, OnnxRuntimeEngine(artifact).init_state())


def test_neighbours_share_a_run() -> None:
    assert neighbours([]) == []
    assert neighbours([0, 1, 2, 5, 6, 9]) == [slice(0, 3), slice(5, 7), slice(9, 10)]


def test_a_serving_graph_that_is_absent_or_another_is_an_error(artifact: Artifact) -> None:
    with pytest.raises(ArtifactError, match=r"holds no serving\.onnx"):
        OrtRunner(replace(artifact, serving=None), 1)
    inputs = tuple(
        replace(spec, shape=(1, 7)) if spec.name == "text" else spec for spec in artifact.manifest.inputs
    )
    with pytest.raises(ArtifactError, match=r"input 'text' of serving\.onnx"):
        OrtRunner(replace(artifact, manifest=replace(artifact.manifest, inputs=inputs)), 1)
    with pytest.raises(EngineError, match=r"cannot load .*serving\.onnx"):
        OrtRunner(replace(artifact, serving=b"not a graph"), 1)


def test_the_network_comes_back_from_the_artifact(artifact: Artifact) -> None:
    network = rebuild(artifact)  # compares every step with the graph itself
    assert network.settings.removal == artifact.manifest.training["removal"]
    assert network.settings.pulse_direction == artifact.manifest.pulse_direction
    with pytest.raises(ArtifactError, match="no settings"):
        rebuild(replace(artifact, manifest=replace(artifact.manifest, training={})))
