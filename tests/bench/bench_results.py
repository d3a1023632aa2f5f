"""Made-up results with known figures, for tests of reports and comparisons."""

from __future__ import annotations

from streamfilter.bench.allocations import Place
from streamfilter.bench.chain import STAGES
from streamfilter.bench.contest import Outcome
from streamfilter.bench.gpu import GpuUse
from streamfilter.bench.machine import Machine
from streamfilter.bench.results import (
    FORMAT,
    AllocationResult,
    ArtifactUsed,
    FrameResult,
    Results,
    StartResult,
    StepResult,
    StreamsResult,
)
from streamfilter.bench.rivals import BACKGROUND
from streamfilter.bench.start import Start
from streamfilter.bench.stats import Summary, summary
from streamfilter.bench.steps import PLAIN
from streamfilter.bench.streams import Trial

MACHINE = Machine(
    "Some CPU", 2, 16.0, "Linux 6 (x86_64)", "3.11.9", {"numpy": "2.4.6"}, None, None, "0.1.0", "abc", 0.1
)


def times(middle: float, spread: float = 0.01) -> Summary:
    """Eight blocks of three equal times each, whose medians lie ``spread`` around ``middle``."""
    return summary([[middle * (1 + spread * sign)] * 3 for sign in (-1.5, -1, -0.5, 0, 0, 0.5, 1, 1.5)])


def made_results(
    frame_ms: float = 10.0, step_ms: float = 1.0, streams: int = 8, spread: float = 0.01, load: float = 0.1
) -> Results:
    """A run in which the filter took ``frame_ms``, MediaPipe 12 ms, a plain step 2.5 ms."""
    stages = dict.fromkeys(STAGES, times(frame_ms / 4, spread))
    took = times(frame_ms, spread)
    ours = Outcome(took, times(frame_ms + 2, spread), stages, times(frame_ms, spread), 1)
    theirs = Outcome(times(12.0), times(12.0), {"segment": times(5.0)}, times(14.0), None)
    step = times(step_ms, spread)
    return Results(
        format=FORMAT,
        command="physio-bench --quick",
        made="2026-01-01 00:00 UTC",
        seconds=60.0,
        machine=Machine(**{**{name: getattr(MACHINE, name) for name in MACHINE.__slots__}, "load": load}),
        artifact=ArtifactUsed("default", "0" * 64, 1.2),
        footage="drawn faces",
        camera="mjpg",
        threads=1,
        notes=("rival sliding-mean not measured: for a test",),
        frames=(
            FrameResult("720p", 1280, 720, 1, "onnxruntime", "engine", ours, GpuUse(10.0, 200.0)),
            FrameResult("720p", 1280, 720, 1, BACKGROUND, "rival", theirs, None),
        ),
        steps=(
            StepResult("onnxruntime", 1, step, step_ms, 2.5 / step_ms),
            StepResult(PLAIN, 1, times(2.5), 2.5, None),
        ),
        starts=(StartResult("auto", "720p", Start((0.5, 0.4, 0.6), 150.0, 300.0)),),
        streams=(
            StreamsResult(
                "engine", "threads", "onnxruntime", "720p", 2, streams, (Trial(streams, 1.0, 20.0),), None
            ),
        ),
        allocations=(
            AllocationResult("onnxruntime", "720p", 2.0, (Place("streamfilter/x.py:1", 2.0, 70_000),)),
        ),
    )
