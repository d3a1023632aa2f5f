"""Where a frame is surely skin and where it surely is none: the places an attacker holds against each other.

The truth's own mask, frame by frame: whoever sees a picture can tell hair and wall from a face.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter.face.box import FaceBox
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.frame import Frame

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

REGIONS = ("skin", "in the box", "outside")  # the last two: of what is no skin
SURE_SKIN, SURE_OTHER = 0.9, 0.02  # the mask's share
EDGE = 2  # pixels from an edge that do not count: resampling mixes what lies on its two sides
DARK = 25.0  # grey levels of 255: below, a pixel carries no colour to speak of
LEAST = 100  # pixels; fewer are no region
OVAL = (0.275, 0.36)  # half axes over the box's size: within the face
BOX = 0.45  # half side over the box's size: within the crop
_SLOW = 0.1  # of a new frame in the mean that tells dark from bright, so that noise moves no pixel in or out


class RegionMasks:
    """The masks of one scene's frames, which follow its head."""

    def __init__(self) -> None:
        self._mean: Array32 | None = None

    def of(self, frame: Frame, skin: Array32, box: FaceBox) -> list[Mask]:
        """The `REGIONS` of a frame: (H, W) each, from the skin mask (H, W) 0..1 of its pixels."""
        luma = frame.y.astype(np.float32)
        self._mean = luma if self._mean is None else self._mean + np.float32(_SLOW) * (luma - self._mean)
        rows, columns = np.ogrid[: luma.shape[0], : luma.shape[1]]
        x, y = (columns + 0.5 - box.cx) / box.size, (rows + 0.5 - box.cy) / box.size
        in_oval = np.hypot(x / OVAL[0], y / OVAL[1]) < 1.0
        in_box = np.maximum(np.abs(x), np.abs(y)) < BOX
        other = (skin < SURE_OTHER) & (self._mean > DARK)
        return [eroded(one) for one in ((skin > SURE_SKIN) & in_oval, other & in_box, other & ~in_box)]


def eroded(mask: Mask, edge: int = EDGE) -> Mask:
    """A mask (H, W) without what lies within ``edge`` pixels of its end; the picture's border is none."""
    kernel = np.ones((2 * edge + 1, 2 * edge + 1), np.uint8)
    return np.asarray(cv2.erode(mask.astype(np.uint8), kernel) > 0)


def region_means(frame: Frame, masks: list[Mask]) -> Array64:
    """Mean R, G, B 0..1 (3, 3) of each mask, a region a row; NaN where a region is smaller than `LEAST`."""
    matrix, offset = yuv_to_rgb_matrix(frame.color)
    out = np.full((len(masks), 3), np.nan)
    for row, mask in zip(out, masks, strict=True):
        height, width = (side // 2 * 2 for side in mask.shape)
        half = mask[:height, :width].reshape(height // 2, 2, width // 2, 2).all(axis=(1, 3))
        if mask.sum() >= LEAST and half.sum() >= LEAST // 8:
            u, v = (plane[: height // 2, : width // 2][half].mean() for plane in (frame.u, frame.v))
            row[:] = np.maximum(matrix @ np.array([frame.y[mask].mean(), u, v]) + offset, 1e-3)
    return out


def filled(regions: Sequence[Array64]) -> Array64:
    """(T, 3, 3): a frame without a region has the one before's; NaN where a tenth of the frames or the first
    are without."""
    table = np.stack(regions)
    missing = np.isnan(table[:, :, 0])
    for t in range(1, len(table)):
        table[t, missing[t]] = table[t - 1, missing[t]]
    table[:, missing[0] | (missing.mean(axis=0) > 0.1)] = np.nan
    return table
