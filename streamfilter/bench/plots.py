"""The run in pictures. Needs matplotlib, which is an extra: ``pip install 'physio-cam[bench]'``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from streamfilter.bench.chain import STAGES
from streamfilter.bench.results import FrameResult, Results
from streamfilter.errors import SinkError

ABSENT = "plots not drawn: matplotlib is not installed (pip install 'physio-cam[bench]')"


def available() -> bool:
    """Whether plots can be drawn here."""
    return find_spec("matplotlib") is not None


def draw(results: Results, folder: Path) -> dict[str, str]:
    """Writes PNG files and returns their names by what they show. Raises SinkError."""
    drawn = {"rate": _rate, "stages": _stages, "rivals": _rivals, "streams": _streams}
    names = {}
    for name, painter in drawn.items():
        figure = painter(results)
        if figure is None:
            continue
        path = folder / f"{name}.png"
        staged = folder / f"{name}.part.png"
        try:
            figure.savefig(staged, dpi=110)
            staged.replace(path)
        except OSError as error:
            raise SinkError(f"{path} cannot be written ({error.strerror}): choose another --out") from error
        names[name] = path.name
    return names


def _figure(width: float, height: float) -> tuple[Any, Any]:
    # By their own modules, not pyplot: no state of the process is touched, no window can open.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: TID251  # an extra, for this file only
    from matplotlib.figure import Figure  # noqa: TID251

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _rate(results: Results) -> Any | None:
    mine = _engines(results)
    if not mine:
        return None
    figure, axes = _figure(8, 4)
    sizes = list(dict.fromkeys(one.size for one in mine))
    series = list(dict.fromkeys((one.name, one.faces) for one in mine))
    wide = 0.8 / len(series)
    for k, (name, faces) in enumerate(series):
        rates = [
            next((1000 / one.outcome.filter.mean for one in mine if _is(one, size, name, faces)), 0.0)
            for size in sizes
        ]
        axes.bar(
            np.arange(len(sizes)) + k * wide, rates, wide, label=f"{name}, {faces} face{'s' * (faces > 1)}"
        )
    axes.set_xticks(np.arange(len(sizes)) + 0.4 - wide / 2, sizes)
    _powers(axes)
    axes.axhline(30, color="0.3", lw=0.8, ls="--")
    axes.set_ylabel("frames a second of the filter")
    figure.legend(fontsize="x-small", ncols=4, loc="outside upper center")
    return figure


def _stages(results: Results) -> Any | None:
    mine = [one for one in _engines(results) if one.faces == min(other.faces for other in _engines(results))]
    if not mine:
        return None
    figure, axes = _figure(8, 0.9 + 0.35 * len(mine))
    names = [f"{one.size}, {one.name}" for one in mine][::-1]
    left = np.zeros(len(mine))
    for stage in STAGES:
        part = np.array([one.outcome.stages[stage].p50 for one in mine][::-1])
        axes.barh(names, part, left=left, label=stage)
        left += part
    axes.set_xlabel("milliseconds, medians")
    figure.legend(fontsize="x-small", ncols=len(STAGES), loc="outside upper center")
    return figure


def _rivals(results: Results) -> Any | None:
    rivals = [one for one in results.frames if one.kind == "rival"]
    if not rivals:
        return None
    beside = {(one.size, one.faces) for one in rivals}
    shown = [one for one in results.frames if (one.size, one.faces) in beside]
    figure, axes = _figure(8, 4)
    sizes = list(dict.fromkeys(one.size for one in shown))
    names = list(dict.fromkeys(one.name for one in shown))
    wide = 0.8 / len(names)
    for k, name in enumerate(names):
        times = [
            next((one.outcome.filter.p50 for one in shown if one.size == size and one.name == name), 0.0)
            for size in sizes
        ]
        ours = any(one.kind == "engine" for one in shown if one.name == name)
        label = f"physio-cam, {name}" if ours else name
        axes.bar(np.arange(len(sizes)) + k * wide, times, wide, label=label, hatch="" if ours else "//")
    axes.set_xticks(np.arange(len(sizes)) + 0.4 - wide / 2, sizes)
    _powers(axes)
    axes.set_ylabel("milliseconds a frame, median")
    figure.legend(fontsize="x-small", ncols=3, loc="outside upper center")
    return figure


def _streams(results: Results) -> Any | None:
    if not results.streams:
        return None
    figure, axes = _figure(8, 0.8 + 0.35 * len(results.streams))
    names = [
        f"{'steps' if one.what == 'engine' else 'whole filter'}, {one.name}, {one.how}"
        for one in results.streams
    ]
    counts = [one.streams for one in results.streams]
    bars = axes.barh(names[::-1], counts[::-1])
    axes.bar_label(bars, padding=2)
    axes.set_xlabel("streams of 30 frames a second")
    return figure


def _powers(axes: Any) -> None:
    """A logarithmic axis from 1 on, in plain numbers."""
    axes.set_yscale("log")
    axes.set_ylim(bottom=1)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")


def _engines(results: Results) -> list[FrameResult]:
    return [one for one in results.frames if one.kind == "engine"]


def _is(one: FrameResult, size: str, name: str, faces: int) -> bool:
    return (one.size, one.name, one.faces) == (size, name, faces)
