"""The network's view of a face: exact averages over the cells of a box at sub-pixel position.

A picture is taken as piecewise constant, one value a pixel. Its integral image (Crow 1984, Viola & Jones
2001), read with linear interpolation, is then the exact integral up to any sub-pixel corner, so that a cell's
mean changes smoothly as the box glides. Reading it beyond its ends by extrapolation replicates the edge.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter.errors import UsageError
from streamfilter.face.box import FaceBox
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.frame import Frame, Plane

Cells = npt.NDArray[np.float64]
CROP_SIZE = 72
# 4:2:0 chroma is sited left (frame.py): sample j sits on the centre of luma column 2j, so that it
# covers the luma columns from 2j - 0.5 to 2j + 1.5. Rows are sited midway: no shift.
CHROMA_SHIFT = 0.5


def crop_rgb(frame: Frame, box: FaceBox, size: int = CROP_SIZE) -> npt.NDArray[np.float32]:
    """The box as (3, size, size) float32 R, G, B in 0..1, unrounded.

    Each plane is averaged over the box's cells, then converted by the frame's matrix and range. Where the box
    overhangs the picture, its edge is replicated. Raises UsageError for a box without area.
    """
    yuv = crop_planes(frame, box, size)
    matrix, offset = yuv_to_rgb_matrix(frame.color)
    rgb = matrix @ yuv.reshape(3, -1) + offset[:, None]
    return np.clip(rgb, 0.0, 1.0).astype(np.float32).reshape(3, size, size)


def crop_planes(frame: Frame, box: FaceBox, size: int = CROP_SIZE) -> Cells:
    """The box as (3, size, size) float64 means of Y, U, V in 8-bit levels. Raises as ``crop_rgb``."""
    if not (size > 0 and np.isfinite((box.cx, box.cy)).all() and 0 < box.size < np.inf):
        raise UsageError(
            f"cannot crop {box} to {size} cells: the box and the crop need a finite, positive size"
        )
    x = box.left + box.size * np.arange(size + 1) / size
    y = box.top + box.size * np.arange(size + 1) / size
    cx, cy = (x + CHROMA_SHIFT) / 2, y / 2
    return np.stack([cell_means(frame.y, x, y), cell_means(frame.u, cx, cy), cell_means(frame.v, cx, cy)])


def cell_means(plane: Plane, x: Cells, y: Cells) -> Cells:
    """Means (len(y) - 1, len(x) - 1) of a plane over the cells between increasing edges x and y (pixels)."""
    x0, x1 = _reach(x, plane.shape[1])
    y0, y1 = _reach(y, plane.shape[0])
    part = plane[y0:y1, x0:x1]
    depth = cv2.CV_32S if part.size < 2**23 else cv2.CV_64F  # 2**23 * 255 < 2**31
    integral = np.asarray(cv2.integral(part, sdepth=depth))
    row, down = _split(y - y0, integral.shape[0])
    column, across = _split(x - x0, integral.shape[1])
    above, below = (_at(integral[rows], column, across) for rows in (row, row + 1))
    cells = np.diff(np.diff(above + down[:, None] * (below - above), axis=0), axis=1)
    return np.asarray(cells / np.diff(y)[:, None] / np.diff(x))


def _reach(edges: Cells, length: int) -> tuple[int, int]:
    """The pixels that the edges touch: at least one, within the plane."""
    low = int(np.clip(np.floor(edges[0]), 0, length - 1))
    return low, int(np.clip(np.ceil(edges[-1]), low + 1, length))


def _split(edges: Cells, length: int) -> tuple[npt.NDArray[np.intp], Cells]:
    """The whole pixel before each edge (of ``length``; the last is only gone towards), and the rest."""
    whole = np.clip(np.floor(edges), 0, length - 2)
    return whole.astype(np.intp), edges - whole


def _at(sums: npt.NDArray[Any], whole: npt.NDArray[np.intp], rest: Cells) -> Cells:
    """Running sums along axis 1 at ``whole + rest``."""
    before = sums.take(whole, axis=1)
    return np.asarray(before + rest * (sums.take(whole + 1, axis=1) - before))


def skin_prior(size: int = CROP_SIZE) -> npt.NDArray[np.float32]:
    """Where the skin usually lies in a box: (size, size) float32, 1 inside a soft oval, 0 outside."""
    at = (np.arange(size) + 0.5) / size - 0.5
    x, y = at[None, :] / _OVAL[0], (at[:, None] - _OVAL_DROP) / _OVAL[1]
    return (1.0 / (1.0 + np.exp((np.hypot(x, y) - 1.0) / _OVAL_EDGE))).astype(np.float32)


_OVAL = (0.29, 0.38)  # half axes over the box's size: from the hairline to the chin, cheek to cheek
_OVAL_DROP = 0.0
_OVAL_EDGE = 0.06  # width of the rim over the oval's radius
