"""The part of a run's page that is about frames: rate, latency, stages, rivals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamfilter.bench.chain import STAGES
from streamfilter.bench.results import FrameResult, Results
from streamfilter.bench.rivals import ABOUT
from streamfilter.bench.stats import Summary, paired_ratio


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]


def frames(results: Results, plots: Mapping[str, str]) -> list[str]:
    """Frame rates and latency."""
    rows = []
    for one in _of_kind(results, "engine"):
        took, whole = one.outcome.filter, one.outcome.whole
        rows.append(
            (
                one.size,
                _faces(one),
                one.name,
                f"{1000 / took.mean:.0f}",
                f"{took.p50:.1f} ± {100 * took.spread:.0f} %",
                f"{took.p95:.1f}",
                f"{took.p99:.1f}",
                f"{took.jitter:.2f}",
                f"{1000 / whole.mean:.0f}",
                f"{whole.p50:.1f}",
                f"{whole.p99:.1f}",
                f"{one.outcome.cpu.mean:.1f}",
            )
        )
    if not rows:
        return []
    first = ("size", "faces", "engine", "frames a second", "p50", "p95", "p99", "jitter")
    heads = (*first, "camera to output: frames a second", "p50", "p99", "processor time of the filter")
    lines = [
        "## The filter, and the chain from camera to output",
        "The filter: planes in, edited planes out. Camera to output: before it the camera's buffer is "
        "decoded, after it the planes are packed and copied for a virtual camera, all in turn; live, "
        "capture, filter and output have a thread each. Jitter is the mean difference between "
        "neighbouring frames.",
        "",
        *table(heads, rows),
    ]
    uses = [one for one in results.frames if one.gpu is not None]
    if uses:
        lines += [
            "",
            *table(
                ("size", "faces", "engine", "GPU busy, all in turn", "GPU memory"),
                [_gpu(one) for one in uses],
            ),
        ]
    return lines + picture(plots, "rate", "Frames a second by size and faces")


def stages(results: Results, plots: Mapping[str, str]) -> list[str]:
    """Where a frame's time goes."""
    rows = [
        (one.size, _faces(one), one.name, *(_three(one.outcome.stages[stage]) for stage in STAGES))
        for one in _of_kind(results, "engine")
    ]
    if not rows:
        return []
    return [
        "## By stage, p50 / p95 / p99",
        "Detect: finding and following faces. Crop: also the pulse's clock and the noise that go in. "
        "Composite: also the skin beyond the face.",
        "",
        *table(("size", "faces", "engine", *STAGES), rows),
        *picture(plots, "stages", "Where a frame's time goes"),
    ]


def rivals(results: Results, plots: Mapping[str, str]) -> list[str]:
    """The filter beside others."""
    rivals = _of_kind(results, "rival")
    if not rivals:
        return []
    rows = []
    for rival in rivals:
        mine = [
            one for one in _of_kind(results, "engine") if (one.size, one.faces) == (rival.size, rival.faces)
        ]
        fastest = min(mine, key=lambda one: one.outcome.filter.p50)
        took = rival.outcome.filter
        inside = ", ".join(f"{stage} {part.p50:.1f}" for stage, part in rival.outcome.stages.items())
        rows.append(
            (
                rival.size,
                rival.name,
                f"{took.p50:.1f}",
                f"{took.p99:.1f}",
                f"{rival.outcome.cpu.mean:.1f}",
                f"{fastest.outcome.filter.p50:.1f} / {fastest.outcome.cpu.mean:.1f} ({fastest.name})",
                f"{paired_ratio(fastest.outcome.filter.blocks, took.blocks):.2f}",
                inside or "one piece",
            )
        )
    named = dict.fromkeys(rival.name for rival in rivals)
    heads = (
        "size",
        "rival",
        "p50",
        "p99",
        "processor time",
        "ours: p50 / processor time",
    )
    return [
        "## Beside others, on the same frames, one face",
        *(f"- **{name}**: {ABOUT[name]}." for name in named),
        "",
        "I420 planes in, I420 planes out. More than 1 in the last but one column: ours is faster.",
        "",
        *table((*heads, "theirs over ours", "p50 of its parts"), rows),
        *picture(plots, "rivals", "The filter beside others"),
    ]


def picture(plots: Mapping[str, str], name: str, title: str) -> list[str]:
    """A plot, if it was drawn."""
    return ["", f"![{title}]({plots[name]})"] if name in plots else []


def _of_kind(results: Results, kind: str) -> list[FrameResult]:
    return [one for one in results.frames if one.kind == kind]


def _faces(one: FrameResult) -> str:
    found = one.outcome.faces
    return str(one.faces) if found in (None, one.faces) else f"{one.faces} (found {found})"


def _gpu(one: FrameResult) -> tuple[str, str, str, str, str]:
    assert one.gpu is not None
    return one.size, _faces(one), one.name, f"{one.gpu.utilisation:g} %", f"{one.gpu.memory_mb:g} MB"


def _three(part: Summary) -> str:
    return f"{part.p50:.1f} / {part.p95:.1f} / {part.p99:.1f}"
