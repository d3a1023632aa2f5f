"""The report's pictures: leak by motion, leak over the face, spectra and waveforms before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model.evaluate.aggregate import Result, chance, editors_of, select, summary
from streamfilter.rppg.estimators import ESTIMATORS
from streamfilter.rppg.filters import band_pass
from streamfilter.rppg.heart_rate import spectrum

Array64 = npt.NDArray[np.float64]

COLORS = {"none": "#8a8f98", "band-stop": "#e08a1e", "artifact": "#2563eb", "oracle": "#2a9d63"}
LABELS = {"none": "no edit", "band-stop": "band-stop", "artifact": "physio-cam", "oracle": "oracle"}
TRUE_COLOR, TARGET_COLOR = "#c0392b", "#2563eb"
MOTIONS = ("still", "calm", "talking", "nodding", "strong")
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa0a8",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": "#444",
    "ytick.color": "#444",
    "legend.frameon": False,
    "figure.dpi": 120,
    "savefig.bbox": "tight",
}


def draw_all(results: Sequence[Result], traces: Path, folder: Path) -> list[str]:
    """Draws every figure that the results have data for; returns their names."""
    made = []
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        for name, draw in (
            ("motion.png", _motion),
            ("leak_map.png", _leak_map),
            ("spectra.png", _spectra),
            ("traces.png", _traces),
        ):
            figure = draw(results, traces)
            if figure is None:
                continue
            figure.savefig(folder / name, metadata={"Software": None})
            plt.close(figure)
            made.append(name)
    return made


def load_trace(traces: Path, clip: str, editor: str) -> dict[str, Any] | None:
    path = traces / f"{clip}--{editor}.npz"
    if not path.is_file():
        return None
    with np.load(path) as data:
        return {key: data[key] for key in data.files}


def _motion(results: Sequence[Result], traces: Path) -> Figure | None:
    clips = select(results, "synthetic")
    levels = sorted({r["labels"]["motion"] for r in clips if r["labels"]["motion"] is not None})
    if not levels:
        return None
    editors = editors_of(clips)
    panels = (
        ("face", "coherence with the true pulse, face"),
        ("patches", "coherence, patches"),
        ("hits", "found after the notch"),
        ("psnr", "PSNR over the face (dB)"),
    )
    figure, axes = plt.subplots(1, 4, figsize=(13, 2.9), constrained_layout=True)
    width = 0.8 / len(editors)
    for axis, (key, title) in zip(axes, panels, strict=True):
        for k, editor in enumerate(editors):
            values = [summary(select(clips, motion=m), editor)[key] for m in levels]
            at = np.arange(len(levels)) + (k - (len(editors) - 1) / 2) * width
            heights = [np.nan if v is None else v for v in values]
            axis.bar(at, heights, width * 0.92, color=COLORS[editor], label=LABELS[editor])
        if key == "hits":
            lucky = [chance(select(clips, motion=m)) or 0.0 for m in levels]
            for k, value in enumerate(lucky):
                axis.plot([k - 0.45, k + 0.45], [value, value], "k--", lw=1)
        if key == "psnr":
            axis.set_ylim(bottom=40)
        axis.set_title(title)
        axis.set_xticks(np.arange(len(levels)), [MOTIONS[m] for m in levels])
    handles, names = axes[0].get_legend_handles_labels()
    handles, names = [*handles, axes[2].get_lines()[0]], [*names, "found where there is no pulse"]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def _leak_map(results: Sequence[Result], traces: Path) -> Figure | None:
    clips = select(results, "synthetic")
    editors = editors_of(clips)
    maps = {}
    for editor in editors:
        found = [load_trace(traces, r["name"], editor) for r in clips]
        stack = np.stack([f["leak"] for f in found if f is not None]) if any(found) else np.zeros((0, 1, 1))
        known = np.isfinite(stack)
        count = known.sum(axis=0)
        total = np.where(known, stack, 0.0).sum(axis=0)
        maps[editor] = np.where(count >= max(1, len(stack) // 4), total / np.maximum(count, 1), np.nan)
    if not maps or all(m.size <= 1 for m in maps.values()):
        return None
    figure, axes = plt.subplots(1, len(maps), figsize=(3.1 * len(maps), 3.1), constrained_layout=True)
    image = None
    for axis, (editor, values) in zip(np.atleast_1d(axes), maps.items(), strict=True):
        axis.set_facecolor("#eef0f2")
        image = axis.imshow(values, cmap="inferno", vmin=0.0, vmax=1.0, interpolation="nearest")
        axis.set_title(f"{LABELS[editor]}: {np.nanmean(values):.2f}")
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():
            spine.set_visible(False)
    if image is not None:
        figure.colorbar(image, ax=axes, shrink=0.85, label="coherence with the true pulse")
    return figure


def _shown_clips(results: Sequence[Result]) -> list[Result]:
    """The clip whose own pulse is known, and two synthetic ones: still and strong motion."""
    chosen = [r for r in results if r["name"] == "evm_face"]
    for motion in (0, 4):
        chosen += select(results, "synthetic", motion=motion)[:1]
    return chosen


def _spectra(results: Sequence[Result], traces: Path) -> Figure | None:
    clips = _shown_clips(results)
    if not clips:
        return None
    names = ("POS", "CHROM", "GREEN")
    figure, axes = plt.subplots(
        len(clips), 3, figsize=(12, 2.5 * len(clips)), constrained_layout=True, squeeze=False
    )
    for row, clip in zip(axes, clips, strict=True):
        for axis, name in zip(row, names, strict=True):
            for editor in editors_of([clip]):
                data = load_trace(traces, clip["name"], editor)
                if data is not None:
                    _spectrum(axis, data["rgb"], float(data["fps"]), name, editor)
            if clip["true"] is not None:
                _mark(axis, clip["true"], "true", TRUE_COLOR)
            _mark(axis, clip["target"], "target", TARGET_COLOR)
            axis.set_title(name, loc="left", pad=14)
            axis.set_xlim(40, 200)
            axis.set_yticks([])
        row[0].set_ylabel(clip["name"], fontsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("beats a minute")
    handles, labels = axes[-1][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _mark(axis: Axes, bpm: float, text: str, color: str) -> None:
    axis.axvline(bpm, color=color, lw=1, ls=":", zorder=0)
    place = axis.get_xaxis_transform()
    axis.text(bpm, 1.02, text, color=color, ha="center", fontsize=7, transform=place)


def _spectrum(axis: Axes, rgb: Array64, fps: float, name: str, editor: str) -> None:
    freq, power = spectrum(ESTIMATORS[name](rgb, fps), fps)
    band = (freq > 40 / 60) & (freq < 200 / 60)
    amplitude = np.sqrt(power[band])
    axis.plot(
        60 * freq[band], amplitude / amplitude.max(), color=COLORS[editor], lw=1.3, label=LABELS[editor]
    )


def _traces(results: Sequence[Result], traces: Path) -> Figure | None:
    clips = [r for r in _shown_clips(results) if load_trace(traces, r["name"], "none") is not None]
    if not clips:
        return None
    figure, axes = plt.subplots(
        len(clips), 1, figsize=(12, 2.1 * len(clips)), constrained_layout=True, squeeze=False
    )
    for axis, clip in zip(axes[:, 0], clips, strict=True):
        for k, editor in enumerate(editors_of([clip])):
            data = load_trace(traces, clip["name"], editor)
            if data is None:
                continue
            fps = float(data["fps"])
            wave = band_pass(ESTIMATORS["POS"](data["rgb"], fps), fps)
            seconds = np.arange(wave.size) / fps
            shown = seconds <= 12
            scale = 3.0 * max(float(wave[shown].std()), 1e-12)
            axis.plot(seconds[shown], wave[shown] / scale - 1.1 * k, color=COLORS[editor], lw=1.1)
            axis.text(
                -0.1, -1.1 * k, LABELS[editor], color=COLORS[editor], ha="right", va="center", fontsize=8
            )
        axis.set_title(f"{clip['name']}: POS, true {clip['true'] or 0:.0f}, target {clip['target']:.0f} bpm")
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
    axes[-1, 0].set_xlabel("seconds")
    return figure
