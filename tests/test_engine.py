"""Engines: the graph's arithmetic, the state's path, and every way in which a step can go wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper

from streamfilter.artifact import Artifact, load_artifact, write_manifest
from streamfilter.contract import CROP, DT, MASKING, PHASE, STEP_GRAPH, STRENGTH, TEXT
from streamfilter.engine import ENGINE_NAMES, Engine, open_engine
from streamfilter.engine.select import ON_GPU
from streamfilter.errors import ArtifactError, EngineError, UsageError

Inputs = dict[str, npt.NDArray[Any]]


@pytest.fixture(scope="module")
def artifact(tiny_artifact: Path) -> Artifact:
    return load_artifact(tiny_artifact)


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def engine(artifact: Artifact, request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "openvino":
        pytest.importorskip("openvino")
    opened = open_engine(artifact, request.param)
    yield opened
    opened.close()


def step_inputs(
    artifact: Artifact, crop: float | npt.NDArray[Any], cosine: float = 0.0, dt: float = 0.5
) -> Inputs:
    picture = np.empty((1, 3, 72, 72), np.float32)
    picture[:] = crop
    return {
        CROP: picture,
        TEXT: artifact.text(70),
        PHASE: np.array([[cosine, 0.0]], np.float32),
        STRENGTH: np.array([[0.5]], np.float32),
        DT: np.array([[dt]], np.float32),
        MASKING: np.zeros((1, 3, 3, 3), np.float32),
    }


def test_the_arithmetic_of_the_graph_over_a_stream(engine: Engine, artifact: Artifact) -> None:
    random = np.random.default_rng(1)
    state, mean = engine.init_state(), np.zeros((1, 3, 72, 72))
    for _ in range(50):
        crop, cosine, dt = random.random((1, 3, 72, 72), np.float32), random.uniform(-1, 1), random.uniform()
        gain, state = engine.step(step_inputs(artifact, crop, cosine, dt), state)
        wanted = 0.02 * (mean - crop) + 0.01 * 0.5 * cosine + 0.0001 * 0.7
        np.testing.assert_allclose(gain, wanted, atol=1e-6)
        mean += dt * (crop - mean)


def test_masking_noise_reaches_its_channel(engine: Engine, artifact: Artifact) -> None:
    inputs = step_inputs(artifact, 0.0)
    inputs[MASKING][0, 1] = 0.002
    gain, _ = engine.step(inputs, engine.init_state())
    np.testing.assert_allclose(gain[0].mean(axis=(1, 2)), [0.00007, 0.00207, 0.00007], atol=1e-7)


def test_streams_do_not_see_each_other(engine: Engine, artifact: Artifact) -> None:
    dark, light = engine.init_state(), engine.init_state()
    for _ in range(5):
        _, dark = engine.step(step_inputs(artifact, 0.0), dark)
        _, light = engine.step(step_inputs(artifact, 1.0), light)
    gain, _ = engine.step(step_inputs(artifact, 0.0), dark)
    np.testing.assert_allclose(gain, 0.00007, atol=1e-7)
    gain, _ = engine.step(step_inputs(artifact, 0.0), light)
    np.testing.assert_allclose(gain, 0.02 * (1 - 0.5**5) + 0.00007, atol=1e-6)


def test_a_gain_map_is_the_callers_own(engine: Engine, artifact: Artifact) -> None:
    first, state = engine.step(step_inputs(artifact, 0.5), engine.init_state())
    kept = first.copy()
    engine.step(step_inputs(artifact, 0.9), state)
    np.testing.assert_array_equal(first, kept)
    first[:] = 7  # writeable too


def test_a_new_state_starts_over(engine: Engine, artifact: Artifact) -> None:
    inputs = step_inputs(artifact, 0.5, cosine=1.0)
    first, state = engine.step(inputs, engine.init_state())
    engine.step(inputs, state)
    again, _ = engine.step(inputs, engine.init_state())
    np.testing.assert_array_equal(first, again)


def test_views_and_read_only_inputs_are_taken(engine: Engine, artifact: Artifact) -> None:
    picture = np.random.default_rng(2).random((1, 72, 72, 3), np.float32)
    plain = step_inputs(artifact, np.ascontiguousarray(picture.transpose(0, 3, 1, 2)))
    view = {**plain, CROP: picture.transpose(0, 3, 1, 2)}
    view[TEXT].setflags(write=False)
    expected, _ = engine.step(plain, engine.init_state())
    actual, _ = engine.step(view, engine.init_state())
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_gain_that_is_not_finite_is_an_error(engine: Engine, artifact: Artifact, value: float) -> None:
    inputs = step_inputs(artifact, 0.5)
    inputs[CROP][0, 1, 40, 3] = value
    with pytest.raises(EngineError, match="not finite"):
        engine.step(inputs, engine.init_state())
    gain, _ = engine.step(step_inputs(artifact, 0.5), engine.init_state())
    assert np.isfinite(gain).all()


def test_inputs_are_checked_by_name_shape_and_dtype(engine: Engine, artifact: Artifact) -> None:
    good, state = step_inputs(artifact, 0.5), engine.init_state()
    with pytest.raises(EngineError, match="'crop' should be"):
        engine.step({**good, CROP: np.zeros((1, 3, 71, 72), np.float32)}, state)
    with pytest.raises(EngineError, match=r"'phase' should be \(1, 2\) float32, it is \(1, 2\) float64"):
        engine.step({**good, PHASE: np.zeros((1, 2))}, state)
    with pytest.raises(EngineError, match="a step takes the inputs crop, text"):
        engine.step({name: value for name, value in good.items() if name != DT}, state)
    with pytest.raises(EngineError, match="a step takes the inputs"):
        engine.step({**good, "hr": good[DT]}, state)


def test_a_closed_engine_says_so(artifact: Artifact) -> None:
    for name in ENGINE_NAMES:
        if name in ON_GPU or (name == "openvino" and find_spec("openvino") is None):
            continue
        engine = open_engine(artifact, name)
        state = engine.init_state()
        engine.close()
        engine.close()
        with pytest.raises(EngineError, match="closed"):
            engine.step(step_inputs(artifact, 0.5), state)


def test_engines_agree_with_more_threads(artifact: Artifact) -> None:
    pytest.importorskip("openvino")
    crop = np.random.default_rng(3).random((1, 3, 72, 72), np.float32)
    gains = []
    for name in ("onnxruntime", "openvino"):
        engine = open_engine(artifact, name, threads=2)
        gain, state = engine.step(step_inputs(artifact, crop), engine.init_state())
        gains.append(engine.step(step_inputs(artifact, crop), state)[0])
        assert not np.array_equal(gain, gains[-1])
    np.testing.assert_allclose(gains[0], gains[1], atol=1e-7)


def test_the_choice_is_said(artifact: Artifact) -> None:
    asked = open_engine(artifact, "onnxruntime")
    assert (asked.name, asked.reason) == ("onnxruntime", "asked for")
    pytest.importorskip("openvino")
    chosen = open_engine(artifact)
    assert "in a trial here: onnxruntime " in chosen.reason


def test_unknown_engine_and_threads(artifact: Artifact) -> None:
    with pytest.raises(UsageError, match="auto, onnxruntime, openvino"):
        open_engine(artifact, "tensorrt")
    with pytest.raises(UsageError, match="at least 1"):
        open_engine(artifact, threads=0)


WITHOUT_OPENVINO = """
import sys
from pathlib import Path
from streamfilter.artifact import load_artifact
from streamfilter.engine import open_engine
from streamfilter.errors import EngineError

artifact = load_artifact(Path(sys.argv[1]))
engine = open_engine(artifact)
print(engine.name, "|", engine.reason)
try:
    open_engine(artifact, "openvino")
except EngineError as error:
    print(error)
"""


def run_python(code: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
    command = [sys.executable, *options, "-c", code, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_without_openvino_auto_runs_and_openvino_is_an_error(tiny_artifact: Path) -> None:
    # A finder that denies the package: what a machine without it looks like to an import.
    hide = (
        "import sys, importlib.machinery as m\n"
        "real = m.PathFinder.find_spec\n"
        "m.PathFinder.find_spec = classmethod(\n"
        "    lambda cls, name, *rest: None if name == 'openvino' else real(name, *rest))\n"
    )
    choice, error = run_python(hide + WITHOUT_OPENVINO, str(tiny_artifact)).splitlines()
    assert choice == "onnxruntime | the only engine that is installed"
    assert "pip install 'physio-cam[openvino]'" in error


def test_a_broken_openvino_is_an_error_and_no_fallback(tiny_artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "openvino.py").write_text("raise ImportError('libopenvino.so is missing')\n")
    hide = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    code = hide + WITHOUT_OPENVINO
    assert "OpenVINO is installed but does not start (libopenvino.so is missing)" in run_python(
        code, str(tiny_artifact)
    )


def with_graph(tiny_artifact: Path, folder: Path, model: onnx.ModelProto) -> Artifact:
    """The tiny artifact with another graph whose hash is right."""
    shutil.copytree(tiny_artifact, folder)
    onnx.save(model, folder / STEP_GRAPH)
    write_manifest(folder, replace(load_artifact(tiny_artifact).manifest, files={}))
    return load_artifact(folder)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
class TestGraphsThatBreakTheManifest:
    @pytest.fixture(autouse=True)
    def _installed(self, name: str) -> None:
        pytest.importorskip(name)

    def test_not_a_graph(self, tiny_artifact: Path, tmp_path: Path, name: str) -> None:
        folder = Path(shutil.copytree(tiny_artifact, tmp_path / "a"))
        (folder / STEP_GRAPH).write_bytes(b"not a graph")
        write_manifest(folder, replace(load_artifact(tiny_artifact).manifest, files={}))
        with pytest.raises(EngineError, match=r"cannot load .*step\.onnx"):
            open_engine(load_artifact(folder), name)

    def test_another_shape(self, tiny_artifact: Path, tmp_path: Path, name: str) -> None:
        model = onnx.load(tiny_artifact / STEP_GRAPH)
        count = next(value for value in model.graph.input if value.name == "state.count")
        count.type.tensor_type.shape.dim[0].dim_value = 2
        del model.graph.output[2].type.tensor_type.shape.dim[:]
        model.graph.output[2].type.tensor_type.shape.dim.add().dim_value = 2
        with pytest.raises(ArtifactError, match=r"input 'state\.count' is \(2,\) int64 in step.onnx"):
            open_engine(with_graph(tiny_artifact, tmp_path / "a", model), name)

    def test_a_missing_output(self, tiny_artifact: Path, tmp_path: Path, name: str) -> None:
        model = onnx.load(tiny_artifact / STEP_GRAPH)
        del model.graph.output[2]
        with pytest.raises(ArtifactError, match=r"output 'next\.count' is absent in step.onnx"):
            open_engine(with_graph(tiny_artifact, tmp_path / "a", model), name)

    def test_a_shape_that_is_not_fixed(self, tiny_artifact: Path, tmp_path: Path, name: str) -> None:
        model = onnx.load(tiny_artifact / STEP_GRAPH)
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
        with pytest.raises(ArtifactError, match="no fixed shape"):
            open_engine(with_graph(tiny_artifact, tmp_path / "a", model), name)

    def test_a_step_that_fails_in_the_graph(self, tiny_artifact: Path, tmp_path: Path, name: str) -> None:
        # Reading row `count` of a vector of two fails (or reads nothing finite) once the count is past it.
        model = onnx.load(tiny_artifact / STEP_GRAPH)
        model.graph.initializer.append(helper.make_tensor("two", onnx.TensorProto.FLOAT, [2], [1.0, 1.0]))
        model.graph.node.insert(0, helper.make_node("Gather", ["two", "state.count"], ["unit"], axis=0))
        model.graph.node[1].output[0] = "difference"
        model.graph.node.insert(2, helper.make_node("Mul", ["difference", "unit"], ["change"]))
        artifact = with_graph(tiny_artifact, tmp_path / "a", model)
        if name == "openvino":
            pytest.skip("OpenVINO does not check a Gather's index")
        engine = open_engine(artifact, name)
        state = engine.init_state()
        for _ in range(2):
            _, state = engine.step(step_inputs(artifact, 0.5), state)
        with pytest.raises(EngineError, match="failed in a step"):
            engine.step(step_inputs(artifact, 0.5), state)


def test_the_engine_leaves_no_telemetry_behind(tiny_artifact: Path, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from streamfilter.artifact import load_artifact\nfrom streamfilter.engine import open_engine\n"
        "open_engine(load_artifact(Path(sys.argv[1])), 'onnxruntime').close()\n"
    )
    without = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    command = [sys.executable, "-c", code, str(tiny_artifact)]
    subprocess.run(command, check=True, timeout=60, env=without | home)
    assert not list(tmp_path.rglob("*"))
