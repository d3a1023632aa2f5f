"""The low-resolution edit of one face, written into the full-resolution frame.

The gain map (relative change of R, G, B at the crop's size) becomes offsets of Y, U, V through the frame's
own matrix and range; these are enlarged to the face's box and added, dithered, to the planes that the
source delivered. No pixel makes a round trip through R, G, B, and none outside the box is touched.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from streamfilter.dither import Dither, FloatMap, PlaneDither, add_dithered
from streamfilter.face.box import FaceBox
from streamfilter.face.color import rgb_to_yuv_matrix
from streamfilter.frame import Frame, Plane

DEFAULT_DITHER = Dither()

_FADE_CELLS = 4  # over this many of the crop's cells the edit falls to zero at the box's border
_DARK = 8.0  # luma levels above black below which the luma edit no longer follows the pixel's own luma
_PLANE_PHASES = (0, 85, 171)  # Y, U, V: a third of the circle apart


def apply_gain(
    frame: Frame, gain: FloatMap, crop: FloatMap, box: FaceBox, dither: Dither = DEFAULT_DITHER, index: int = 0
) -> Frame:
    """``frame`` with the face in ``box`` changed by ``gain``; the new planes share nothing with the old.

    ``gain`` (3, S, S) float32 is the relative change of R, G, B (0.01 = +1 %), ``crop`` (3, S, S) float32
    the box's R, G, B in 0..1 (area-averaged). ``index`` counts frames and turns the dither. The luma edit
    follows each pixel's own luma, so that texture keeps its contrast; the chroma edit follows the crop.
    A box that overhangs the picture is clipped; one that lies outside leaves the frame as it is.
    """
    shifts = yuv_offsets(frame, gain, crop)
    planes = []
    for number, (plane, shift) in enumerate(zip((frame.y, frame.u, frame.v), shifts, strict=True)):
        kind = dither.luma if number == 0 else dither.chroma
        phase = dither.seed + index * kind.turn + _PLANE_PHASES[number]
        planes.append(_edit_plane(plane, shift, box, kind, phase, frame.color.full_range, chroma=number > 0))
    return frame.with_planes(*planes)


def yuv_offsets(frame: Frame, gain: FloatMap, crop: FloatMap) -> FloatMap:
    """(3, S, S) float32: relative change of luma above black, then offsets of U and V in levels, faded out."""
    matrix, _ = rgb_to_yuv_matrix(frame.color)
    small = matrix.astype(np.float32)
    size = gain.shape[-1]
    offsets = small @ (gain * crop).reshape(3, -1)
    luma = small[0] @ crop.reshape(3, -1)
    offsets[0] /= np.maximum(luma, _DARK)
    faded: FloatMap = offsets.reshape(3, size, size) * _fade(size)
    return faded


def _edit_plane(
    plane: Plane, shift: FloatMap, box: FaceBox, kind: PlaneDither, phase: int, full_range: bool, *, chroma: bool
) -> Plane:
    edited = plane.copy()
    scale = 2 if chroma else 1
    half = box.size / 2.0
    height, width = plane.shape
    left, right = _span(box.cx - half, box.cx + half, scale, width)
    top, bottom = _span(box.cy - half, box.cy + half, scale, height)
    if left >= right or top >= bottom:
        return edited
    # Sample i of a plane lies at i + 0.5 luma pixels; chroma is sited on the left luma column of its
    # pair and between its two rows (MPEG-2), so at 2 i + 0.5 across and at 2 j + 1 down.
    cells = shift.shape[-1] / box.size
    across = (scale * left + 0.5 - (box.cx - half)) * cells - 0.5
    down = (scale * (top + 0.5) - (box.cy - half)) * cells - 0.5
    to_cells = np.array([[scale * cells, 0.0, across], [0.0, scale * cells, down]])
    offset = cv2.warpAffine(
        shift,
        to_cells,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0.0,
    )
    region = plane[top:bottom, left:right]
    if not chroma:
        offset = cv2.multiply(offset, _above_black(region, full_range))
    edited[top:bottom, left:right] = add_dithered(region, offset, kind, top=top, left=left, phase=phase)
    return edited


def _span(start: float, stop: float, scale: int, limit: int) -> tuple[int, int]:
    return max(0, int(np.floor(start / scale))), min(limit, int(np.ceil(stop / scale)))


def _above_black(luma: Plane, full_range: bool) -> FloatMap:
    levels: FloatMap = luma.astype(np.float32)
    if not full_range:
        levels = cv2.max(cv2.subtract(levels, 16.0), 0.0)
    return levels


@cache
def _fade(size: int) -> FloatMap:
    """(S, S) window: 1 inside, raised cosine over the outer cells, 0 on the outermost ones."""
    distance = np.minimum(np.arange(size), np.arange(size)[::-1])
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.minimum(distance / _FADE_CELLS, 1.0))
    window: FloatMap = np.outer(ramp, ramp).astype(np.float32)
    window.setflags(write=False)
    return window
