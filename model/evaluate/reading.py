"""What anybody can read from frames: colour traces of the face, its patches and its cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from model.evaluate.clip import EvalClip
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.face.crop import CROP_SIZE, crop_planes
from streamfilter.frame import Frame
from streamfilter.rppg.filters import resample

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]

BLOCKS = 18  # the crop's 72 cells in blocks of 4
_PATCH_BLOCKS = 3  # a patch is 3 x 3 blocks
_FIRST_BLOCK = 3  # patches span the middle two thirds of the box
PATCHES = 4
_LEAST_SKIN = 0.25  # share of a patch that must be skin for it to be read


def block_sums(frame: Frame, clip: EvalClip, index: int) -> Array32:
    """(4, B, B) float32: R, G, B (0..1, unrounded) weighted by the skin and summed over blocks, and weights.

    The face's box and its skin are those of the clip's input: every editor is read in the same places.
    """
    return sums_of(frame, clip.boxes[index], clip.skin[index])


def sums_of(frame: Frame, box: Array64, skin: npt.NDArray[np.uint8]) -> Array32:
    """As `block_sums`, for a box (cx, cy, size) and a skin mask (S, S) of 255."""
    from streamfilter.face.box import FaceBox

    yuv = crop_planes(frame, FaceBox(*(float(v) for v in box)))
    matrix, offset = yuv_to_rgb_matrix(frame.color)
    rgb = (matrix @ yuv.reshape(3, -1) + offset[:, None]).reshape(3, CROP_SIZE, CROP_SIZE)
    weights = skin.astype(np.float64) / 255.0
    stacked = np.concatenate([rgb * weights, weights[None]])
    cells = CROP_SIZE // BLOCKS
    sums = stacked.reshape(4, BLOCKS, cells, BLOCKS, cells).sum(axis=(2, 4))
    return np.asarray(sums, np.float32)


def _means(sums: Array64) -> Array64:
    """(T, 4, ...) sums to (T, 3, ...) means; NaN where there is no skin: such a place is not to be read."""
    weights = sums[:, 3:]
    means = sums[:, :3] / np.where(weights > 0, weights, np.nan)
    return np.asarray(means)


def face_trace(blocks: Array32) -> Array64:
    """Mean R, G, B of the face's skin: (T, 4, B, B) to (T, 3); of frames with skin (`clip.read_range`)."""
    return _means(blocks.astype(np.float64).sum(axis=(2, 3)))


def patch_traces(blocks: Array32) -> list[Array64]:
    """Mean R, G, B (T, 3) of each patch of the 4 x 4 grid that is skin enough in every frame."""
    span = slice(_FIRST_BLOCK, _FIRST_BLOCK + PATCHES * _PATCH_BLOCKS)
    middle = blocks[:, :, span, span].astype(np.float64)
    patches = middle.reshape(len(blocks), 4, PATCHES, _PATCH_BLOCKS, PATCHES, _PATCH_BLOCKS).sum(axis=(3, 5))
    area = (_PATCH_BLOCKS * CROP_SIZE // BLOCKS) ** 2
    covered = patches[:, 3].min(axis=0) >= _LEAST_SKIN * area
    means = _means(patches)
    return [means[:, :, row, column] for row, column in zip(*np.nonzero(covered), strict=True)]


def block_traces(blocks: Array32) -> tuple[Array64, npt.NDArray[np.bool_]]:
    """Means (T, 3, B, B) and where skin is enough (B, B) to be read, in every frame."""
    values = blocks.astype(np.float64)
    covered = values[:, 3].min(axis=0) >= _LEAST_SKIN * (CROP_SIZE // BLOCKS) ** 2
    return _means(values), covered


def even(trace: Array64, times: Array64, fps: float) -> Array64:
    """A trace (T, C) or signal (T,) at capture times, on an even grid of ``fps`` Hz."""
    columns = trace if trace.ndim == 2 else trace[:, None]
    out = resample(columns, times, fps)
    return out if trace.ndim == 2 else out[:, 0]
