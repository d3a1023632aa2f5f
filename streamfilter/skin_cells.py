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


def cells_of(frame: Frame, grid: Grid) -> Cells:
    """The frame's cells, exact means: a rounded one would hide a change of a fraction of a level."""
    half = grid.cell // 2
    # Every second row of luma will do: the mean of a cell is as exact, at half the cost.
    luma = _means(frame.y[::2], half, grid.cell)
    yuv = np.stack([luma, _means(frame.u, half, half), _means(frame.v, half, half)])
    matrix, offset = (part.astype(np.float32) for part in yuv_to_rgb_matrix(frame.color))
    rgb = (matrix @ yuv.reshape(3, -1) + offset[:, None]).reshape(yuv.shape)
    rgb = np.clip(rgb, 0.0, 1.0, out=rgb)
    logs = np.asarray(cv2.log(rgb + BLACK), np.float32)
    return Cells(rgb, logs)


def _means(plane: Plane, tall: int, wide: int) -> FloatMap:
    """Means over cells; one that the border cuts is filled up with the border's samples."""
    height, width = plane.shape
    down, across = -height % tall, -width % wide
    if down or across:
        plane = np.asarray(cv2.copyMakeBorder(plane, 0, down, 0, across, cv2.BORDER_REPLICATE), np.uint8)
        height, width = plane.shape
    # Whole numbers: a float holds these sums exactly, and adds them fastest.
    sums = plane[::tall].astype(np.float32)
    for row in range(1, tall):
        sums += plane[row::tall]
    cells = sums.reshape(-1, wide) @ np.full(wide, 1.0 / (tall * wide), np.float32)
    return np.asarray(cells.reshape(height // tall, width // wide), np.float32)


def skin_like(cells: Cells, tone: Tone) -> FloatMap:
    """(h, w) 0..1: 1 where the chroma is the tone's, softly 0 elsewhere, in the dark and in glaring light."""
    red = cells.logs[0] - cells.logs[1] - np.float32(tone.red)
    blue = cells.logs[2] - cells.logs[1] - np.float32(tone.blue)
    like = np.clip((FAR - cv2.magnitude(red, blue)) / (FAR - NEAR), 0.0, 1.0)
    green = cells.rgb[1]
    like *= np.clip((green - DARK) / (LIT - DARK), 0.0, 1.0)
    light = np.float32(max(tone.light, DARK))
    like *= np.clip((GLARING - green / light) / (GLARING - BRIGHT), 0.0, 1.0)
    return np.asarray(cv2.blur(like, (3, 3)), np.float32)


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
