"""Unbiased rounding of a fractional edit onto the 8-bit grid of a plane.

A pixel of an 8-bit plane can only move by whole levels; an edit of a fraction of a level is written as
"some pixels move": ``out = in + step * floor(d / step + t)`` with thresholds t that are even over 0..1,
so that the mean of ``out - in`` is d. Thresholds come from a rank-one lattice (Roberts' R2 sequence, the
two-dimensional golden ratio, on a 256-level circle): over any patch they are spread far more evenly than
independent noise, so the patch's mean follows d with a far smaller error than noise would leave. All
samples of a block share a threshold (``block = 1``: each has its own).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter.frame import Plane

FloatMap = npt.NDArray[np.float32]

_LEVELS = 256
_LATTICE_X = 193  # 256 / plastic number, odd: visits every level
_LATTICE_Y = 147  # 256 / plastic number squared, odd
_STRIP = 16384  # samples worked on at once: its buffers stay in the cache
_GOLDEN = 159  # 256 / golden ratio, odd


@dataclass(frozen=True, slots=True)
class PlaneDither:
    """How one kind of plane is dithered.

    ``block`` is the side, in samples of the plane, of the squares that share a threshold; ``step`` the
    number of levels a sample jumps by; ``turn`` how far the thresholds turn from frame to frame, in
    256ths of the circle (0: they stand still).
    """

    block: int = 1
    step: int = 1
    turn: int = _GOLDEN


@dataclass(frozen=True, slots=True)
class Dither:
    """Dither of luma and chroma; ``seed`` turns the thresholds' circle as a whole (0..255).

    Chroma in blocks of 2 is measured (docs/dither.md): an encoder passes the wanted pulse on better than
    with single samples, while larger blocks give the true pulse back.
    """

    luma: PlaneDither = PlaneDither()
    chroma: PlaneDither = PlaneDither(block=2)
    seed: int = 0


def thresholds(plane: PlaneDither, shape: tuple[int, int], top: int, left: int, phase: int) -> FloatMap:
    """(rows, columns) float32 thresholds minus one half, in (-0.5, 0.5), of a plane's region.

    ``top`` and ``left`` place the region in the plane: blocks stand on the plane's own grid, not the
    region's. ``phase`` turns the circle (any integer >= 0): over 256 of them each sample meets each of
    256 levels once, and the next 256 meet levels in between.
    """
    rows = (top + np.arange(shape[0])) // plane.block
    columns = (left + np.arange(shape[1])) // plane.block
    down = ((rows * _LATTICE_Y + phase) % _LEVELS).astype(np.uint8)
    across = ((columns * _LATTICE_X) % _LEVELS).astype(np.uint8)
    between = (0.5 + (phase // _LEVELS) * _GOLDEN / _LEVELS) % 1.0
    circle = ((np.arange(_LEVELS) + max(between, 1e-3)) / _LEVELS - 0.5).astype(np.float32)
    return np.asarray(cv2.LUT(down[:, None] + across[None, :], circle), np.float32)


def add_dithered(
    plane: Plane,
    offset: FloatMap,
    dither: PlaneDither,
    *,
    top: int = 0,
    left: int = 0,
    phase: int = 0,
    out: Plane | None = None,
) -> Plane:
    """``plane`` plus a fractional ``offset`` (both (rows, columns), levels), dithered, held to 0..255.

    Over the phases the mean of the result is ``plane + offset`` wherever it is not held; where the offset
    is zero the plane is returned as it is. The result is written to ``out``, if given, and returned.
    """
    moved = np.empty_like(plane) if out is None else out
    height, width = plane.shape
    strip = max(1, _STRIP // max(width, 1))
    for start in range(0, height, strip):
        rows = slice(start, min(height, start + strip))
        noise = thresholds(dither, (rows.stop - start, width), top + start, left, phase)
        moves = np.asarray(cv2.scaleAdd(offset[rows], 1.0 / dither.step, noise, dst=noise), np.float32)
        if dither.step > 1:
            np.rint(moves, out=moves)
            moves *= dither.step
        cv2.add(plane[rows], moves, dst=moved[rows], dtype=cv2.CV_8U)
    return moved
