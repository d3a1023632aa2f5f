"""``--engine auto``: who is chosen, what is said, what is kept. The clock is the test's own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamfilter.artifact import Artifact, load_artifact
from streamfilter.engine import open_engine
from streamfilter.engine.base import Gain, State
from streamfilter.engine.onnxruntime_cpu import OnnxRuntimeEngine
from streamfilter.engine.trial import Trial, choose
from streamfilter.errors import ArtifactError, EngineError


class Clock:
    """Moves when a step says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Timed(OnnxRuntimeEngine):
    """The real engine, whose step takes ``ms`` on the test's clock."""

    def __init__(self, artifact: Artifact, name: str, ms: float, clock: Clock) -> None:
        super().__init__(artifact)
        self.name, self.ms, self.clock = name, ms, clock
        self.steps, self.closed = 0, False

    def step(self, inputs: Mapping[str, npt.NDArray[Any]], state: State) -> tuple[Gain, State]:
        self.clock.now += self.ms / 1000
        self.steps += 1
        return super().step(inputs, state)

    def close(self) -> None:
        self.closed = True
        super().close()


class Field:
    """Engines that can be opened, and those that were."""

    def __init__(self, folder: Path, **ms: float) -> None:
        self.clock = Clock()
        self.ms = ms
        self.failing: dict[str, EngineError | ArtifactError] = {}
        self.opened: list[Timed] = []
        self.trial = Trial(self.clock, folder=folder)

    def choose(self, artifact: Artifact, threads: int = 1) -> Timed:
        engine = choose(artifact, threads, {name: self._opener(name) for name in self.ms}, self.trial)
        assert isinstance(engine, Timed)
        return engine

    def _opener(self, name: str) -> Callable[[Artifact, int], Timed]:
        def opener(artifact: Artifact, threads: int) -> Timed:
            if name in self.failing:
                raise self.failing[name]
            self.opened.append(Timed(artifact, name, self.ms[name], self.clock))
            return self.opened[-1]

        return opener


@pytest.fixture
def artifact(tiny_artifact: Path) -> Artifact:
    return load_artifact(tiny_artifact)


def test_the_quickest_stays_and_the_others_are_closed(artifact: Artifact, tmp_path: Path) -> None:
    field = Field(tmp_path, first=2.0, second=0.5, third=0.9)
    engine = field.choose(artifact)
    assert engine.name == "second"
    assert engine.reason == "the quickest in a trial here: first 2.00, second 0.50, third 0.90 ms a step"
    assert [one.closed for one in field.opened] == [True, False, True]
    assert {one.steps for one in field.opened} == {35}
    gain, _ = engine.step(inputs_of(artifact), engine.init_state())
    assert np.isfinite(gain).all()


def test_who_starts_sooner_may_be_a_little_slower(artifact: Artifact, tmp_path: Path) -> None:
    engine = Field(tmp_path, first=1.1, second=1.0).choose(artifact)
    assert engine.name == "first"
    assert engine.reason.startswith("quicker to start than second, and as fast in a trial here: first 1.10")


def test_slow_engines_are_not_tried_for_long(artifact: Artifact, tmp_path: Path) -> None:
    field = Field(tmp_path, first=200.0, second=100.0)
    engine = field.choose(artifact)
    assert engine.name == "second" and engine.steps == 5 + 6


def test_one_engine_alone_is_not_tried(artifact: Artifact, tmp_path: Path) -> None:
    engine = Field(tmp_path, first=1.0).choose(artifact)
    assert engine.steps == 0 and engine.reason == "the only engine that is installed"
    assert not list(tmp_path.iterdir())


def test_the_outcome_is_kept_for_the_same_artifact_threads_and_engines(
    artifact: Artifact, tmp_path: Path
) -> None:
    Field(tmp_path, first=2.0, second=1.0).choose(artifact)
    again = Field(tmp_path, first=0.1, second=1.0)
    engine = again.choose(artifact)
    assert engine.name == "second" and engine.steps == 0 and len(again.opened) == 1
    assert engine.reason.endswith("first 2.00, second 1.00 ms a step; kept from the first start")
    assert again.choose(artifact, threads=2).name == "first"
    files = {name: digest[::-1] for name, digest in artifact.manifest.files.items()}
    other = replace(artifact, manifest=replace(artifact.manifest, files=files))
    assert again.choose(other).name == "first"
    assert Field(tmp_path, first=0.1, second=1.0, third=3.0).choose(artifact).name == "first"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'["second", 3, 4]', b'["gone", {"gone": 1}, {}]'])
def test_a_damaged_outcome_is_measured_again(artifact: Artifact, tmp_path: Path, content: bytes) -> None:
    Field(tmp_path, first=2.0, second=1.0).choose(artifact)
    kept = next(tmp_path.iterdir())
    kept.write_bytes(content)
    assert Field(tmp_path, first=0.1, second=1.0).choose(artifact).name == "first"
    assert json.loads(kept.read_bytes())[0] == "first"


def test_an_engine_that_refuses_is_named_with_its_reason(artifact: Artifact, tmp_path: Path) -> None:
    field = Field(tmp_path, first=2.0, second=0.5)
    field.failing["second"] = EngineError("no driver")
    engine = field.choose(artifact)
    assert engine.name == "first"
    assert engine.reason.endswith("first 2.00 ms a step; second did not take part: no driver")


def test_a_kept_engine_that_fails_now_is_tried_anew(artifact: Artifact, tmp_path: Path) -> None:
    Field(tmp_path, first=2.0, second=0.5).choose(artifact)
    field = Field(tmp_path, first=2.0, second=0.5)
    field.failing["second"] = EngineError("no driver")
    engine = field.choose(artifact)
    assert engine.name == "first" and "second did not take part: no driver" in engine.reason


def test_where_all_refuse_the_first_ones_error_is_raised(artifact: Artifact, tmp_path: Path) -> None:
    field = Field(tmp_path, first=2.0, second=0.5)
    field.failing = {"first": ArtifactError("damaged"), "second": EngineError("no driver")}
    with pytest.raises(ArtifactError, match="damaged"):
        field.choose(artifact)


def test_the_real_engines_are_tried_within_a_second_or_two(artifact: Artifact, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    engine = open_engine(artifact, trial=Trial(folder=tmp_path))
    assert engine.name in ("onnxruntime", "openvino")
    assert "onnxruntime" in engine.reason and "openvino" in engine.reason


@pytest.mark.parametrize(
    ("name", "help_said"),
    [
        ("cuda", "pip install 'onnxruntime-gpu[cuda,cudnn]'; or take --engine onnxruntime"),
        ("tensorrt-rtx", "--engine onnxruntime"),
    ],
)
def test_an_engine_without_its_gpu_says_what_to_do(name: str, help_said: str) -> None:
    """Where the libraries are installed but no driver is, this is their own refusal to load."""
    code = (
        "import sys\nfrom streamfilter.artifact import load_artifact\n"
        "from streamfilter.engine import open_engine\n"
        "from streamfilter.errors import EngineError\n"
        "try:\n    print(open_engine(load_artifact(), sys.argv[1]).name)\n"
        "except EngineError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, name], capture_output=True, text=True, timeout=60, check=True
    )
    if done.stdout.strip() == name:
        pytest.skip("this machine has such a GPU")
    assert help_said in done.stdout
    if name == "tensorrt-rtx" and find_spec("onnxruntime_ep_nv_tensorrt_rtx") is None:
        assert "pip install 'physio-cam[gpu]'" in done.stdout


def inputs_of(artifact: Artifact) -> dict[str, npt.NDArray[Any]]:
    return {
        spec.name: np.full(spec.shape, 0.5, spec.dtype)
        for spec in artifact.manifest.inputs
        if not spec.name.startswith("state.")
    }
