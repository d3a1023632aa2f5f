from __future__ import annotations

import numpy as np
import pytest

from streamfilter.face.color import rgb_to_yuv_matrix, yuv_to_rgb_matrix
from streamfilter.frame import ColorSpec

SPECS = [ColorSpec("bt601"), ColorSpec("bt601", True), ColorSpec("bt709"), ColorSpec("bt709", True)]


@pytest.mark.parametrize("color", SPECS)
def test_there_and_back_is_exact(color: ColorSpec) -> None:
    rgb = np.random.default_rng(1).uniform(0, 1, (3, 100))
    forward, at_black = rgb_to_yuv_matrix(color)
    back, offset = yuv_to_rgb_matrix(color)
    yuv = forward @ rgb + at_black[:, None]
    np.testing.assert_allclose(back @ yuv + offset[:, None], rgb, atol=1e-12)


@pytest.mark.parametrize("color", SPECS)
def test_grey_has_no_chroma_and_luma_spans_the_range(color: ColorSpec) -> None:
    matrix, offset = rgb_to_yuv_matrix(color)
    low, high = (0, 255) if color.full_range else (16, 235)
    np.testing.assert_allclose(offset, (low, 128, 128))
    np.testing.assert_allclose(matrix @ np.ones(3) + offset, (high, 128, 128), atol=1e-9)


@pytest.mark.parametrize(
    ("color", "rgb", "yuv"),
    [  # the 100 % colour bars of the two recommendations, 8 bit
        (ColorSpec("bt601"), (1, 0, 0), (81, 90, 240)),
        (ColorSpec("bt601"), (0, 0, 1), (41, 240, 110)),
        (ColorSpec("bt709"), (1, 0, 0), (63, 102, 240)),
        (ColorSpec("bt709"), (0, 1, 0), (173, 42, 26)),
        (ColorSpec("bt601", full_range=True), (0, 0, 1), (29, 255.5, 107)),
    ],
)
def test_colour_bars(color: ColorSpec, rgb: tuple[float, ...], yuv: tuple[float, ...]) -> None:
    matrix, offset = rgb_to_yuv_matrix(color)
    np.testing.assert_allclose(matrix @ np.array(rgb) + offset, yuv, atol=0.51)


def test_shared_matrices_cannot_be_changed() -> None:
    matrix, _ = rgb_to_yuv_matrix(ColorSpec())
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 0
