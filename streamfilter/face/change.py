"""Has the picture changed where no face is being followed? A new face cannot come in without changing it."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter.face.box import FaceBox
from streamfilter.frame import Plane
from streamfilter.median import median

Thumbnail = npt.NDArray[np.float32]

WIDTH = 64  # cells across; a face that the detector finds covers three or more each way
THRESHOLD = 6.0  # luma levels; a cell averages hundreds of pixels, so that noise stays below a fifth of one
_BLACK = 8.0  # levels added before the ratio: dark cells say little about the light


def thumbnail(luma: Plane) -> Thumbnail:
    """The luma plane (H, W) averaged to cells, (h, 64) in levels."""
    height, width = luma.shape
    rows = max(1, round(WIDTH * height / width))
    # A quarter of the rows will do: what is averaged is still a hundred pixels of a webcam's picture.
    return cv2.resize(luma[::4], (WIDTH, rows), interpolation=cv2.INTER_AREA).astype(np.float32)


def changed(now: Thumbnail, before: Thumbnail, width: int, boxes: Iterable[FaceBox]) -> bool:
    """Whether a patch outside ``boxes`` (pixels of a picture ``width`` wide) differs by more than THRESHOLD.

    A patch is 3 × 3 cells of which most differ: the edge of something that only moves a little is thinner,
    and a smaller face the detector does not find. A factor that all cells share is light or exposure and
    does not count.
    """
    if now.shape != before.shape:
        return True
    outside = np.ones(now.shape, np.bool_)
    scale = WIDTH / width
    for box in boxes:
        top, left = max(0, int(box.top * scale)), max(0, int(box.left * scale))
        bottom, right = int((box.top + box.size) * scale) + 1, int((box.left + box.size) * scale) + 1
        outside[top : max(bottom, 0), left : max(right, 0)] = False
    if not outside.any():
        return False
    was = before + _BLACK
    light = np.float32(median((now[outside] + _BLACK) / was[outside]))
    difference = np.abs(now + _BLACK - light * was)
    difference[~outside] = 0.0
    return bool(cv2.medianBlur(difference, 3).max() > THRESHOLD)
