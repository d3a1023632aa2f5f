"""The network's view of a face: exact averages over the cells of a box at sub-pixel position.

A picture is taken as piecewise constant, one value a pixel. Its integral image (Crow 1984, Viola & Jones
2001), read with linear interpolation, is then the exact integral up to any sub-pixel corner, so that a cell's
mean changes smoothly as the box glides. Reading it beyond its ends by extrapolation replicates the edge.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter.errors import UsageError
from streamfilter.face.box import FaceBox
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.frame import Frame, Plane
from streamfilter.workspace import Workspace

Cells = npt.NDArray[np.float64]
CROP_SIZE = 72
# 4:2:0 chroma is sited left (frame.py): sample j sits on the centre of luma column 2j, so that it
# covers the luma columns from 2j - 0.5 to 2j + 1.5. Rows are sited midway: no shift.
CHROMA_SHIFT = 0.5


def crop_rgb(
    frame: Frame, box: FaceBox, size: int = CROP_SIZE, work: Workspace | None = None
) -> npt.NDArray[np.float32]:
    """The box as (3, size, size) float32 R, G, B in 0..1, unrounded.

    Each plane is averaged over the box's cells, then converted by the frame's matrix and range. Where the box
    overhangs the picture, its edge is replicated. ``work`` is scratch memory; the result is the caller's own.
    Raises UsageError for a box without area.
    """
    work = work or Workspace()
    yuv = crop_planes(frame, box, size, work)
    matrix, offset = yuv_to_rgb_matrix(frame.color)
    rgb = np.matmul(matrix, yuv.reshape(3, -1), out=work.doubles("crop.rgb", 3, size * size))
    rgb += offset[:, None]
    return np.clip(rgb, 0.0, 1.0, out=rgb).astype(np.float32).reshape(3, size, size)


def crop_planes(frame: Frame, box: FaceBox, size: int = CROP_SIZE, work: Workspace | None = None) -> Cells:
    """The box as (3, size, size) float64 means of Y, U, V in 8-bit levels. Raises as ``crop_rgb``.

    With ``work`` the result lies in it.
    """
    work = work or Workspace()
    if not (size > 0 and np.isfinite((box.cx, box.cy)).all() and 0 < box.size < np.inf):
        raise UsageError(
            f"cannot crop {box} to {size} cells: the box and the crop need a finite, positive size"
        )
    x = box.left + box.size * np.arange(size + 1) / size
    y = box.top + box.size * np.arange(size + 1) / size
    cx, cy = (x + CHROMA_SHIFT) / 2, y / 2
    means = work.doubles("crop.means", 3, size, size)
    _cells(frame.y, _places(frame.y.shape, x, y), work, means[0])
    chroma = _places(frame.u.shape, cx, cy)
    for plane, made in ((frame.u, means[1]), (frame.v, means[2])):
        _cells(plane, chroma, work, made)
    return means


def cell_means(plane: Plane, x: Cells, y: Cells) -> Cells:
    """Means (len(y) - 1, len(x) - 1) of a plane over the cells between increasing edges x and y (pixels)."""
    made = np.empty((len(y) - 1, len(x) - 1))
    _cells(plane, _places(plane.shape, x, y), Workspace(), made)
    return made


class _Places(NamedTuple):
    """Where the cells' corners lie in the sums of a part of a plane, its ``rows`` and ``columns``.

    ``corners`` (n, m) count in its flattened sums, ``down`` (n, 1) and ``across`` (m,) are the way on to the
    next sum, ``height`` and ``width`` the cells' sides.
    """

    rows: slice
    columns: slice
    corners: npt.NDArray[np.intp]
    down: Cells
    across: Cells
    height: Cells
    width: Cells


def _places(shape: tuple[int, ...], x: Cells, y: Cells) -> _Places:
    (x0, x1), (y0, y1) = _reach(x, shape[1]), _reach(y, shape[0])
    tall, wide = y1 - y0 + 1, x1 - x0 + 1
    row, down = _split(y - y0, tall)
    column, across = _split(x - x0, wide)
    # A sum of a column and a row takes three times its size in buffers; with a whole array it takes none.
    corners = np.repeat(row * wide, len(column)).reshape(-1, len(column))
    corners += column
    sides = np.diff(y)[:, None], np.diff(x)
    return _Places(slice(y0, y1), slice(x0, x1), corners, down[:, None], across, *sides)


def _cells(plane: Plane, places: _Places, work: Workspace, out: Cells) -> None:
    """To ``out`` the means over the cells."""
    part = plane[places.rows, places.columns]
    tall, wide = part.shape[0] + 1, part.shape[1] + 1
    sums: npt.NDArray[Any]
    if part.size < 2**23:  # 2**23 * 255 < 2**31
        sums = work.integers("crop.sums", tall, wide)
        cv2.integral(part, sum=sums, sdepth=cv2.CV_32S)
    else:
        sums = work.doubles("crop.sums", tall, wide)
        cv2.integral(part, sum=sums, sdepth=cv2.CV_64F)
    flat, shape = sums.reshape(-1), places.corners.shape
    above = _between(flat, places, work.doubles("crop.above", *shape))
    below = _between(flat[wide:], places, work.doubles("crop.below", *shape))
    below -= above
    below *= places.down
    below += above  # the running sums at the cells' corners
    rows = np.subtract(below[1:], below[:-1], out=above[1:])
    np.copyto(out, rows[:, 1:])
    out -= rows[:, :-1]
    out /= places.height
    out /= places.width


def _reach(edges: Cells, length: int) -> tuple[int, int]:
    """The pixels that the edges touch: at least one, within the plane."""
    low = int(np.clip(np.floor(edges[0]), 0, length - 1))
    return low, int(np.clip(np.ceil(edges[-1]), low + 1, length))


def _split(edges: Cells, length: int) -> tuple[npt.NDArray[np.intp], Cells]:
    """The whole pixel before each edge (of ``length``; the last is only gone towards), and the rest."""
    whole = np.clip(np.floor(edges), 0, length - 2)
    return whole.astype(np.intp), edges - whole


def _between(sums: npt.NDArray[Any], places: _Places, out: Cells) -> Cells:
    """To ``out`` the sums at the corners, as far across as they lie."""
    before = sums.take(places.corners)
    np.subtract(sums[1:].take(places.corners), before, out=out)
    out *= places.across
    out += before
    return out


def skin_prior(size: int = CROP_SIZE) -> npt.NDArray[np.float32]:
    """Where the skin usually lies in a box: (size, size) float32, 1 inside a soft oval, 0 outside."""
    at = (np.arange(size) + 0.5) / size - 0.5
    x, y = at[None, :] / _OVAL[0], (at[:, None] - _OVAL_DROP) / _OVAL[1]
    return (1.0 / (1.0 + np.exp((np.hypot(x, y) - 1.0) / _OVAL_EDGE))).astype(np.float32)


_OVAL = (0.29, 0.38)  # half axes over the box's size: from the hairline to the chin, cheek to cheek
_OVAL_DROP = 0.0
_OVAL_EDGE = 0.06  # width of the rim over the oval's radius
