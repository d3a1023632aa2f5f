"""The low-resolution edit of one face, written into the full-resolution frame.

The gain map (relative change of R, G, B at the crop's size) becomes offsets of Y, U, V through the frame's
own matrix and range; these are enlarged to the face's box and added, dithered, to the planes that the
source delivered. No pixel makes a round trip through R, G, B, and none outside the box is touched.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter.dither import LEVELS, Dither, Draw, FloatMap, PlaneDither, add_dithered, fine
from streamfilter.face.box import FaceBox
from streamfilter.face.color import rgb_to_yuv_matrix
from streamfilter.frame import Frame, Plane
from streamfilter.workspace import Workspace

DEFAULT_DITHER = Dither()

FADE_CELLS = 2  # over this many of the crop's cells the edit falls to zero at the box's border
_DARK = 16.0  # luma level below which the luma edit no longer follows the pixel's own luma


def apply_gain(
    frame: Frame,
    gain: FloatMap,
    crop: FloatMap,
    box: FaceBox,
    dither: Dither = DEFAULT_DITHER,
    index: int = 0,
) -> Frame:
    """``frame`` with the face in ``box`` changed by ``gain``; the new planes share nothing with the old.

    ``gain`` (3, S, S) float32 is the relative change of R, G, B (0.01 = +1 %), ``crop`` (3, S, S) float32
    the box's R, G, B in 0..1 (area-averaged). ``index`` counts frames: each has thresholds of its own. The
    luma edit follows each pixel's own luma, so that texture keeps its contrast; the chroma edit follows the
    crop. A box that overhangs the picture is clipped; one that lies outside leaves the frame as it is.
    """
    edited = frame.with_planes(frame.y.copy(), frame.u.copy(), frame.v.copy())
    write_gain(edited, gain, crop, box, dither, index, Workspace())
    return edited


def write_gain(
    frame: Frame, gain: FloatMap, crop: FloatMap, box: FaceBox, dither: Dither, index: int, work: Workspace
) -> None:
    """As :func:`apply_gain`, into the frame's own planes; ``work`` is scratch memory."""
    shifts = yuv_offsets(frame, gain, crop)
    for number, (plane, shift) in enumerate(zip((frame.y, frame.u, frame.v), shifts, strict=True)):
        _edit_plane(plane, shift, box, *dither.of(number, index), number > 0, work)


def yuv_offsets(frame: Frame, gain: FloatMap, crop: FloatMap) -> FloatMap:
    """(3, S, S) float32: offset of Y per level of Y, then offsets of U and V in levels, faded out."""
    matrix, black = rgb_to_yuv_matrix(frame.color)
    small = matrix.astype(np.float32)
    size = gain.shape[-1]
    offsets = small @ (gain * crop).reshape(3, -1)
    luma = small[0] @ crop.reshape(3, -1) + np.float32(black[0])
    offsets[0] /= np.maximum(luma, _DARK)
    faded: FloatMap = offsets.reshape(3, size, size) * _fade(size)
    return faded


def _edit_plane(
    plane: Plane, shift: FloatMap, box: FaceBox, kind: PlaneDither, draw: Draw, chroma: bool, work: Workspace
) -> None:
    scale = 2 if chroma else 1
    # Sample i of a plane lies at i + 0.5 luma pixels; chroma is sited on the left luma column of its
    # pair and between its two rows (MPEG-2), so at 2 i + 0.5 across and at 2 j + 1 down.
    siting = 0.25 if chroma else 0.0
    start_x, start_y = (box.cx - box.size / 2) / scale + siting, (box.cy - box.size / 2) / scale
    left, right = int(np.floor(start_x)), int(np.ceil(start_x + box.size / scale))
    top, bottom = int(np.floor(start_y)), int(np.ceil(start_y + box.size / scale))
    rows = slice(max(0, top), min(plane.shape[0], bottom))
    columns = slice(max(0, left), min(plane.shape[1], right))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    steady = _on_whole_samples(
        shift, (left - start_x, top - start_y), (right - left, bottom - top), box.size / scale
    )
    region = plane[rows, columns]
    inside = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    span = (right - left, bottom - top)
    if chroma:
        offset = work.shorts("composite.offset", span[1], span[0])
        cv2.resize(fine(steady, work), span, dst=offset, interpolation=cv2.INTER_LINEAR)
        offset = offset[inside]
    else:
        relative = work.floats("composite.relative", span[1], span[0])
        cv2.resize(steady, span, dst=relative, interpolation=cv2.INTER_LINEAR)
        offset = work.shorts("composite.offset", *region.shape)
        cv2.multiply(region, relative[inside], dst=offset, scale=LEVELS, dtype=cv2.CV_16S)
    add_dithered(region, offset, kind, top=rows.start, left=columns.start, draw=draw, out=region, work=work)


def _on_whole_samples(
    cells: FloatMap, start: tuple[float, float], span: tuple[int, int], size: float
) -> FloatMap:
    """The map resampled, still small, from the box onto the whole samples around it, zero at the border.

    ``start`` is where those samples begin relative to the box, ``span`` how many there are, ``size`` the
    box's side, all in samples. The enlargement that follows is then a plain one, five times as fast as a
    warp of the large map.
    """
    count = cells.shape[-1]
    scale_x, scale_y = span[0] / size, span[1] / size
    shift_x = (start[0] * count / size) + 0.5 * scale_x - 0.5
    shift_y = (start[1] * count / size) + 0.5 * scale_y - 0.5
    to_cells = np.array([[scale_x, 0.0, shift_x], [0.0, scale_y, shift_y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = np.asarray(cv2.warpAffine(cells, to_cells, (count, count), flags=flags), np.float32)
    moved[[0, -1]] = 0.0
    moved[:, [0, -1]] = 0.0
    return moved


@cache
def fade_ramp(size: int) -> npt.NDArray[np.float64]:
    """(S,) weight of a face's edit along an axis of its crop: 1 inside, falling to 0 at the ends."""
    distance = np.minimum(np.arange(size), np.arange(size)[::-1])
    ramp: npt.NDArray[np.float64] = 0.5 - 0.5 * np.cos(np.pi * np.minimum(distance / FADE_CELLS, 1.0))
    ramp.setflags(write=False)
    return ramp


@cache
def _fade(size: int) -> FloatMap:
    """(S, S) window: 1 inside, raised cosine over the outer cells, 0 on the outermost ones."""
    ramp = fade_ramp(size)
    window: FloatMap = np.outer(ramp, ramp).astype(np.float32)
    window.setflags(write=False)
    return window
