"""Offsets of the frame's cells, written into its planes where they are not zero, outside the faces' boxes.

The area is wide, up to all of the frame: samples are rounded in blocks of 2 x 2, which costs a quarter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from streamfilter.composite import fade_ramp
from streamfilter.dither import Dither, Fine, FloatMap, fine, whole_levels
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import CROP_SIZE
from streamfilter.frame import Frame, Plane
from streamfilter.skin_cells import Grid
from streamfilter.workspace import Workspace

BLOCK = 10  # cells to the side of the blocks that are written or left alone
_MOST = 0.7  # of its bounding box: many small rectangles cost more than a few idle samples
_LAYER = 1  # of the dither: in a face's rim both edits are written
_Window = tuple[int, FloatMap]
_Span = tuple[int, int, int, int]  # top, bottom, left, right, in cells


def paint(
    target: Frame,
    source: Frame,
    offsets: FloatMap,
    mask: FloatMap,
    grid: Grid,
    boxes: Sequence[FaceBox],
    dither: Dither,
    index: int,
    work: Workspace | None = None,
) -> Frame:
    """``target`` with ``offsets`` added, dithered, where ``mask`` (h, w) is not zero.

    ``offsets`` (3, h, w): of Y, U, V in levels. Planes that ``target`` shares with
    ``source`` are copied, others are written in place. In a box the offsets are weighted with what the
    face's edit lacks of its full weight: nothing but in the rim, where it fades. ``work`` is scratch memory.
    """
    work = work or Workspace()
    spans = _spans(mask)
    planes = []
    pairs = ((target.y, source.y), (target.u, source.u), (target.v, source.v))
    for number, (plane, original) in enumerate(pairs):
        kind, draw = dither.of(number, index, _LAYER)
        edited = plane.copy() if plane is original or not plane.flags.writeable else plane
        cell = grid.cell // (2 if number else 1)  # in samples of the plane
        side = 2 if cell > 2 and cell % 2 == 0 else 1
        shape = (-(-plane.shape[0] // side), -(-plane.shape[1] // side))
        scale = side * (2 if number else 1)
        coarse = replace(kind, block=max(1, kind.block // side))
        if number < 2:  # V is as U
            windows = [
                (
                    _window(box.top, box.size, shape[0], scale),
                    _window(box.left, box.size, shape[1], scale),
                )
                for box in boxes
            ]
        around = work.floats("paint.around", grid.shape[0] + 2, grid.shape[1] + 2)
        cv2.copyMakeBorder(offsets[number], 1, 1, 1, 1, cv2.BORDER_REPLICATE, dst=around)
        whole = fine(around, work)
        for span in spans:
            top, left, offset = _enlarged(whole, span, cell // side, shape, work)
            _spare(offset, windows, top, left, work)
            levels = whole_levels(offset, coarse, top, left, draw)
            _add(edited[side * top :, side * left :], levels, side, work)
        planes.append(edited)
    return target.with_planes(*planes)


def _spans(mask: FloatMap) -> list[_Span]:
    """Rectangles, none over another, that hold all of the mask: one where it fills most of that, else runs
    of used blocks, row by row, joined downwards where that adds little."""
    height, width = mask.shape
    # A cell more on each side: the enlargement reaches half a cell beyond the mask.
    used = cv2.dilate((mask > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    left, top, across, down = cv2.boundingRect(used)
    if cv2.countNonZero(used) > _MOST * across * down:
        return [(top, top + down, left, left + across)]
    count = (-(-height // BLOCK), -(-width // BLOCK))
    whole = np.zeros((BLOCK * count[0], BLOCK * count[1]), np.uint8)
    whole[:height, :width] = 255 * used
    steps = np.zeros((count[0], count[1] + 2), np.int8)
    steps[:, 1:-1] = cv2.resize(whole, count[::-1], interpolation=cv2.INTER_AREA) > 0
    steps = np.diff(steps, axis=1)
    done: list[_Span] = []
    above: list[_Span] = []
    for row, edges in enumerate(steps):
        runs = zip(np.flatnonzero(edges > 0).tolist(), np.flatnonzero(edges < 0).tolist(), strict=True)
        spans = [(row, row + 1, first, last) for first, last in runs]
        if len(spans) == len(above) and all(map(_alike, above, spans)):
            above = [_joined(*pair) for pair in zip(above, spans, strict=True)]
        else:
            done, above = done + above, spans
    return [
        (BLOCK * top, min(BLOCK * bottom, height), BLOCK * left, min(BLOCK * right, width))
        for top, bottom, left, right in done + above
    ]


def _alike(above: _Span, below: _Span) -> bool:
    """Whether both in one rectangle waste less than a quarter of it."""
    top, bottom, left, right = _joined(above, below)
    area = sum((b - t) * (r - le) for t, b, le, r in (above, below))
    return area > 0.75 * (bottom - top) * (right - left)


def _joined(above: _Span, below: _Span) -> _Span:
    return above[0], below[1], min(above[2], below[2]), max(above[3], below[3])


def _enlarged(
    around: Fine, span: _Span, cell: int, shape: tuple[int, int], work: Workspace
) -> tuple[int, int, Fine]:
    """Top, left and the enlarged offsets of a rectangle within ``shape``; neighbours join without a seam."""
    top, bottom, left, right = span
    part = around[top : bottom + 2, left : right + 2]
    large = work.shorts("paint.large", part.shape[0] * cell, part.shape[1] * cell)
    cv2.resize(part, large.shape[::-1], dst=large, interpolation=cv2.INTER_LINEAR)
    height = min(bottom * cell, shape[0]) - top * cell
    width = min(right * cell, shape[1]) - left * cell
    return top * cell, left * cell, large[cell : cell + height, cell : cell + width]


def _add(region: Plane, levels: Fine, side: int, work: Workspace) -> None:
    """Adds levels to the blocks of ``side`` samples from the region's corner on, held to 0..255."""
    height, width = (min(side * have, room) for have, room in zip(levels.shape, region.shape, strict=False))
    region = region[:height, :width]
    if not levels.size or not region.size:
        return
    lowest, highest, _, _ = cv2.minMaxLoc(levels)
    darkest, brightest, _, _ = cv2.minMaxLoc(region)
    if darkest + lowest >= 0 and brightest + highest <= 255:
        # Nothing to hold: bytes that wrap around add and subtract alike, in one go.
        _each_row(np.add, region, levels, side, work)
    else:
        # Rises and falls apart: sums of bytes that saturate are several times as fast as one of mixed depths.
        part = work.shorts("paint.part", *levels.shape)
        _each_row(cv2.add, region, np.clip(levels, 0, 255, out=part), side, work)
        np.negative(levels, out=part)
        _each_row(cv2.subtract, region, np.clip(part, 0, 255, out=part), side, work)


def _each_row(change: Callable[..., object], region: Plane, levels: Fine, side: int, work: Workspace) -> None:
    """``change(region, levels as bytes)``, in place, each level for ``side`` x ``side`` samples."""
    height, width = levels.shape
    wide = work.bytes("paint.wide", height, side * width)
    if side == 2:
        # Twice the same byte side by side is one number of two bytes.
        pairs = wide.view(np.uint16)
        np.bitwise_and(levels, 255, out=pairs, casting="unsafe")
        pairs *= 257
    else:
        np.copyto(wide, levels, casting="unsafe")
    for row in range(side):
        part = region[row::side]
        change(part, wide[: part.shape[0], : part.shape[1]], part)


def _window(start: float, size: float, length: int, scale: int) -> _Window:
    """Weight of the face's edit along one axis of a plane, as composite.py fades it, and where it begins."""
    first = min(max(int(start / scale), 0), length)
    last = min(max(int((start + size) / scale) + 1, first), length)
    at = ((np.arange(first, last) + 0.5) * scale - start) / size * CROP_SIZE - 0.5
    weight = np.interp(at, np.arange(CROP_SIZE), fade_ramp(CROP_SIZE), left=0.0, right=0.0)
    return first, weight.astype(np.float32)


def _spare(
    offset: Fine, windows: Sequence[tuple[_Window, _Window]], top: int, left: int, work: Workspace
) -> None:
    """Takes from ``offset``, which begins at ``top`` and ``left``, the share that the faces' edits have."""
    for down, across in windows:
        rows, vertical = _overlap(down, top, offset.shape[0])
        columns, horizontal = _overlap(across, left, offset.shape[1])
        if not (vertical.size and horizontal.size):
            continue
        share = work.floats("paint.share", vertical.size, horizontal.size)
        np.matmul(vertical[:, None], horizontal[None], out=share)
        np.subtract(1.0, share, out=share)
        part = offset[rows, columns]
        cv2.multiply(part, share, dst=part, dtype=cv2.CV_16S)


def _overlap(window: _Window, start: int, length: int) -> tuple[slice, FloatMap]:
    """Where a window lies in a stretch of samples, and its weights there."""
    first, weights = window
    begin = min(max(first - start, 0), length)
    end = max(min(first + len(weights) - start, length), begin)
    return slice(begin, end), weights[begin + start - first : end + start - first]
