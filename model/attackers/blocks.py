"""What moves by steps and what moves smoothly: a codec's blocks beneath the filter's edit.

A codec leaves most 8 x 8 blocks of a still face as they were and moves a few by a step, which together make
the pulse. The edit moves every block, by about as much. So what most blocks do from one frame to the next is
the edit's own step, and what the mean of all does more than that is the camera's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BLOCK = 8  # samples a side: the transform of MJPEG and the smallest choice of many encoders
TRIM = 0.2  # share of the blocks at either end that "trimmed" leaves out
WAYS = ("median", "trimmed", "mode")


def block_means(plane: npt.NDArray[np.uint8]) -> Floats:
    """Means (B,) of the 8 x 8 blocks of a region (H, W) that lies on the codec's grid, in grey levels.

    Raises ValueError where the region is not made of whole blocks.
    """
    rows, columns = plane.shape
    if rows % BLOCK or columns % BLOCK:
        raise ValueError(f"a region of {rows} x {columns} is not made of blocks of {BLOCK} x {BLOCK}")
    tiles = plane.reshape(rows // BLOCK, BLOCK, columns // BLOCK, BLOCK)
    return np.asarray(tiles.mean(axis=(1, 3), dtype=np.float64).ravel())


def standing_share(means: Floats) -> float:
    """Share of the blocks (T, B) whose mean is that of the frame before."""
    return float((np.diff(means, axis=0) == 0.0).mean())


def common_steps(means: Floats) -> dict[str, Floats]:
    """What most of the blocks (T, B) do from frame to frame, in each of the ``WAYS``: (T - 1,) each."""
    steps = np.sort(np.diff(means, axis=0), axis=1)
    out = int(TRIM * steps.shape[1])
    return {
        "median": np.asarray(np.median(steps, axis=1)),
        "trimmed": np.asarray(steps[:, out : steps.shape[1] - out].mean(axis=1)),
        "mode": half_sample_mode(steps),
    }


def without_edit(means: Floats) -> dict[str, Floats]:
    """The blocks' mean (T,) less what most of them do, in each of the ``WAYS``: the camera's own change."""
    mean = np.diff(means.mean(axis=1))
    return {way: np.concatenate([[0.0], np.cumsum(mean - step)]) for way, step in common_steps(means).items()}


def half_sample_mode(rows: Floats) -> Floats:
    """The mode (T,) of each sorted row (T, B): the densest half, again and again (Bickel & Fruehwirth,
    Computational Statistics & Data Analysis 50, 2006, section 2.1)."""
    while rows.shape[1] > 3:
        half = (rows.shape[1] + 1) // 2
        width = rows[:, half - 1 :] - rows[:, : rows.shape[1] - half + 1]
        start = width.argmin(axis=1)
        rows = np.take_along_axis(rows, start[:, None] + np.arange(half), axis=1)
    return np.asarray(rows.mean(axis=1))
