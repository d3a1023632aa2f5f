"""What is shown where no filtered picture can be: a flat card, free of any pulse because no pixel goes in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from streamfilter.frame import Frame, Plane

if TYPE_CHECKING:
    from streamfilter.face.box import FaceBox

_GREY, _TEXT = 96, 180  # luma levels that are legal in both ranges
_NEUTRAL_CHROMA = 128
_MIN_TEXT_WIDTH = 120  # pixels; below this the card stays blank
_TITLE = "physio-cam"
_MAX_REASON = 40  # characters


def shield_frame(frame: Frame, reason: str) -> Frame:
    """A grey card of the frame's size, time and colour description that names ``reason``.

    Only the frame's size and time are used, never its pixels: the same size and reason give the same card.
    """
    y = np.full((frame.height, frame.width), _GREY, np.uint8)
    u = np.full(frame.u.shape, _NEUTRAL_CHROMA, np.uint8)
    v = np.full(frame.v.shape, _NEUTRAL_CHROMA, np.uint8)
    if frame.width >= _MIN_TEXT_WIDTH:
        printable = reason.encode("ascii", "replace").decode("ascii")[:_MAX_REASON]
        for line, text in enumerate((_TITLE, printable)):
            _centred(y, text, 0.45 + 0.15 * line)
    return frame.with_planes(y, u, v)


def shield_box(frame: Frame, box: FaceBox) -> Frame:
    """The frame with the square ``box`` covered by flat grey, grown to whole chroma samples (2 x 2 pixels).

    A blur would not do: the mean colour that it keeps is the pulse. Outside the picture nothing changes.
    """
    left, top = (2 * math.floor(max(edge, 0.0) / 2) for edge in (box.left, box.top))
    right = 2 * math.ceil(min(box.left + box.size, frame.width) / 2)
    bottom = 2 * math.ceil(min(box.top + box.size, frame.height) / 2)
    if right <= left or bottom <= top:
        return frame
    y, u, v = frame.y.copy(), frame.u.copy(), frame.v.copy()
    y[top:bottom, left:right] = _GREY
    u[top // 2 : bottom // 2, left // 2 : right // 2] = _NEUTRAL_CHROMA
    v[top // 2 : bottom // 2, left // 2 : right // 2] = _NEUTRAL_CHROMA
    return frame.with_planes(y, u, v)


def _centred(y: Plane, text: str, height_share: float) -> None:
    if not text:
        return
    rows, columns = y.shape
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
    scale = min(columns * 0.8 / width, rows * 0.08 / 22)  # 22 px: height of the font's capitals at scale 1
    left = int((columns - width * scale) / 2)
    place = (left, int(rows * height_share))
    cv2.putText(y, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, _TEXT, 1, cv2.LINE_AA)
