"""Y, U, V and R, G, B of one picture: the matrices of ITU-R BT.601-7 (section 2.5) and BT.709-6 (section 3).

Both follow from the luma weights of red and blue, Kr and Kb:
Y = Kr R + (1 - Kr - Kb) G + Kb B,  U = (B - Y) / (2 (1 - Kb)),  V = (R - Y) / (2 (1 - Kr)).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from streamfilter.frame import ColorSpec

Matrix3 = npt.NDArray[np.float64]
Vector3 = npt.NDArray[np.float64]

_LUMA_WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}


@cache
def rgb_to_yuv_matrix(color: ColorSpec) -> tuple[Matrix3, Vector3]:
    """``(matrix (3, 3), offset (3,))``, float64, read-only, such that YUV = matrix @ RGB + offset.

    Y, U, V are in 8-bit levels, R, G, B in 0..1. Limited range: Y spans 16..235, U and V 16..240
    around 128. Full range: 0..255 around 128 (JFIF).
    """
    kr, kb = _LUMA_WEIGHTS[color.matrix]
    y = np.array([kr, 1.0 - kr - kb, kb])
    u = (np.array([0.0, 0.0, 1.0]) - y) / (2.0 * (1.0 - kb))
    v = (np.array([1.0, 0.0, 0.0]) - y) / (2.0 * (1.0 - kr))
    span_y, span_c, black = (255.0, 255.0, 0.0) if color.full_range else (219.0, 224.0, 16.0)
    matrix = np.stack([span_y * y, span_c * u, span_c * v])
    return _frozen(matrix), _frozen(np.array([black, 128.0, 128.0]))


@cache
def yuv_to_rgb_matrix(color: ColorSpec) -> tuple[Matrix3, Vector3]:
    """The inverse, in the same units: RGB = matrix @ YUV + offset; (3, 3) and (3,), float64, read-only."""
    forward, offset = rgb_to_yuv_matrix(color)
    inverse = np.linalg.inv(forward).astype(np.float64)
    return _frozen(inverse), _frozen(-inverse @ offset)


def _frozen(array: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    array.setflags(write=False)
    return array
