"""The frame in cells of a few pixels: their colour, and how far it is a face's skin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from streamfilter.composite import FADE_CELLS
from streamfilter.dither import FloatMap
from streamfilter.face.box import FaceBox
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.face.crop import CROP_SIZE, skin_prior
from streamfilter.frame import Frame, Plane
from streamfilter.skin import BLACK, Tone
from streamfilter.workspace import Workspace

ACROSS = 160  # cells along the picture's longer side, about
TILE = 5  # cells to a tile's side
# Distance in log ratios: within the first a cell is skin, beyond the second it is not.
NEAR, FAR = 0.13, 0.22
# Green, 0..1: below the first noise decides the chroma.
DARK, LIT = 0.03, 0.07
# Green over the face's: below the first the light may fall on skin so, beyond the second it is a wall's or a
# lamp's. In coded values, where twice is four to five times the light.
BRIGHT, GLARING = 1.8, 2.4


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells of ``cell`` pixels (even), ``shape`` (rows, columns) of them, the last ones perhaps cut, in
    ``tiles`` (rows, columns)."""

    cell: int
    shape: tuple[int, int]
    tiles: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Cells:
    """Means over the cells: ``rgb`` (3, h, w) 0..1, ``logs`` (3, h, w) of it."""

    rgb: FloatMap
    logs: FloatMap


def grid_of(frame: Frame) -> Grid:
    """The cells that a frame's size asks for."""
    cell = max(2, 2 * round(max(frame.width, frame.height) / ACROSS / 2))
    shape = (-(-frame.height // cell), -(-frame.width // cell))
    return Grid(cell, shape, (-(-shape[0] // TILE), -(-shape[1] // TILE)))


def cells_of(frame: Frame, grid: Grid, work: Workspace | None = None) -> Cells:
    """The frame's cells, exact means: a rounded one would hide a change of a fraction of a level.

    With ``work`` they lie in it.
    """
    work = work or Workspace()
    half = grid.cell // 2
    # Every second row of luma will do: the mean of a cell is as exact, at half the cost.
    planes = ((frame.y[::2], grid.cell), (frame.u, half), (frame.v, half))
    yuv = work.floats("cells.yuv", 3, *grid.shape)
    for means, (plane, wide) in zip(yuv, planes, strict=True):
        _means(plane, half, wide, means, work)
    matrix, offset = (part.astype(np.float32) for part in yuv_to_rgb_matrix(frame.color))
    rgb = work.floats("cells.rgb", 3, *grid.shape)
    flat = rgb.reshape(3, -1)
    np.matmul(matrix, yuv.reshape(3, -1), out=flat)
    flat += offset[:, None]
    np.clip(rgb, 0.0, 1.0, out=rgb)
    logs = work.floats("cells.logs", 3, *grid.shape)
    np.add(flat, BLACK, out=logs.reshape(3, -1))
    cv2.log(logs.reshape(3, -1), dst=logs.reshape(3, -1))
    return Cells(rgb, logs)


def _means(plane: Plane, tall: int, wide: int, out: FloatMap, work: Workspace) -> None:
    """Means over cells, into ``out``; one that the border cuts is filled up with the border's samples."""
    height, width = plane.shape
    down, across = -height % tall, -width % wide
    if down or across:
        plane = np.asarray(cv2.copyMakeBorder(plane, 0, down, 0, across, cv2.BORDER_REPLICATE), np.uint8)
        height, width = plane.shape
    # Whole numbers: a float holds these sums exactly, and adds them fastest.
    sums = work.floats("cells.sums", height // tall, width)
    np.copyto(sums, plane[::tall])
    for row in range(1, tall):
        sums += plane[row::tall]
    share = np.full(wide, 1.0 / (tall * wide), np.float32)
    np.matmul(sums.reshape(-1, wide), share, out=out.reshape(-1))


def skin_like(cells: Cells, tone: Tone, work: Workspace | None = None) -> FloatMap:
    """(h, w) 0..1: 1 where the chroma is the tone's, softly 0 elsewhere, in the dark and in glaring light.

    With ``work`` it lies in it.
    """
    work = work or Workspace()
    shape = cells.rgb.shape[1:]
    part, like = work.floats("skin.part", *shape), work.floats("skin.like", *shape)
    np.subtract(cells.logs[0], cells.logs[1], out=part)
    part -= np.float32(tone.red)
    np.subtract(cells.logs[2], cells.logs[1], out=like)
    like -= np.float32(tone.blue)
    cv2.magnitude(part, like, magnitude=like)
    np.subtract(FAR, like, out=like)
    like /= FAR - NEAR
    np.clip(like, 0.0, 1.0, out=like)
    green = cells.rgb[1]
    np.subtract(green, DARK, out=part)
    part /= LIT - DARK
    like *= np.clip(part, 0.0, 1.0, out=part)
    np.divide(green, np.float32(max(tone.light, DARK)), out=part)
    np.subtract(GLARING, part, out=part)
    part /= GLARING - BRIGHT
    like *= np.clip(part, 0.0, 1.0, out=part)
    return np.asarray(cv2.blur(like, (3, 3), dst=part), np.float32)


def outside(grid: Grid, boxes: Sequence[FaceBox]) -> FloatMap:
    """(h, w): 0 for cells deep in a box, a cell or more behind its rim, 1 for all others."""
    free = np.ones(grid.shape, np.float32)
    for box in boxes:
        rim = (FADE_CELLS + 0.5) * box.size / CROP_SIZE + grid.cell
        top, left = (max(0, -int(-(edge + rim) // grid.cell)) for edge in (box.top, box.left))
        bottom, right = (int((edge + box.size - rim) // grid.cell) for edge in (box.top, box.left))
        free[top : max(bottom, 0), left : max(right, 0)] = 0.0
    return free


def off_faces(grid: Grid, boxes: Sequence[FaceBox]) -> FloatMap:
    """(h, w): 0 in the faces' ovals, 1 away from them, soft between."""
    free = np.ones(grid.shape, np.float32)
    for box in boxes:
        scale = CROP_SIZE * grid.cell / box.size
        at = (
            0.5 * scale - box.left * CROP_SIZE / box.size - 0.5,
            0.5 * scale - box.top * CROP_SIZE / box.size - 0.5,
        )
        to_crop = np.array([[scale, 0.0, at[0]], [0.0, scale, at[1]]])
        size, flags = (grid.shape[1], grid.shape[0]), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        free *= 1.0 - cv2.warpAffine(oval(CROP_SIZE), to_crop, size, flags=flags)
    return free


@cache
def oval(size: int) -> FloatMap:
    """(size, size) 0..1: the face in its box, as the network was taught to edit it."""
    cover = skin_prior(size)
    cover.setflags(write=False)
    return cover


def toward(tone: Tone, other: Tone, share: float) -> Tone:
    """The tone moved by ``share`` (0..1) of the way to another."""
    red, blue, light = (
        old + share * (new - old)
        for old, new in ((tone.red, other.red), (tone.blue, other.blue), (tone.light, other.light))
    )
    return Tone(red, blue, light)
