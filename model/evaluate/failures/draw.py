"""The picture of one failure: the edit, the wave, its spectrum, head and light."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from model.evaluate.failures.shown import Shown
from model.evaluate.plots import STYLE, TARGET_COLOR, TRUE_COLOR
from streamfilter.rppg.estimators import ESTIMATORS
from streamfilter.rppg.filters import band_pass
from streamfilter.rppg.heart_rate import spectrum

BEFORE, AFTER, FAINT = "#8a8f98", "#2563eb", "#9aa0a8"
WHEN = ("early", "middle", "late")
SPAN = 3.0  # % at the colours' ends
_LONGEST = 320  # pixels of a picture's side

Array64 = npt.NDArray[np.float64]


def draw(path: Path, shown: Shown, pictures: bool = False) -> None:
    """Writes a PNG. ``pictures``: with the face itself, which is not for everybody to see."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure = plt.figure(figsize=(12, 6.6), constrained_layout=True)
        grid = figure.add_gridspec(3, 12, height_ratios=(1.5, 1.0, 1.0))
        wide = 3 if pictures else 4
        places = [grid[0, start : start + wide] for start in range(0, 12, wide)]
        _pictures([figure.add_subplot(place) for place in places], shown, pictures)
        for column, name in enumerate(("POS", "GREEN")):
            place = slice(6 * column, 6 * column + 6)
            _wave(figure.add_subplot(grid[1, place]), shown, name)
        for column, name in enumerate(("POS", "GREEN")):
            _spectrum(figure.add_subplot(grid[2, 4 * column : 4 * column + 4]), shown, name)
        _course(figure.add_subplot(grid[2, 8:]), shown)
        figure.savefig(path, metadata={"Software": None}, dpi=80)
        plt.close(figure)


def _pictures(axes: list[Axes], shown: Shown, pictures: bool) -> None:
    """What the edit does at each moment, in G; with ``pictures`` the faces after it, and one such map."""
    maps = [_relative(before, after) for before, after in shown.faces]
    for axis in axes:
        axis.set_axis_off()
    mapped = list(zip(axes, maps, WHEN, strict=False))
    if pictures:
        for axis, (_, after), when in zip(axes, shown.faces, WHEN, strict=False):
            axis.imshow(_small(after))
            axis.set_title(f"after, {when}")
        mapped = [(axes[-1], maps[len(maps) // 2], WHEN[1])]
    for axis, values, when in mapped:
        image = axis.imshow(100 * values, cmap="RdBu_r", vmin=-SPAN, vmax=SPAN)
        axis.set_title(f"the edit of G, {when}")
        if axis is mapped[-1][0]:
            bar = axis.inset_axes((1.04, 0.05, 0.03, 0.9))
            axis.figure.colorbar(image, cax=bar).set_label("% of the light", fontsize=7)


def _relative(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The relative change of G, both pictures smoothed: the edit's dither and the face's detail cancel."""
    width = max(3, before.shape[1] // 12)
    first, second = (cv2.blur(one[..., 1].astype(np.float32), (width, width)) for one in (before, after))
    return np.asarray(second / np.maximum(first, 4.0) - 1.0, np.float32)


def _small(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    step = max(1, -(-max(picture.shape[:2]) // _LONGEST))
    return np.asarray(picture[::step, ::step], np.uint8)


def _wave(axis: Axes, shown: Shown, name: str) -> None:
    fps = shown.clip.fps
    for place, (rgb, color, label) in enumerate(
        ((shown.before, BEFORE, "before"), (shown.after, AFTER, "after"))
    ):
        wave = band_pass(ESTIMATORS[name](rgb, fps), fps)
        seconds = np.arange(wave.size) / fps
        scale = 4.0 * max(float(wave.std()), 1e-12)
        axis.plot(seconds, wave / scale - 1.1 * place, color=color, lw=0.9)
        axis.text(-0.01 * seconds[-1], -1.1 * place, label, color=color, ha="right", va="center", fontsize=8)
    axis.set_title(f"{name}: the pulse wave that is read (s)")
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.margins(x=0)


def _spectrum(axis: Axes, shown: Shown, name: str) -> None:
    fps = shown.clip.fps
    for rgb, color in ((shown.before, BEFORE), (shown.after, AFTER)):
        freq, power = spectrum(ESTIMATORS[name](rgb, fps), fps)
        band = (freq > 40 / 60) & (freq < 200 / 60)
        amplitude = np.sqrt(power[band])
        axis.plot(60 * freq[band], amplitude / max(float(amplitude.max()), 1e-12), color=color, lw=1.2)
    marks = [(shown.clip.target, "target", TARGET_COLOR)]
    if shown.clip.true_bpm is not None:
        marks.append((shown.clip.true_bpm, "true", TRUE_COLOR))
    for rate, text, color in marks:
        axis.axvline(rate, color=color, lw=1, ls=":", zorder=0)
        axis.text(
            rate, 1.03, text, color=color, ha="center", fontsize=7, transform=axis.get_xaxis_transform()
        )
    axis.set_title(f"{name}, spectrum (bpm)", pad=14)
    axis.set_yticks([])
    axis.set_xlim(40, 200)


def _course(axis: Axes, shown: Shown) -> None:
    """What the filter had to cope with, each over its own range, which the label states."""
    for place, (values, label, unit, form) in enumerate(
        (
            (shown.moved, "head moved", "sides of its box", "{:.2f}"),
            (100 * (shown.bright / shown.bright.mean() - 1), "skin's light", "%", "{:+.0f}"),
            (100 * shown.skin, "skin in the box", "%", "{:.0f}"),
        )
    ):
        low, high = float(values.min()), float(values.max())
        axis.plot(
            shown.seconds, (values - low) / max(high - low, 1e-9) * 0.8 - 1.25 * place, color="#444", lw=0.9
        )
        said = f"{label}: {form.format(low)} to {form.format(high)} {unit}"
        axis.text(0, 0.86 - 1.25 * place, said, fontsize=7, va="bottom", color="#444")
    axis.set_title("head and light (s)", pad=14)
    axis.set_ylim(-2.6, 1.2)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.margins(x=0)
