"""``--engine auto``: the engines that are here take turns for a moment, and the quickest stays.

Measured once: the outcome is kept in the user's cache folder, under a name that holds the artifact, the
machine, the number of threads and the libraries' versions. Where only one engine is here nothing is measured.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import numpy as np

from streamfilter.artifact import Artifact
from streamfilter.engine.base import Engine, State, frame_inputs
from streamfilter.engine.build_cache import cache_folder, cache_name, read_cached, write_cached
from streamfilter.errors import ArtifactError, EngineError

Opener = Callable[[Artifact, int], Engine]
MARGIN = 1.15  # who is listed before, and so starts sooner, may be that much slower
_ROUNDS = 5
_STEPS = 6  # a round
_WARM_UP = 5
_FORM = "1"  # of the kept outcome
_PACKAGES = ("onnxruntime", "onnxruntime-gpu", "openvino", "onnxruntime-ep-nv-tensorrt-rtx")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trial:
    """How engines are tried: no new round of steps begins after ``seconds`` on ``clock``; the outcome is kept
    in ``folder``, None for the user's cache folder."""

    clock: Callable[[], float] = time.perf_counter
    seconds: float = 0.5
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """``took``: median milliseconds a step; ``refused``: why an engine that is here could not take part."""

    chosen: str
    took: dict[str, float]
    refused: dict[str, str]

    def __str__(self) -> str:
        times = ", ".join(f"{name} {ms:.2f}" for name, ms in self.took.items())
        quickest = min(self.took, key=lambda name: self.took[name])
        why = "the quickest" if quickest == self.chosen else f"quicker to start than {quickest}, and as fast"
        said = f"{why} in a trial here: {times} ms a step"
        # What is wrong, without what to do about it: that is in the log and in physio-cam doctor.
        return said + "".join(
            f"; {name} did not take part: {reason.split(': it needs')[0]}"
            for name, reason in self.refused.items()
        )


def choose(artifact: Artifact, threads: int, openers: Mapping[str, Opener], trial: Trial) -> Engine:
    """Open the engine to take, out of ``openers``, in the order of their preference; its ``reason`` says why.

    Raises the first one's EngineError or ArtifactError where all refuse.
    """
    if len(openers) == 1:
        engine = next(iter(openers.values()))(artifact, threads)
        return _said(engine, "the only engine that is installed")
    path = (trial.folder or cache_folder()) / _name(artifact, threads, openers)
    outcome = _kept(path, openers)
    if outcome is not None:
        try:
            engine = openers[outcome.chosen](artifact, threads)
        except EngineError as error:
            _LOG.warning("%s was chosen before and now fails (%s): trying again", outcome.chosen, error)
        else:
            return _said(engine, f"{outcome}; kept from the first start")
    engine, outcome = _measure(artifact, threads, openers, trial)
    write_cached(path, json.dumps([outcome.chosen, outcome.took, outcome.refused]).encode())
    return _said(engine, str(outcome))


def _measure(
    artifact: Artifact, threads: int, openers: Mapping[str, Opener], trial: Trial
) -> tuple[Engine, Outcome]:
    opened: dict[str, Engine] = {}
    errors: dict[str, EngineError | ArtifactError] = {}
    for name, opener in openers.items():
        try:
            opened[name] = opener(artifact, threads)
        except (EngineError, ArtifactError) as error:
            errors[name] = error
            _LOG.warning("engine %s: %s", name, error)
    if not opened:
        raise next(iter(errors.values()))
    took = _take_turns(artifact, opened, trial)
    quickest = min(took.values())
    chosen = next(name for name, ms in took.items() if ms <= MARGIN * quickest)
    for name, engine in opened.items():
        if name != chosen:
            engine.close()
    return opened[chosen], Outcome(chosen, took, {name: str(error) for name, error in errors.items()})


def _take_turns(artifact: Artifact, engines: Mapping[str, Engine], trial: Trial) -> dict[str, float]:
    inputs = {
        spec.name: np.full(spec.shape, 0.5, spec.dtype) for spec in frame_inputs(artifact.manifest.inputs)
    }
    states: dict[str, State] = {}
    for name, engine in engines.items():
        states[name] = engine.init_state()
        for _ in range(_WARM_UP):
            _, states[name] = engine.step(inputs, states[name])
    times: dict[str, list[float]] = {name: [] for name in engines}
    begun = trial.clock()
    for _ in range(_ROUNDS):
        for name, engine in engines.items():
            for _ in range(_STEPS):
                start = trial.clock()
                _, states[name] = engine.step(inputs, states[name])
                times[name].append(1000 * (trial.clock() - start))
        if trial.clock() - begun > trial.seconds:
            break
    return {name: median(found) for name, found in times.items()}


def _kept(path: Path, openers: Mapping[str, Opener]) -> Outcome | None:
    content = read_cached(path)
    if content is None:
        return None
    try:
        chosen, took, refused = json.loads(content)
        outcome = Outcome(
            str(chosen),
            {str(k): float(v) for k, v in took.items()},
            {str(k): str(v) for k, v in refused.items()},
        )
    except (ValueError, TypeError, AttributeError):
        _LOG.warning("%s is damaged: the engines are tried again", path)
        return None
    return outcome if outcome.chosen in openers and outcome.took else None


def _name(artifact: Artifact, threads: int, openers: Mapping[str, Opener]) -> str:
    parts = [_FORM, *sorted(artifact.manifest.files.values()), str(threads), *openers]
    parts += [platform.node(), platform.machine(), platform.processor(), str(os.cpu_count())]
    return cache_name("engine-choice", parts + [_version(package) for package in _PACKAGES], ".json")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _said(engine: Engine, reason: str) -> Engine:
    engine.reason = reason
    _LOG.info("engine %s: %s", engine.name, reason)
    return engine
