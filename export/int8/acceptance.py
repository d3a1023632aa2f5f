"""Is the int8 graph as good as the f32 one, and quicker? Both edit the same clips in the very runtime."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from export.serving_parity import parity_inputs
from model.evaluate.aggregate import error, leak, mean
from model.evaluate.clip import EvalClip
from model.evaluate.run import evaluate_clip
from streamfilter.artifact import Artifact, load_artifact, write_manifest
from streamfilter.bench.contest import Rounds, compete
from streamfilter.bench.footage import SIZES, footage
from streamfilter.bench.stats import paired_ratio
from streamfilter.bench.steps import Stepper, step_inputs
from streamfilter.contract import SERVING_GRAPH
from streamfilter.engine import open_engine
from streamfilter.engine.select import ONNXRUNTIME, OPENVINO

GAIN_ERROR = 2e-4  # rms, relative: a seventh of the masking noise
ERROR_MORE, COHERENCE_MORE, PSNR_LESS = 0.1, 0.02, 0.3  # bpm, squared coherence, dB: the evaluation's scatter
_EDITOR = "artifact"


@dataclass(frozen=True, slots=True)
class Line:
    """One measure: the f32 graph's, int8's, and the most (or, of ``PSNR`` and speed, the least) allowed."""

    what: str
    f32: float
    int8: float
    allowed: float
    least: bool = False

    @property
    def met(self) -> bool:
        return self.int8 >= self.allowed if self.least else self.int8 <= self.allowed


def with_serving(artifact: Artifact, graph: bytes, folder: Path) -> Artifact:
    """A copy of the artifact in ``folder`` whose serving graph is ``graph``."""
    shutil.copytree(artifact.path, folder)
    (folder / SERVING_GRAPH).write_bytes(graph)
    write_manifest(folder, replace(artifact.manifest, files=dict.fromkeys(artifact.manifest.files, "")))
    return load_artifact(folder)


def examine(f32: Artifact, int8: Artifact, clips: Sequence[EvalClip], traces: Path) -> list[Line]:
    """All measures; ``traces`` is a folder of this comparison's own."""
    return [gains(f32, int8), *figures(f32, int8, clips, traces), *speeds(f32, int8)]


def gains(f32: Artifact, int8: Artifact, steps: int = 300) -> Line:
    """How far the gain maps lie apart, rms over a stream in which each graph carries its own state."""
    rng = np.random.default_rng(0)
    picture = rng.uniform(0.2, 0.8, f32.manifest.inputs[0].shape[1:]).astype(np.float32)
    engines = [open_engine(one, ONNXRUNTIME) for one in (f32, int8)]
    states = [one.init_state() for one in engines]
    squares = []
    for index in range(steps):
        inputs = parity_inputs(f32, picture, rng, index)
        made = []
        for number, engine in enumerate(engines):
            gain, states[number] = engine.step(inputs, states[number])
            made.append(gain)
        squares.append(float(np.mean((made[0] - made[1]) ** 2)))
    return Line("difference of the gain, rms", 0.0, float(np.sqrt(np.mean(squares))), GAIN_ERROR)


def figures(f32: Artifact, int8: Artifact, clips: Sequence[EvalClip], traces: Path) -> list[Line]:
    """What is read, what leaks and what the edit costs, mean over the clips."""
    found: list[list[dict[str, Any]]] = []
    for name, artifact in (("f32", f32), ("int8", int8)):
        direction = artifact.manifest.pulse_direction
        results = [
            evaluate_clip(
                replace(clip, codecs=False), [_EDITOR], artifact.path, direction, traces / name, ONNXRUNTIME
            )
            for clip in clips
        ]
        found.append([result["editors"][_EDITOR] for result in results])

    def line(what: str, get: Any, more: float, least: bool = False) -> Line:
        old, new = (mean(get(one) for one in results) for results in found)
        if old is None or new is None:
            raise ValueError(f"no clip gave a figure for: {what}")
        return Line(what, old, new, old - more if least else old + more, least)

    lines = [
        line(f"error to the target, {name} (bpm)", lambda one, n=name: error(one, n), ERROR_MORE)
        for name in ("POS", "CHROM")
    ]
    lines += [
        line(f"coherence with the true pulse, {what}", lambda one, k=key: leak(one, k), COHERENCE_MORE)
        for what, key in (("face", "face_mean"), ("patches", "patch_mean"))
    ]
    lines.append(line("attackers of a clip that find it by a notch", lambda one: one.get("hits"), 0.0))
    lines.append(line("PSNR (dB)", lambda one: one.get("psnr"), PSNR_LESS, least=True))
    return lines


def speeds(f32: Artifact, int8: Artifact, engines: Sequence[str] = (ONNXRUNTIME, OPENVINO)) -> list[Line]:
    """Milliseconds a step on each engine that is here; int8 has to be the quicker one."""
    inputs = step_inputs(f32, footage(SIZES["360p"], 1))
    lines = []
    for engine in engines:
        pair = [Stepper(one, engine, 1, inputs) for one in (f32, int8)]
        old, new = (outcome.whole for outcome in compete(pair, Rounds(16, 40, 60)))
        for one in pair:
            one.close()
        ratio = paired_ratio(new.blocks, old.blocks)
        lines.append(Line(f"steps a second on {engine}, as a share of f32's", 1.0, ratio, 1.0, least=True))
    return lines


def table(lines: Sequence[Line]) -> str:
    """As Markdown."""
    rows = ["| measure | f32 | int8 | bar | |", "|---|---|---|---|---|"]
    for line in lines:
        bar = f"{'≥' if line.least else '≤'} {line.allowed:.4g}"
        said = "met" if line.met else "**missed**"
        rows.append(f"| {line.what} | {line.f32:.4g} | {line.int8:.4g} | {bar} | {said} |")
    return "\n".join(rows)
