"""The serving graph's guided skin map: where the edit falls, as ``PhysioLatent._cover`` has it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from export.graph import GraphWriter
from model.physiolatent import COVER_FROM, COVER_FULL, GUIDE_EDGE, GUIDE_RADIUS, LUMA

Array = npt.NDArray[np.float32]


def cover(g: GraphWriter, crop: str, skin: str, line: Array) -> str:
    """How far each pixel is edited: (batch, 1, crop, crop). ``line`` enlarges ``skin`` (batch, 1, side, side)
    to it."""
    weighed = g("Mul", crop, np.array(LUMA, np.float32)[:, None, None])
    guide = g("ReduceSum", weighed, np.array([1]))
    known = g("MatMul", line, g("MatMul", skin, line.T))
    maps = g("Concat", guide, known, g("Mul", guide, known), g("Mul", guide, guide), axis=1)
    light, share, both, square = g.split(_boxed(g, maps), [1, 1, 1, 1], 1)
    apart = g("Sub", square, g("Mul", light, light))
    slope = g("Div", g("Sub", both, g("Mul", light, share)), g("Add", apart, GUIDE_EDGE))
    pair = g("Concat", slope, g("Sub", share, g("Mul", slope, light)), axis=1)
    slope, level = g.split(_boxed(g, pair), [1, 1], 1)
    fine = g("Add", g("Mul", slope, guide), level)
    steep = 1.0 / (COVER_FULL - COVER_FROM)
    return g("HardSigmoid", fine, alpha=steep, beta=-COVER_FROM * steep)  # a line, held to 0..1


def _boxed(g: GraphWriter, maps: str) -> str:
    """Poolings, not products with a matrix: these a device would round to float16, and variances too."""
    reach = GUIDE_RADIUS
    for size, pads in (([2 * reach + 1, 1], [reach, 0] * 2), ([1, 2 * reach + 1], [0, reach] * 2)):
        maps = g("AveragePool", maps, kernel_shape=size, strides=[1, 1], pads=pads, count_include_pad=0)
    return maps
