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
from functools import cache

import numpy as np
import numpy.typing as npt

from streamfilter.frame import Plane
from streamfilter.workspace import Workspace

FloatMap = npt.NDArray[np.float32]

Fine = npt.NDArray[np.int16]  # 256ths of a level: as fine as the thresholds are

LEVELS = 256
_LATTICE_X = 193  # 256 / plastic number, odd: visits every level
_LATTICE_Y = 147  # 256 / plastic number squared, odd
STRIP = 128  # rows that go by one piece of the lattice, which is thus small enough to stay in the cache
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


# Thresholds that turn write each frame's fraction anew, and samples flicker more than a camera's: that alone
# tells an edited clip. Where thresholds stand still a sample moves only when its own offset does.
STILL = Dither(PlaneDither(turn=0), PlaneDither(block=2, turn=0))


def fine(offset: FloatMap, work: Workspace | None = None) -> Fine:
    """An offset in levels as whole 256ths of one, rounded, held to ± 126 levels. ``work`` is scratch."""
    held = (work or Workspace()).floats("dither.held", *offset.shape)
    np.clip(offset, -126.0, 126.0, out=held)
    held *= np.float32(LEVELS)
    whole: Fine = np.rint(held, out=held).astype(np.int16)
    return whole


def thresholds(plane: PlaneDither, shape: tuple[int, int], top: int, left: int, phase: int) -> Fine:
    """(rows, columns) thresholds 0..255 of a plane's region, 256ths of a level; not to be written to.

    ``top`` and ``left`` place the region in the plane: blocks stand on the plane's own grid, not the
    region's. ``phase`` turns the circle (any integer): over 256 of them each sample meets each level once.
    """
    # A step of one block to the right turns the lattice by _LATTICE_X, so that any turn is a step aside.
    aside = (phase * pow(_LATTICE_X, -1, LEVELS)) % LEVELS
    period = LEVELS * plane.block
    first, start = top % period, (left + aside * plane.block) % period
    tall, wide = (-(-length // STRIP) * STRIP for length in shape)
    return _lattice(plane.block, tall, wide)[first : first + shape[0], start : start + shape[1]]


@cache
def _lattice(block: int, rows: int, columns: int) -> Fine:
    """The thresholds at phase 0, so far that any region of that size can begin anywhere in a period."""
    down, across = ((np.arange(LEVELS * block + length) // block) for length in (rows, columns))
    turns = (down[:, None] * _LATTICE_Y + across[None, :] * _LATTICE_X) % LEVELS
    levels: Fine = turns.astype(np.int16)
    levels.setflags(write=False)
    return levels


def whole_levels(offset: Fine, dither: PlaneDither, top: int, left: int, phase: int) -> Fine:
    """``offset`` (rows, columns), 256ths of a level, rounded to whole levels by the thresholds, in place."""
    if dither.step > 1:
        np.rint(offset / np.float32(dither.step), out=offset, casting="unsafe")
    for start in range(0, len(offset), STRIP):
        part = offset[start : start + STRIP]
        part += thresholds(dither, part.shape, top + start, left, phase)
    offset >>= 8
    if dither.step > 1:
        offset *= dither.step
    return offset


def add_dithered(
    plane: Plane,
    offset: Fine,
    dither: PlaneDither,
    *,
    top: int = 0,
    left: int = 0,
    phase: int = 0,
    out: Plane | None = None,
    work: Workspace | None = None,
) -> Plane:
    """``plane`` plus a fractional ``offset`` (both (rows, columns), 256ths of a level), dithered, held to
    0..255.

    Over 256 phases the mean of the result is ``plane + offset`` wherever it is not held; where the offset
    is zero the plane is returned as it is. The result is written to ``out``, if given (it may be ``plane``),
    and returned; ``offset`` is overwritten. ``work`` is scratch memory.
    """
    moved = np.empty_like(plane) if out is None else out
    levels = whole_levels(offset, dither, top, left, phase)
    # Plain passes over 16-bit numbers take half the time of OpenCV's sum of mixed depths.
    sums = (work or Workspace()).shorts("dither.sums", *plane.shape)
    np.copyto(sums, plane)
    sums += levels
    np.clip(sums, 0, 255, out=sums)
    np.copyto(moved, sums, casting="unsafe")
    return moved
