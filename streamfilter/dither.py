"""Unbiased rounding of a fractional edit onto the 8-bit grid of a plane.

A pixel of an 8-bit plane can only move by whole levels; an edit of a fraction of a level is written as
"some pixels move": ``out = in + step * floor(d / step + t)`` with thresholds t that are even over 0..1,
so that the mean of ``out - in`` is d.

The thresholds are drawn anew for every sample and frame, by a generator whose key is secret. Any pattern
that is known, however it is turned or shifted, gives the edit away: where samples of one threshold move and
those of the next do not, there lies d, and who knows d takes the edit off and has the true pulse back
(measured: ``model/attackers/lattice.py``). Samples of a block share a threshold (``block = 1``: none does).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from streamfilter.frame import Plane
from streamfilter.workspace import Workspace

FloatMap = npt.NDArray[np.float32]

Fine = npt.NDArray[np.int16]  # 256ths of a level: as fine as the thresholds are
Thresholds = npt.NDArray[np.uint8]

LEVELS = 256
KEY_BITS = 128
_TILE = 512  # samples after which thresholds that stand still repeat
_AT_ONCE = 48 * 1024  # thresholds: stays in the cache, and below what is asked of the system anew each time


@dataclass(frozen=True, slots=True)
class PlaneDither:
    """How one kind of plane is dithered.

    ``block`` is the side, in samples of the plane, of the squares that share a threshold; ``step`` the
    number of levels a sample jumps by.
    """

    block: int = 1
    step: int = 1


@dataclass(slots=True)
class Draw:
    """Which thresholds: the secret ``key`` (128 bits), the number of the plane and that of the frame (None:
    the same in every frame). Regions that are asked of one draw get their numbers one after the other."""

    key: int
    plane: int = 0
    frame: int | None = 0
    _opened: np.random.SFC64 | None = field(default=None, init=False, repr=False, compare=False)

    def strips(
        self, kind: PlaneDither, shape: tuple[int, int], top: int, left: int
    ) -> Iterator[tuple[slice, Thresholds]]:
        """Thresholds 0..255 of a plane's region, 256ths of a level, some rows at a time: which, and theirs.

        ``top`` and ``left`` place the region in the plane: blocks stand on the plane's own grid, not the
        region's. The first region's place is part of the seed, so that two faces' draws differ.
        """
        block, (rows, columns) = kind.block, shape
        across = left // block, (left + columns - 1) // block + 1
        aside = left - across[0] * block
        numbers = None if self.frame is None else self._generator(top // block, across[0])
        strip = max(_AT_ONCE // max(columns, 1) // block, 1) * block
        start = 0
        while start < rows:
            end = min(start + strip - (top + start) % block, rows)  # blocks are not cut
            down = (top + start) // block, (top + end - 1) // block + 1
            if numbers is None:
                wrapped = [np.arange(*span) % _TILE for span in (down, across)]
                drawn = _tile(self.key, self.plane)[np.ix_(*wrapped)]
            else:
                drawn = _numbers(numbers, down[1] - down[0], across[1] - across[0])
            if block > 1:
                drawn = drawn.repeat(block, axis=0).repeat(block, axis=1)
                first = top + start - down[0] * block
                drawn = drawn[first : first + end - start, aside : aside + columns]
            yield slice(start, end), drawn
            start = end

    def _generator(self, down: int, across: int) -> np.random.SFC64:
        if self._opened is None:  # to seed one takes as long as to draw ten thousand numbers
            frame = 0 if self.frame is None else self.frame + 1
            # A keyed hash: whoever came by one generator's state would know neither the key nor the next one.
            number = struct.pack("<4q", self.plane, frame, down, across)
            secret = self.key.to_bytes(KEY_BITS // 8, "little")
            seed = hashlib.blake2b(number, key=secret, digest_size=32).digest()
            self._opened = np.random.SFC64(int.from_bytes(seed, "little"))
        return self._opened


@dataclass(frozen=True, slots=True)
class Dither:
    """Dither of luma and chroma. ``key`` has to be secret; ``still``: each sample has a threshold of its own,
    but the same one in every frame.

    Chroma in blocks of 2 is measured (docs/dither.md): an encoder passes the wanted pulse on better than
    with single samples, while larger blocks give the true pulse back.
    """

    luma: PlaneDither = PlaneDither()
    chroma: PlaneDither = PlaneDither(block=2)
    key: int = 0
    still: bool = False

    def of(self, plane: int, frame: int, layer: int = 0) -> tuple[PlaneDither, Draw]:
        """For plane 0 (Y), 1 (U) or 2 (V) of a frame; edits that may overlap are on a ``layer`` each."""
        kind = self.luma if plane == 0 else self.chroma
        return kind, Draw(self.key, plane + 3 * layer, None if self.still else frame)


def draw_key(rng: np.random.Generator) -> int:
    """A key of 128 bits."""
    return int.from_bytes(rng.bytes(KEY_BITS // 8), "little")


def fine(offset: FloatMap, work: Workspace | None = None) -> Fine:
    """An offset in levels as whole 256ths of one, rounded, held to ± 126 levels. ``work`` is scratch."""
    held = (work or Workspace()).floats("dither.held", *offset.shape)
    np.clip(offset, -126.0, 126.0, out=held)
    held *= np.float32(LEVELS)
    whole: Fine = np.rint(held, out=held).astype(np.int16)
    return whole


def _numbers(generator: np.random.SFC64, rows: int, columns: int) -> Thresholds:
    words = generator.random_raw(-(-rows * columns // 8))
    return np.asarray(words).view(np.uint8)[: rows * columns].reshape(rows, columns)


@lru_cache(maxsize=12)
def _tile(key: int, plane: int) -> Thresholds:
    """The thresholds that stand still, of a square that repeats."""
    tile = _numbers(Draw(key, plane, None)._generator(0, 0), _TILE, _TILE)
    tile.setflags(write=False)
    return tile


def whole_levels(offset: Fine, dither: PlaneDither, top: int, left: int, draw: Draw) -> Fine:
    """``offset`` (rows, columns), 256ths of a level, rounded to whole levels by the thresholds, in place."""
    if dither.step > 1:
        np.rint(offset / np.float32(dither.step), out=offset, casting="unsafe")
    for rows, drawn in draw.strips(dither, offset.shape, top, left):
        offset[rows] += drawn
    offset >>= 8
    if dither.step > 1:
        offset *= dither.step
    return offset


def add_dithered(
    plane: Plane,
    offset: Fine,
    dither: PlaneDither,
    draw: Draw,
    *,
    top: int = 0,
    left: int = 0,
    out: Plane | None = None,
    work: Workspace | None = None,
) -> Plane:
    """``plane`` plus a fractional ``offset`` (both (rows, columns), 256ths of a level), dithered, held to
    0..255.

    Over many frames the mean of the result is ``plane + offset`` wherever it is not held; where the offset
    is zero the plane is returned as it is. The result is written to ``out``, if given (it may be ``plane``),
    and returned; ``offset`` is overwritten. ``work`` is scratch memory.
    """
    moved = np.empty_like(plane) if out is None else out
    levels = whole_levels(offset, dither, top, left, draw)
    # Plain passes over 16-bit numbers take half the time of OpenCV's sum of mixed depths.
    sums = (work or Workspace()).shorts("dither.sums", *plane.shape)
    np.copyto(sums, plane)
    sums += levels
    np.clip(sums, 0, 255, out=sums)
    np.copyto(moved, sums, casting="unsafe")
    return moved
