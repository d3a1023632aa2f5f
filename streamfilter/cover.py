"""Covers a face with a flat grey square: the shield for one box, free of any pulse by construction."""

from __future__ import annotations

import math

from streamfilter.face.box import FaceBox
from streamfilter.frame import Frame

GREY, NEUTRAL = 110, 128


def cover_box(frame: Frame, box: FaceBox) -> Frame:
    """``frame`` with the box, where it lies in the picture, painted grey in new planes."""
    planes = []
    for plane, scale, level in ((frame.y, 1, GREY), (frame.u, 2, NEUTRAL), (frame.v, 2, NEUTRAL)):
        painted = plane.copy()
        top, left = math.floor(box.top / scale), math.floor(box.left / scale)
        side = math.ceil(box.size / scale) + 1
        painted[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)] = level
        planes.append(painted)
    return frame.with_planes(*planes)
