"""What the project asks of itself, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from streamfilter.bench.results import FrameResult, Results
from streamfilter.bench.rivals import BACKGROUND, BACKGROUND_LEAN
from streamfilter.bench.stats import paired_ratio

STEP_SPEEDUP = 2.0
RATES = (("720p", 100.0), ("1080p", 70.0))
INT8_RATE = 150.0
STREAMS = 8
GPU_STEP_MS = 1.0
GPU_STREAMS = 500
_ON_GPU = ("cuda", "tensorrt")  # in the names of engines
PARITY = 1.0  # times MediaPipe's background filter


@dataclass(frozen=True, slots=True)
class Bar:
    """``met`` is None where it was not measured here."""

    what: str
    wanted: str
    measured: str
    met: bool | None


def bars(results: Results) -> Iterator[Bar]:
    """The bars that this run can speak of."""
    speedups = [(step.speedup, step.name) for step in results.steps if step.speedup is not None]
    if speedups:
        best, name = max(speedups)
        yield Bar(
            "a step against ONNX Runtime's plain run of the same graph, 1 thread",
            f"≥ {STEP_SPEEDUP:g} times faster",
            f"{best:.2f} times ({name})",
            best >= STEP_SPEEDUP,
        )
    for size, wanted in RATES:
        for precision, bar in (("f32", wanted), *((("int8", INT8_RATE),) if size == "720p" else ())):
            mine = [one for one in _engines(results, size) if ("int8" in one.name) is (precision == "int8")]
            if mine:
                fastest = min(mine, key=lambda one: one.outcome.filter.mean)
                rate = 1000 / fastest.outcome.filter.mean
                yield Bar(
                    f"whole filter at {size}, 1 face, {precision}",
                    f"≥ {bar:g} frames a second",
                    f"{rate:.0f} ({fastest.name})",
                    rate >= bar,
                )
    served = [one for one in results.streams if one.what == "engine"]
    if served:
        most = max(served, key=lambda one: one.streams)
        yield Bar(
            f"streams at 30 frames a second, engine part only, {most.workers} processors",
            f"≥ {STREAMS} on 2",
            f"{most.streams} ({most.name}, {most.how})",
            most.streams >= STREAMS,
        )
    yield from _on_gpu(results)
    yield from _beside_background(results)
    if results.allocations:
        per_frame = min(one.per_frame for one in results.allocations)
        yield Bar("allocations of more than 64 KiB a frame", "0", f"{per_frame:g}", per_frame == 0)


def _on_gpu(results: Results) -> Iterator[Bar]:
    card = results.machine.gpu
    steps = [step for step in results.steps if any(word in step.name for word in _ON_GPU)]
    if card is None or not steps:
        return
    quickest = min(steps, key=lambda step: step.took.p99)
    p99 = quickest.took.p99
    said = f"{p99:.2f} ms ({quickest.name})"
    yield Bar(f"a step for one stream on {card}, p99", f"≤ {GPU_STEP_MS:g} ms", said, p99 <= GPU_STEP_MS)
    counts = [one.streams for one in results.streams if any(word in one.name for word in _ON_GPU)]
    if counts:
        most = max(counts)
        yield Bar(f"streams on {card}", f"≥ {GPU_STREAMS} on an H100", str(most), most >= GPU_STREAMS)


def _beside_background(results: Results) -> Iterator[Bar]:
    for size in dict.fromkeys(one.size for one in results.frames):
        mine = _engines(results, size)
        for theirs in results.frames:
            if theirs.size != size or theirs.name not in (BACKGROUND, BACKGROUND_LEAN) or not mine:
                continue
            fastest = min(mine, key=lambda one: one.outcome.filter.p50)
            ratio = paired_ratio(fastest.outcome.filter.blocks, theirs.outcome.filter.blocks)
            yield Bar(
                f"whole filter against MediaPipe's segmentation and blur at {size} ({theirs.name})",
                "at least as fast",
                f"{ratio:.2f} times as fast ({fastest.name})",
                ratio >= PARITY,
            )


def _engines(results: Results, size: str) -> list[FrameResult]:
    return [one for one in results.frames if one.kind == "engine" and one.size == size and one.faces == 1]
