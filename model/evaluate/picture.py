"""One picture that shows at a glance what the filter did to a clip: the pulse before and after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from model.evaluate.plots import STYLE
from streamfilter.rppg.estimators import ESTIMATORS, WINDOW_SECONDS
from streamfilter.rppg.filters import band_pass
from streamfilter.rppg.heart_rate import heart_rate, spectrum

Array64 = npt.NDArray[np.float64]
Rgb = npt.NDArray[np.uint8]

BEFORE, AFTER = "#d1495b", "#1f6feb"
INK, FAINT, PAPER = "#1b1f24", "#8b949e", "#ffffff"
SHOWN_SECONDS = 8.0
_ORDER = ("POS", "CHROM", "GREEN", "ICA", "PCA", "LGI", "PBV", "OMIT")


@dataclass(frozen=True)
class Reading:
    """One side of the picture. ``rgb`` (T, 3): the face's mean colour at ``fps``; ``face`` (H, W, 3)."""

    rgb: Array64
    fps: float
    face: Rgb

    def wave(self, name: str = "POS") -> Array64:
        return band_pass(ESTIMATORS[name](self.rgb, self.fps), self.fps)

    def rates(self) -> dict[str, float]:
        """The heart rate that each estimator reads, bpm."""
        return {name: heart_rate(ESTIMATORS[name](self.rgb, self.fps), self.fps) for name in _ORDER}


def draw_picture(path: Path, before: Reading, after: Reading, true_bpm: float | None, target: float) -> None:
    """Writes the picture (PNG). ``true_bpm`` None: nobody knows it."""
    with plt.rc_context(STYLE | {"font.family": "DejaVu Sans", "figure.dpi": 150}):  # type: ignore[arg-type]
        figure = plt.figure(figsize=(12.5, 7.4), facecolor=PAPER)
        grid = figure.add_gridspec(
            3,
            3,
            width_ratios=(1.0, 2.35, 1.75),
            height_ratios=(1.0, 1.0, 0.8),
            left=0.035,
            right=0.975,
            top=0.86,
            bottom=0.075,
            wspace=0.1,
            hspace=0.42,
        )
        _headline(figure, before, after, true_bpm, target)
        for row, (side, color, name) in enumerate(
            ((before, BEFORE, "camera"), (after, AFTER, "after physio-cam"))
        ):
            _face(figure.add_subplot(grid[row, 0]), side, color, name)
            _wave(figure.add_subplot(grid[row, 1]), side, color)
            _spectrum(figure.add_subplot(grid[row, 2]), side, color, true_bpm, target)
        _readings(figure.add_subplot(grid[2, :]), before, after, true_bpm, target)
        figure.savefig(path, facecolor=PAPER, bbox_inches=None, metadata={"Software": None})
        plt.close(figure)


def _headline(figure: Figure, before: Reading, after: Reading, true_bpm: float | None, target: float) -> None:
    shown = [float(np.nanmedian(list(side.rates().values()))) for side in (before, after)]
    line = 0.945
    figure.text(0.035, line, f"{shown[0]:.0f}", color=BEFORE, fontsize=32, weight="bold", va="center")
    figure.text(0.105, line, "→", color=FAINT, fontsize=24, va="center", ha="center")
    figure.text(0.128, line, f"{shown[1]:.0f}", color=AFTER, fontsize=32, weight="bold", va="center")
    figure.text(0.205, line - 0.008, "beats a minute", color=FAINT, fontsize=12, va="center")
    known = "the true rate is not known" if true_bpm is None else f"true heart rate {true_bpm:.0f}"
    text = f"{known}  ·  asked for {target:.0f}  ·  read from the picture, median of {len(_ORDER)} estimators"
    figure.text(0.975, line - 0.008, text, color=FAINT, fontsize=10, va="center", ha="right")


def _face(axis: Axes, side: Reading, color: str, name: str) -> None:
    axis.imshow(side.face)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(True)
        spine.set_color(color)
        spine.set_linewidth(2.0)
    label = axis.text(
        0.05, 0.93, name, color=PAPER, fontsize=9.5, weight="bold", transform=axis.transAxes, va="top"
    )
    label.set_path_effects([withStroke(linewidth=2.5, foreground=color)])


def _wave(axis: Axes, side: Reading, color: str) -> None:
    # POS sums overlapping windows: its first 1.6 s are fewer of them, and faint.
    start = min(WINDOW_SECONDS, max(0.0, len(side.rgb) / side.fps - SHOWN_SECONDS))
    wave = side.wave()[round(start * side.fps) :]
    seconds = np.arange(wave.size) / side.fps
    part = seconds <= SHOWN_SECONDS
    shown = wave[part] / (np.percentile(np.abs(wave[part]), 98) + 1e-12)
    axis.axhline(0, color=FAINT, lw=0.6, alpha=0.5, zorder=0)
    axis.fill_between(seconds[part], 0, shown, color=color, alpha=0.10, lw=0)
    axis.plot(seconds[part], shown, color=color, lw=1.8, solid_capstyle="round")
    axis.set_xlim(0, SHOWN_SECONDS)
    axis.set_ylim(-1.35, 1.35)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.set_xlabel("seconds", color=FAINT, fontsize=8.5, labelpad=1)
    axis.tick_params(labelsize=8)
    axis.set_title("pulse wave (POS)", color=INK, fontsize=9.5, weight="normal", pad=14)


def _spectrum(axis: Axes, side: Reading, color: str, true_bpm: float | None, target: float) -> None:
    freq, power = spectrum(side.wave(), side.fps)
    band = (freq >= 40 / 60) & (freq <= 185 / 60)
    bpm, amplitude = 60 * freq[band], np.sqrt(power[band])
    amplitude = amplitude / amplitude.max()
    axis.fill_between(bpm, 0, amplitude, color=color, alpha=0.16, lw=0)
    axis.plot(bpm, amplitude, color=color, lw=1.6)
    for rate, mark, text in _marks(true_bpm, target):
        axis.axvline(rate, color=mark, lw=1.0, ls=(0, (2, 2)), zorder=0)
        axis.text(rate, 1.06, text, color=mark, fontsize=8, ha="center")
    axis.set_xlim(40, 185)
    axis.set_ylim(0, 1.04)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.set_xlabel("beats a minute", color=FAINT, fontsize=8.5, labelpad=1)
    axis.tick_params(labelsize=8)
    axis.set_title("spectrum", color=INK, fontsize=9.5, weight="normal", pad=14)


def _marks(true_bpm: float | None, target: float) -> list[tuple[float, str, str]]:
    asked = [(target, AFTER, "asked for")]
    return asked if true_bpm is None else [*asked, (true_bpm, BEFORE, "true")]


def _readings(axis: Axes, before: Reading, after: Reading, true_bpm: float | None, target: float) -> None:
    """Each estimator's reading before and after, as a dumbbell."""
    first, second = before.rates(), after.rates()
    places = np.arange(len(_ORDER))
    low, high = 40.0, 185.0
    for place, name in zip(places, _ORDER, strict=True):
        a, b = first[name], second[name]
        axis.plot([place, place], [a, b], color=FAINT, lw=1.2, alpha=0.6, zorder=1)
        for value, color, other in ((a, BEFORE, b), (b, AFTER, a)):
            if not np.isfinite(value):
                continue
            axis.scatter([place], [value], s=64, color=color, zorder=3, edgecolor=PAPER, linewidth=1.2)
            up = 1 if value >= other else -1
            axis.annotate(
                f"{value:.1f}",
                (place, value),
                (0, 9 * up),
                textcoords="offset points",
                ha="center",
                va="bottom" if up > 0 else "top",
                fontsize=8.5,
                color=color,
            )
    for rate, color, text in _marks(true_bpm, target):
        axis.plot([-0.5, len(_ORDER) - 0.5], [rate, rate], color=color, lw=1.0, ls=(0, (2, 2)), zorder=0)
        axis.text(len(_ORDER) - 0.44, rate, text, color=color, fontsize=9, va="center")
    values = [v for v in (*first.values(), *second.values(), target) if np.isfinite(v)]
    axis.set_ylim(max(low, min(values) - 22), min(high, max(values) + 22))
    axis.set_xlim(-0.5, len(_ORDER) + 0.05)
    axis.set_xticks(places, list(_ORDER))
    axis.tick_params(axis="x", length=0, labelsize=9.5)
    axis.tick_params(axis="y", labelsize=8)
    axis.spines["bottom"].set_visible(False)
    axis.set_title("what each estimator reads, beats a minute", color=INK, fontsize=9.5, weight="normal")
