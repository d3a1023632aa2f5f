"""The edited crop put back into the full-resolution frame, as the paper does: it replaces the face's box.

Unlike the stream mode's gain map the picture has the crop's own resolution: within the box no sample of the
source is left, so that neither its fine detail nor its pulse leaves. Towards the border the box is faded
into the frame, over as many cells as the stream mode's edit.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter.composite import fade_ramp
from streamfilter.dither import LEVELS, Dither, Draw, FloatMap, PlaneDither, whole_levels
from streamfilter.face.box import FaceBox
from streamfilter.face.color import rgb_to_yuv_matrix
from streamfilter.frame import Frame, Plane

_MIDDLE = 128  # levels: 16-bit numbers hold 256ths of -128 to 127 levels, not of 0 to 255


def paste_face(frame: Frame, picture: FloatMap, box: FaceBox, dither: Dither, index: int) -> Frame:
    """``frame`` with the face in ``box`` replaced by ``picture`` (3, S, S) R, G, B, clipped to 0..1.

    The planes are new. ``index`` counts frames: each has thresholds of its own. A box that overhangs the
    picture is clipped; one that lies outside leaves the frame as it is.
    """
    matrix, offset = rgb_to_yuv_matrix(frame.color)
    rgb = np.clip(picture, 0.0, 1.0).reshape(3, -1)
    levels = (matrix @ rgb + offset[:, None]).astype(np.float32).reshape(picture.shape)
    planes = []
    for number, (plane, cells) in enumerate(zip((frame.y, frame.u, frame.v), levels, strict=True)):
        planes.append(_replace(plane, cells, box, *dither.of(number, index), 2 if number else 1))
    return frame.with_planes(*planes)


def _replace(plane: Plane, cells: FloatMap, box: FaceBox, kind: PlaneDither, draw: Draw, scale: int) -> Plane:
    """``plane``, whose samples are ``scale`` luma pixels apart, with ``cells`` (S, S) in the box."""
    edited = plane.copy()
    top, bottom = _reach(box.top, box.size, scale, plane.shape[0])
    left, right = _reach(box.left, box.size, scale, plane.shape[1])
    if top >= bottom or left >= right:
        return edited
    count = cells.shape[-1]
    step = scale * count / box.size
    # Sample i lies at luma column i + 0.5; chroma at 2 i + 0.5 across and 2 i + 1 down (frame.py).
    first_x = (left * scale + 0.5 - box.left) * count / box.size - 0.5
    first_y = ((top + 0.5) * scale - box.top) * count / box.size - 0.5
    to_cells = np.array([[step, 0.0, first_x], [0.0, step, first_y]])
    span, flags = (right - left, bottom - top), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(cells, to_cells, span, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    ramp = fade_ramp(count).astype(np.float32)
    weight = cv2.warpAffine(np.outer(ramp, ramp), to_cells, span, flags=flags)  # beyond the box: 0
    region = plane[top:bottom, left:right].astype(np.float32)
    wanted = region + weight * (np.asarray(shown, np.float32) - region)
    edited[top:bottom, left:right] = _dithered(wanted, kind, top, left, draw)
    return edited


def _dithered(levels: npt.NDArray[np.float32], kind: PlaneDither, top: int, left: int, draw: Draw) -> Plane:
    """Fractional levels on the 8-bit grid; the thresholds are those of ``dither.add_dithered``."""
    fine = np.rint((levels - _MIDDLE) * np.float32(LEVELS))
    held = np.clip(fine, -_MIDDLE * LEVELS, (_MIDDLE - 1) * LEVELS).astype(np.int16)
    whole = whole_levels(held, kind, top, left, draw)
    return (whole + np.int16(_MIDDLE)).astype(np.uint8)


def _reach(start: float, size: float, scale: int, length: int) -> tuple[int, int]:
    """First and last + 1 of the samples, within the plane, that the box can touch."""
    low, high = int(np.floor(start / scale)) - 1, int(np.ceil((start + size) / scale)) + 1
    return max(0, low), min(length, high)
