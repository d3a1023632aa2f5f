"""State on the device, by the code that a GPU runs: here with the CPU's memory, compared with step.onnx."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from export.device.graph import device_graph as make_device_graph
from export.device.half import half_products
from export.device.parity import TOLERANCE, device_parity
from export.serving_parity import parity_inputs
from streamfilter.artifact import Artifact, default_artifact_path, load_artifact, write_manifest
from streamfilter.contract import CROP, DEVICE_GRAPH, DT, FRAME, SERVING_GRAPH
from streamfilter.engine.base import Gain, State, frame_inputs
from streamfilter.engine.batch import BatchEngine
from streamfilter.engine.device import DeviceEngine
from streamfilter.engine.device_buffers import Place
from streamfilter.engine.device_rows import DeviceRows
from streamfilter.engine.device_session import DeviceSession, device_graph, open_on_cpu
from streamfilter.engine.onnxruntime_cpu import OnnxRuntimeEngine
from streamfilter.errors import ArtifactError, EngineError


def engine_on(opened: DeviceSession, artifact: Artifact) -> DeviceEngine:
    return DeviceEngine(opened, frame_inputs(artifact.manifest.inputs), "asked for")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The default artifact with its device graph in float32: what differs is then the state's path alone."""
    folder = Path(shutil.copytree(default_artifact_path(), tmp_path_factory.mktemp("full") / "artifact"))
    onnx.save_model(make_device_graph(onnx.load(folder / SERVING_GRAPH), half=False), folder / DEVICE_GRAPH)
    write_manifest(folder, load_artifact().manifest)
    return load_artifact(folder)


@pytest.fixture(scope="module")
def opened(full: Artifact) -> DeviceSession:
    return open_on_cpu(full)


def gain_of(found: Gain | EngineError) -> Gain:
    assert not isinstance(found, EngineError)
    return found


def drawn(artifact: Artifact, seed: int) -> Callable[[int], dict[str, npt.NDArray[np.float32]]]:
    rng = np.random.default_rng(seed)
    picture = rng.uniform(0.2, 0.8, artifact.manifest.inputs[0].shape[1:])
    return lambda index: parity_inputs(artifact, picture, rng, index)


def test_buffers_that_swap_give_the_plain_engines_gains_for_200_steps(
    full: Artifact, opened: DeviceSession
) -> None:
    inputs = drawn(full, 1)
    plain, device = OnnxRuntimeEngine(full), engine_on(opened, full)
    first: State = plain.init_state()
    second: State = device.init_state()
    for index in range(200):
        frame = inputs(index)
        wanted, first = plain.step(frame, first)
        gain, second = device.step(frame, second)
        np.testing.assert_allclose(gain, wanted, atol=1e-6)


def test_streams_join_leave_and_sit_steps_out(full: Artifact, opened: DeviceSession) -> None:
    rng = np.random.default_rng(2)
    plain, batch = OnnxRuntimeEngine(full), BatchEngine(opened, 3)
    states: dict[int, State] = {}
    joined = left = held = 0
    for index in range(200):
        if len(states) < 3 and rng.uniform() < 0.2:
            states[batch.join()] = plain.init_state()
            joined += 1
        elif states and rng.uniform() < 0.05:
            slot = int(rng.choice(list(states)))
            batch.leave(slot)
            del states[slot]
            left += 1
        frames = {
            slot: parity_inputs(full, rng.uniform(0.2, 0.8, (3, 72, 72)), rng, index)
            for slot in states
            if rng.uniform() < 0.7
        }
        held += len(states) - len(frames)
        found = batch.step(frames)
        assert found.keys() == frames.keys()
        for slot, frame in frames.items():
            wanted, states[slot] = plain.step(frame, states[slot])
            np.testing.assert_allclose(gain_of(found[slot]), wanted, atol=1e-6)
    assert joined > 5 and left > 3 and held > 50


def test_a_stream_takes_the_memory_of_one_that_is_gone_and_starts_over(
    full: Artifact, opened: DeviceSession
) -> None:
    inputs, device = drawn(full, 3), engine_on(opened, full)
    state: State = device.init_state()
    frame = inputs(0)
    first, state = device.step(frame, state)
    kept = first.copy()
    bad = {**frame, CROP: np.full_like(frame[CROP], np.nan)}
    with pytest.raises(EngineError, match="not finite"):
        device.step(bad, state)  # NaN is in the memory now
    buffers = state.lane._buffers  # type: ignore[attr-defined]
    del state
    gc.collect()
    again: State = device.init_state()
    assert again.lane._buffers is buffers  # type: ignore[attr-defined]
    gain, again = device.step(frame, again)
    np.testing.assert_array_equal(gain, kept)
    np.testing.assert_array_equal(first, kept)  # the caller's own


def test_streams_at_a_time_have_memory_of_their_own(full: Artifact, opened: DeviceSession) -> None:
    inputs, device = drawn(full, 4), engine_on(opened, full)
    frame, other = inputs(0), inputs(90)
    one: State = device.init_state()
    two: State = device.init_state()
    _, one = device.step(frame, one)
    _, two = device.step(other, two)
    plain = OnnxRuntimeEngine(full)
    _, alone = plain.step(frame, plain.init_state())
    wanted, _ = plain.step(other, alone)
    gain, _ = device.step(other, one)
    np.testing.assert_allclose(gain, wanted, atol=1e-6)
    with pytest.raises(EngineError, match="stepped already"):
        device.step(other, one)
    device.close()
    with pytest.raises(EngineError, match="closed"):
        device.step(other, two)
    with pytest.raises(EngineError, match="closed"):
        device.init_state()


def test_each_direction_of_the_swap_has_a_cuda_graph_of_its_own(
    full: Artifact, opened: DeviceSession
) -> None:
    """The processor takes the option, and has no graphs: the numbers are what can be looked at here."""
    place = Place("device on cpu", "CPUExecutionProvider", graph_option="gpu_graph_id")
    session = DeviceSession(full, opened._session, place)
    buffers = [session.buffers(1), session.buffers(4)]
    numbers = [options.get_run_config_entry("gpu_graph_id") for one in buffers for _, options in one._runs]
    assert len(set(numbers)) == 4 and "-1" not in numbers  # -1 would capture none
    inputs, plain = drawn(full, 6)(0), OnnxRuntimeEngine(full)
    gain = buffers[0].run({**inputs, FRAME: np.zeros(1, np.int64)})
    np.testing.assert_allclose(gain, plain.step(inputs, plain.init_state())[0], atol=1e-6)


def test_a_stream_that_fails_starts_over_and_the_others_go_on(full: Artifact, opened: DeviceSession) -> None:
    inputs = drawn(full, 5)
    plain, batch = OnnxRuntimeEngine(full), BatchEngine(opened, 2)
    bad, good = batch.join(), batch.join()
    state: State = plain.init_state()
    for index in range(5):
        frames = {bad: inputs(index), good: inputs(index)}
        if index == 2:
            frames[bad][CROP][0, 1, 40, 3] = np.nan
        found = batch.step(frames)
        wanted, state = plain.step(frames[good], state)
        np.testing.assert_allclose(gain_of(found[good]), wanted, atol=1e-6)
        assert isinstance(found[bad], EngineError) is (index == 2)
        if index == 3:
            fresh, _ = plain.step(frames[bad], plain.init_state())
            np.testing.assert_allclose(gain_of(found[bad]), fresh, atol=1e-6)


def test_float16_stays_within_its_bar_and_does_not_drift() -> None:
    found = device_parity(load_artifact(), seconds=8)
    assert found.largest < TOLERANCE
    assert found.rms < 0.001 * found.gain
    assert found.drift < 1.5


def test_what_feeds_the_band_stop_stays_in_float32() -> None:
    artifact = load_artifact()
    assert artifact.serving is not None
    serving = onnx.load_from_string(artifact.serving)
    half = half_products(serving)
    made = {output: node for node in serving.graph.node for output in node.output}
    waiting, seen = [f"next.{name}" for name in ("colour", "level", "filters")], set()
    while waiting:
        node = made.get(waiting.pop())
        if node is not None and node.name not in seen:
            seen.add(node.name)
            waiting.extend(node.input)
    assert not half & seen and len(half) > 30
    graph = onnx.load_from_string(device_graph(artifact)).graph
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
    for name in ("keys0", "values0", "keys1", "values1"):
        assert kinds[f"state.{name}"] == kinds[f"next.{name}"] == onnx.TensorProto.FLOAT16
    for name in ("colour", "level", "filters", "encoder0"):
        assert kinds[f"state.{name}"] == kinds[f"next.{name}"] == onnx.TensorProto.FLOAT
    assert kinds["gain"] == kinds["crop"] == onnx.TensorProto.FLOAT


def test_a_run_that_fails_is_an_error_and_all_slots_start_over(full: Artifact, opened: DeviceSession) -> None:
    inputs, plain = drawn(full, 7)(0), OnnxRuntimeEngine(full)
    rows = DeviceRows(opened.buffers(2), opened.layout, 2)
    rows.step({0: inputs, 1: inputs})
    memory = rows._buffers._given
    whole = memory[CROP]
    memory[CROP] = memory[DT]  # the copy fails, as to a device that is lost
    with pytest.raises(EngineError, match="failed in a step"):
        rows.step({0: inputs})
    memory[CROP] = whole
    wanted, _ = plain.step(inputs, plain.init_state())
    np.testing.assert_allclose(rows.step({1: inputs})[1], wanted, atol=1e-6)


def test_a_provider_that_fell_back_is_an_error(full: Artifact) -> None:
    session = open_on_cpu(full)._session
    with pytest.raises(EngineError, match="runs the graph on CPUExecutionProvider, not on CUDA"):
        DeviceSession(full, session, Place("cuda", "CUDAExecutionProvider", "cuda"))


def test_a_device_graph_that_is_absent_damaged_or_another_is_an_error(full: Artifact, tmp_path: Path) -> None:
    files = {name: digest for name, digest in full.manifest.files.items() if name != DEVICE_GRAPH}
    with pytest.raises(ArtifactError, match=r"holds no device\.onnx"):
        open_on_cpu(replace(full, manifest=replace(full.manifest, files=files)))
    folder = Path(shutil.copytree(full.path, tmp_path / "a"))
    artifact = load_artifact(folder)
    (folder / DEVICE_GRAPH).write_bytes(b"other")
    with pytest.raises(ArtifactError, match="wrong sha256"):
        open_on_cpu(artifact)
    write_manifest(folder, full.manifest)
    with pytest.raises(EngineError, match=r"cannot load .*device\.onnx"):
        open_on_cpu(load_artifact(folder))
    shutil.copy(folder / SERVING_GRAPH, folder / DEVICE_GRAPH)
    write_manifest(folder, full.manifest)
    opened = load_artifact(folder)
    with pytest.raises(ArtifactError, match=r"of device\.onnx is not what the manifest"):
        open_on_cpu(replace(opened, manifest=replace(opened.manifest, inputs=opened.manifest.inputs[:1])))


def test_only_a_serving_graph_becomes_a_device_graph() -> None:
    with pytest.raises(ValueError, match="no serving graph"):
        make_device_graph(onnx.load_from_string(load_artifact().graph))
