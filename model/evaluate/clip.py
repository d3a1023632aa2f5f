"""One clip to evaluate on: its frames, where the face and its skin are, and the truth about its pulse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from model.data.label import TERMS, monomials
from streamfilter.capture import open_source
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import CROP_SIZE
from streamfilter.frame import Frame

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]

SKIP_SECONDS = 1.5  # not read after the face appears: the shield is up while the filter settles
READ_SECONDS = 30.0  # read at most
LEAST_SECONDS = 5.0  # read at least: coherence within 0.2 Hz of a rate needs as much
LEAST_SKIN = 0.05  # share of the box that must be skin for a frame to be read; a lit face shows a third


@dataclass(frozen=True)
class Labels:
    """What a clip is grouped by in the report. ``source`` is "synthetic", "real" or "planted"."""

    source: str
    motion: int | None = None
    tone: str | None = None
    light: str | None = None
    fps: float | None = None
    camera: str | None = None


@dataclass(frozen=True)
class KnownPulse:
    """The pulse on the skin, exactly: (T, 10) ``field``, (3,) ``direction`` (model/data/label.py).

    The field's coordinates -1..1 span the picture or the face's box (``frame_of``). ``bvp`` (T,) is the
    waveform. ``free`` (T, 4, B, B): what `reading.block_sums` reads
    from the same clip without the pulse.
    """

    field: Array32
    direction: Array32
    frame_of: Literal["picture", "box"]
    bvp: Array64
    free: Array32


@dataclass(frozen=True)
class EvalClip:
    """T frames of ``path``. ``boxes`` (T, 3): cx, cy, size in pixels; ``skin`` (T, S, S) uint8, of 255.

    ``read`` is the range of frames that is measured. ``true_bpm`` is the mean rate over it, None where
    nobody knows it. ``codecs``: whether the clip is also read after the codecs.
    """

    name: str
    labels: Labels
    path: Path
    seed: int
    size: tuple[int, int]
    times: Array64
    boxes: Array64
    skin: npt.NDArray[np.uint8]
    read: tuple[int, int]
    target: float
    true_bpm: float | None
    pulse: KnownPulse | None
    codecs: bool

    @property
    def fps(self) -> float:
        return float((len(self.times) - 1) / (self.times[-1] - self.times[0]))

    def frames(self) -> Iterator[Frame]:
        """The frames up to the end of ``read``."""
        with open_source(self.path) as source:
            for _, frame in zip(range(self.read[1]), source.frames(), strict=False):
                yield frame

    def box(self, index: int) -> FaceBox:
        cx, cy, size = self.boxes[index]
        return FaceBox(float(cx), float(cy), float(size))

    def soft_skin(self, index: int) -> Array32:
        """(S, S) float32 0..1."""
        return self.skin[index].astype(np.float32) * np.float32(1.0 / 255.0)

    def pulse_cells(self, index: int) -> Array32:
        """p (3, S, S): the relative change that the true pulse makes in each cell of the box."""
        if self.pulse is None:
            raise ValueError(f"nobody knows the pulse of {self.name}: there is no oracle for it")
        x, y = self._field_coordinates(index)
        basis = monomials(x, y).reshape(-1, TERMS)
        scalar = (basis @ self.pulse.field[index]).reshape(x.shape).astype(np.float32)
        cells: Array32 = self.pulse.direction[:, None, None] * (scalar * self.soft_skin(index))
        return cells

    def _field_coordinates(self, index: int) -> tuple[Array64, Array64]:
        axis = (np.arange(CROP_SIZE) + 0.5) / CROP_SIZE
        x, y = axis * 2.0 - 1.0, axis * 2.0 - 1.0
        if self.pulse is not None and self.pulse.frame_of == "picture":
            box, (width, height) = self.box(index), self.size
            x = (box.left + axis * box.size) / width * 2.0 - 1.0
            y = (box.top + axis * box.size) / height * 2.0 - 1.0
        grid_x, grid_y = np.meshgrid(x, y)
        return grid_x, grid_y


def longest_run(found: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """First and one past the last index of the longest run of true values; (0, 0) where there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], found.astype(np.int8), [0]])))
    if edges.size == 0:
        return 0, 0
    starts, ends = edges[::2], edges[1::2]
    k = int(np.argmax(ends - starts))
    return int(starts[k]), int(ends[k])


def has_skin(skin: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which frames of masks (T, S, S), of 255, show skin enough to be read: (T,)."""
    return np.asarray(skin.mean(axis=(1, 2)) >= 255.0 * LEAST_SKIN)


def read_range(times: Array64, found: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """The frames to measure: the longest stretch with a face and its skin, less ``SKIP_SECONDS``.

    Gaps are not bridged: the tracker and the skin masks hold on for half a second or more, so that a gap is
    never short, and a line drawn over it would hide the pulse there from every attacker: too kind a figure.
    """
    start, end = longest_run(found)
    if end <= start:
        return 0, 0
    first = int(np.searchsorted(times, times[start] + SKIP_SECONDS))
    last = int(np.searchsorted(times, times[start] + SKIP_SECONDS + READ_SECONDS - 1e-6))
    return first, max(first, min(end, last))


def choose_target(rng: np.random.Generator, true_bpm: float | None) -> float:
    """A target in 40..180 bpm, 30 bpm or more (0.5 Hz) from the true rate and twice it.

    Nor may a multiple of the target hide the true rate under the notches of the attack.
    """
    rates = np.arange(40.0, 181.0)
    if true_bpm is not None:
        apart = (np.abs(rates - true_bpm) >= 30) & (np.abs(rates - 2 * true_bpm) >= 30)
        for order in (2, 3):
            apart &= np.abs(order * rates - true_bpm) >= 12
        rates = rates[apart]
    return float(rng.choice(rates))
