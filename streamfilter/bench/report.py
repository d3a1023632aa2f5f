"""A run as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streamfilter.bench.bars import bars
from streamfilter.bench.machine import is_busy
from streamfilter.bench.report_frames import frames, picture, rivals, stages, table
from streamfilter.bench.results import Results, StreamsResult
from streamfilter.bench.stats import spread


def markdown(results: Results, plots: Mapping[str, str]) -> str:
    """The page; ``plots`` are file names by what they show."""
    parts = [
        ["# How fast the filter is", "", *_about(results)],
        _bars(results),
        frames(results, plots),
        stages(results, plots),
        rivals(results, plots),
        _steps(results),
        _streams(results, plots),
        _starts(results),
        _allocations(results),
        _notes(results),
    ]
    return "\n".join("\n".join(part) + "\n" for part in parts if part)


def _about(results: Results) -> Iterator[str]:
    machine = results.machine
    yield (
        f"Written by `{results.command}` on {results.made}, in {results.seconds:.0f} seconds; "
        "`physio-bench --compare old.json new.json` sets two such runs side by side. "
        "Times are milliseconds on this machine:"
    )
    if is_busy(results.machine):
        yield ""
        yield "**Other programs were busy when this began: times are too long, counts too small.**"
    yield ""
    packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    gpu = "none measured" if machine.gpu is None else f"{machine.gpu}, driver {machine.gpu_driver}"
    yield from table(
        ("", ""),
        [
            ("processor", f"{machine.cpu}, {machine.cpus} processors"),
            ("memory", "not known" if machine.memory_gb is None else f"{machine.memory_gb:g} GB"),
            ("GPU", gpu),
            ("system", f"{machine.system}, Python {machine.python}"),
            ("packages", packages),
            ("physio-cam", f"{machine.version}, commit {machine.commit or 'unknown (installed)'}"),
            (
                "artifact",
                f"{results.artifact.name}, {results.artifact.megabytes:g} MB, "
                f"step.onnx {results.artifact.sha256[:12]}",
            ),
            ("load when it began", "not known" if machine.load is None else f"{machine.load:g}"),
            ("footage", f"{results.footage}, camera's format {results.camera}"),
            ("threads of a step and of OpenCV", results.threads),
        ],
    )
    yield ""
    yield (
        'What is compared takes turns, block by block, on the same frames. "±" is the spread of the blocks\' '
        "medians (1.5 times their median absolute deviation)."
    )


def _bars(results: Results) -> list[str]:
    found = list(bars(results))
    if not found:
        return []
    said = {True: "met", False: "**missed**", None: "not measured"}
    rows = [(bar.what, bar.wanted, bar.measured, said[bar.met]) for bar in found]
    return ["## Bars", *table(("what", "bar", "measured", ""), rows)]


def _steps(results: Results) -> list[str]:
    rows = [
        (
            step.name,
            f"{step.took.p50:.2f} ± {100 * step.took.spread:.0f} %",
            f"{step.took.p95:.2f}",
            f"{step.took.p99:.2f}",
            f"{step.cpu_ms:.2f}",
            "" if step.speedup is None else f"{step.speedup:.2f}",
        )
        for step in results.steps
    ]
    if not rows:
        return []
    heads = ("engine", "p50", "p95", "p99", "processor time", "plain run's time over this")
    return [f"## One step of the network, {results.steps[0].threads} thread", *table(heads, rows)]


def _streams(results: Results, plots: Mapping[str, str]) -> list[str]:
    if not results.streams:
        return []

    def last(one: StreamsResult) -> str:
        good = [trial for trial in one.trials if trial.streams == one.streams and trial.p99_ms is not None]
        return f"{good[-1].p99_ms:.1f}" if good else ""

    rows: list[tuple[object, ...]] = [
        (
            "steps only" if one.what == "engine" else f"whole filter, {one.size}",
            one.name,
            f"{one.workers} {one.how}",
            one.streams,
            last(one),
        )
        for one in results.streams
    ]
    gpu: tuple[str, ...] = ()
    if any(one.gpu is not None for one in results.streams):
        gpu = ("GPU busy", "GPU memory")
        uses = [one.gpu for one in results.streams]
        rows = [
            (*row, *(("", "") if use is None else (f"{use.utilisation:g} %", f"{use.memory_mb:g} MB")))
            for row, use in zip(rows, uses, strict=True)
        ]
    return [
        "## Streams of 30 frames a second at once",
        "The most of which 99 % of the frames were done before the next was due, found by trial. "
        "All streams' frames come at the same moment.",
        "",
        *table(("what", "engine", "workers", "streams", "p99 after the frame came", *gpu), rows),
        *picture(plots, "streams", "Streams at once"),
    ]


def _starts(results: Results) -> list[str]:
    rows = []
    for one in results.starts:
        runs = sorted(one.start.first_frame)
        memory = ("", "")
        if one.start.resident_mb is not None and one.start.peak_mb is not None:
            memory = (f"{one.start.resident_mb:.0f}", f"{one.start.peak_mb:.0f}")
        rows.append(
            (
                one.name,
                one.size,
                f"{runs[len(runs) // 2]:.2f} ± {100 * spread(runs):.0f} %",
                *memory,
            )
        )
    if not rows:
        return []
    heads = ("engine", "size", "process start to first edited frame, s", "memory, MB", "at its peak")
    return ["## Cold start and memory", *table(heads, rows)]


def _allocations(results: Results) -> list[str]:
    lines = []
    for one in results.allocations:
        lines.append(f"At {one.size}, {one.name}: {one.per_frame:g} a frame.")
        lines.append("")
        places = [
            (f"`{place.where}`", f"{place.per_frame:g}", f"{place.largest / 1024:.0f}")
            for place in one.places
        ]
        lines += table(("line", "a frame", "largest, KiB"), places) if places else []
        lines.append("")
    if not lines:
        return []
    return [
        "## Allocations of more than 64 KiB",
        "Python's and NumPy's, OpenCV's results among them; memory within the engines is not seen.",
        "",
        *lines[:-1],
    ]


def _notes(results: Results) -> list[str]:
    if not results.notes:
        return []
    return ["## Not measured", *(f"- {note}" for note in results.notes)]
