"""Where a frame is surely skin, where it surely is none, and the skin's rim: the places an attacker holds
against each other.

The truth's own mask, frame by frame: whoever sees a picture can tell hair and wall from a face. But what has
the skin's tone below the chin is no reference: it looks like a neck, though the generator, which continues a
still's last row there, gives it no pulse. Nor is it the rim where the mask ends in what looks like skin:
generated pulses fade at an oval, wherever the face may end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter.face.box import FaceBox
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.frame import Frame
from streamfilter.rppg.filters import resample

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.uint8]

# The face, what is no skin, and sure skin along its edge: by the hair, the ears, the jaw.
REGIONS = ("skin", "in the box", "outside", "outside, skin-toned", "rim")
SURE_SKIN, SURE_OTHER = 0.9, 0.02  # the mask's share
EDGE = 2  # pixels from an edge that do not count: resampling mixes what lies on its two sides
RIM_WIDTH = 6  # pixels from an edge to which the rim reaches, less those that do not count
DARK = 25.0  # grey levels of 255: below, a pixel carries no colour to speak of
DARKER = 0.6  # of the face's luma, below which skin is seen to end: hair, brows, lids
TONE = 0.2  # log ratios to green within which a colour passes for the face's: about what the filter goes by
LEAST = 100  # pixels; fewer are no region
OVAL = (0.275, 0.36)  # half axes over the box's size: within the face
CHIN = 0.35  # down from the box's centre, over its size
BOX = 0.45  # half side over the box's size: within the crop
PULL = 0.01  # of the way to its mean that a region's level goes in a frame: slow beside a pulse
_SLOW = 0.1  # of a new frame in the picture that is looked at for light and tone: noise moves no pixel


Area = tuple[Whole, Whole] | None  # 1 in it, of luma's pixels and of chroma's; None: smaller than LEAST


@dataclass(frozen=True)
class Areas:
    """The `REGIONS` of a frame: as they are ``now``, and what of each was there in the frame before."""

    now: Sequence[Area]
    kept: Sequence[Area]


class RegionMasks:
    """The masks of one scene's frames, which follow its head."""

    def __init__(self) -> None:
        self._planes: list[Array32] | None = None
        self._last: list[Mask] | None = None

    def areas(self, frame: Frame, skin: Array32, box: FaceBox) -> Areas:
        """`of` in a form that `RegionTraces` reads, for each frame in turn."""
        masks = self.of(frame, skin, box)
        before = self._last or masks
        self._last = masks
        kept = [one & other for one, other in zip(masks, before, strict=True)]
        return Areas([area_of(mask) for mask in masks], [area_of(mask) for mask in kept])

    def of(self, frame: Frame, skin: Array32, box: FaceBox) -> list[Mask]:
        """The `REGIONS` of a frame: (H, W) each, from the skin mask (H, W) 0..1 of its pixels."""
        now = [plane.astype(np.float32) for plane in (frame.y, frame.u, frame.v)]
        if self._planes is not None:
            now = [old + np.float32(_SLOW) * (new - old) for old, new in zip(self._planes, now, strict=True)]
        self._planes = now
        rows, columns = np.ogrid[: skin.shape[0], : skin.shape[1]]
        x, y = (columns + 0.5 - box.cx) / box.size, (rows + 0.5 - box.cy) / box.size
        face = eroded((skin > SURE_SKIN) & (np.hypot(x / OVAL[0], y / OVAL[1]) < 1.0))
        in_box = np.maximum(np.abs(x), np.abs(y)) < BOX
        toned = _toned(now, frame, face)
        other = (skin < SURE_OTHER) & (now[0] > DARK) & ~(toned & (y > CHIN))
        outside = eroded(other & ~in_box)
        another = ~toned | (now[0] < DARKER * (now[0][face].mean() if face.any() else 0.0))
        rim = _along(skin, another) & in_box & (now[0] > DARK)
        return [face, eroded(other & in_box), outside, outside & toned, rim]


def _along(skin: Array32, another: Mask) -> Mask:
    """(H, W): sure skin within `RIM_WIDTH` of where it ends at ``another`` thing, less the `EDGE`."""
    beyond = eroded((skin < SURE_SKIN) & another, 1)  # as a thin line it is the mask's own soft end
    return eroded(skin > SURE_SKIN) & ~eroded(~beyond, RIM_WIDTH + 1)


def _toned(planes: list[Array32], frame: Frame, face: Mask) -> Mask:
    """(H, W): where the colour, blurred, passes for that of ``face``; nowhere where that is empty."""
    if not face.any():
        return np.zeros_like(face)
    matrix, offset = yuv_to_rgb_matrix(frame.color)
    yuv = np.dstack([cv2.blur(cv2.resize(one, face.shape[::-1]), (5, 5)) for one in planes])
    rgb = np.maximum(cv2.transform(yuv, np.column_stack([matrix, offset]).astype(np.float32)), 1e-3)
    ratios = np.log(rgb[..., ::2] / rgb[..., 1:2])
    away = np.linalg.norm(ratios - ratios[face].mean(axis=0), axis=-1)
    return np.asarray(away < TONE)


def area_of(mask: Mask) -> Area:
    """A mask (H, W), H and W even, of luma and of those samples of chroma whose four pixels lie in it."""
    half = mask[::2, ::2] & mask[1::2, ::2] & mask[::2, 1::2] & mask[1::2, 1::2]
    if mask.sum() < LEAST or half.sum() < LEAST // 8:
        return None
    return mask.astype(np.uint8), half.astype(np.uint8)


def eroded(mask: Mask, edge: int = EDGE) -> Mask:
    """A mask (H, W) without what lies within ``edge`` pixels of its end; the picture's border is none."""
    kernel = np.ones((2 * edge + 1, 2 * edge + 1), np.uint8)
    return np.asarray(cv2.erode(mask.astype(np.uint8), kernel) > 0)


class RegionTraces:
    """Mean colours of a scene's regions, frame after frame, of one of its versions.

    A mean is carried on by the change of those pixels that are in the mask before and after: one that comes
    in or goes would change it by more than any pulse does.
    """

    def __init__(self) -> None:
        self._last: Frame | None = None
        self._levels = np.full((len(REGIONS), 3), np.nan)

    def read(self, frame: Frame, areas: Areas) -> Array64:
        """Mean R, G, B (5, 3), 0..1, a region a row; NaN where a region is smaller than `LEAST`."""
        means = np.stack([_mean(frame, area) for area in areas.now])
        levels = self._levels
        if self._last is not None:
            change = np.stack([_mean(frame, area) - _mean(self._last, area) for area in areas.kept])
            levels = levels + np.nan_to_num(change)
            levels = levels + PULL * np.nan_to_num(means - levels)
        self._levels = np.where(np.isnan(levels), means, levels)
        self._last = frame
        matrix, offset = yuv_to_rgb_matrix(frame.color)
        rgb = np.maximum(self._levels @ matrix.T + offset, 1e-3)
        return np.where(np.isnan(means), np.nan, rgb)


def _mean(frame: Frame, area: Area) -> Array64:
    """Mean Y, U, V (3,) of an area; NaN where there is none."""
    if area is None:
        return np.full(3, np.nan)
    planes = ((frame.y, area[0]), (frame.u, area[1]), (frame.v, area[1]))
    return np.array([cv2.mean(plane, mask)[0] for plane, mask in planes])


def even_traces(regions: Sequence[Array64], times: npt.ArrayLike, fps: float) -> Array64:
    """What `RegionTraces` read at ``times`` (seconds), on an even grid of ``fps``: (T', 5, 3).

    A frame without a region has the one before's; NaN throughout where the first or a tenth are without.
    """
    table = np.stack(regions)
    missing = np.isnan(table[:, :, 0])
    for t in range(1, len(table)):
        table[t, missing[t]] = table[t - 1, missing[t]]
    none = missing[0] | (missing.mean(axis=0) > 0.1)
    table[:, none] = 0.0
    even = resample(table.reshape(len(table), -1), times, fps).reshape(-1, *table.shape[1:])
    even[:, none] = np.nan
    return even
