"""From pictures to colour traces: a skin mask and means over it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamfilter.rppg.filters import Floats

Mask = npt.NDArray[np.bool_]
CB_RANGE = (77.0, 127.0)
CR_RANGE = (133.0, 173.0)
DARKEST = 20.0  # luma below which camera noise decides the chroma


def skin_mask(rgb: npt.NDArray[np.generic]) -> Mask:
    """Pixels of a picture (H, W, 3), R, G, B on 0..255, whose chroma is skin's: (H, W) bool.

    Chai & Ngan 1999, "Face segmentation using skin-color map in videophone applications": Cb in 77..127 and
    Cr in 133..173 (BT.601), for skin of every tone. Wood and sand match too: pass the face's box only.
    """
    _check_picture(rgb.shape)
    r, g, b = np.moveaxis(rgb.astype(np.float64), 2, 0)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    cb = 128.0 + (b - luma) * 0.564
    cr = 128.0 + (r - luma) * 0.713
    inside = (cb >= CB_RANGE[0]) & (cb <= CB_RANGE[1]) & (cr >= CR_RANGE[0]) & (cr <= CR_RANGE[1])
    out: Mask = inside & (luma >= DARKEST)
    return out


def mean_rgb(frame_rgb: npt.NDArray[np.generic], mask: npt.NDArray[np.generic]) -> Floats:
    """Mean R, G, B (3,) of a picture (H, W, 3) over ``mask`` (H, W), bool or weights of 0 or more.

    Raises ValueError where shapes do not fit or the mask is empty: a frame without skin has no sample.
    """
    _check_picture(frame_rgb.shape, mask.shape)
    weights = mask.astype(np.float64)
    total = float(weights.sum())
    if not total > 0:
        raise ValueError("the mask holds no skin: leave this frame out of the trace")
    mean: Floats = np.einsum("hwc,hw->c", frame_rgb.astype(np.float64), weights) / total
    return mean


def patch_means(
    rgb: npt.NDArray[np.generic], mask: npt.NDArray[np.generic], grid: tuple[int, int] = (4, 4)
) -> Floats:
    """Mean R, G, B of each patch of a picture (H, W, 3): (P, 3), P = rows x columns of ``grid``, row by row.

    Only pixels of ``mask`` (H, W), bool or weights of 0 or more, count. A patch without any is NaN, so that P
    and the order stay the same from frame to frame. Raises ValueError where shapes do not fit.
    """
    _check_picture(rgb.shape, mask.shape)
    rows, columns = grid
    height, width = mask.shape
    if not (1 <= rows <= height and 1 <= columns <= width):
        raise ValueError(
            f"a grid of {grid} does not fit a picture of {(height, width)}: give 1 patch a pixel at most"
        )
    weights = mask.astype(np.float64)
    stacked = np.concatenate([rgb.astype(np.float64) * weights[:, :, None], weights[:, :, None]], axis=2)
    tops = np.arange(rows) * height // rows
    lefts = np.arange(columns) * width // columns
    sums = np.add.reduceat(np.add.reduceat(stacked, tops, axis=0), lefts, axis=1).reshape(-1, 4)
    total = sums[:, 3:]
    means: Floats = np.where(total > 0, sums[:, :3] / np.where(total > 0, total, 1.0), np.nan)
    return means


def _check_picture(shape: tuple[int, ...], mask: tuple[int, ...] | None = None) -> None:
    if len(shape) != 3 or shape[2] != 3:
        raise ValueError(f"the picture has shape {shape}: give (H, W, 3)")
    if mask is not None and mask != shape[:2]:
        raise ValueError(f"the mask has shape {mask}, the picture {shape}: give one value a pixel")
