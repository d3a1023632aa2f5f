"""A frame of any size brought to the output's size, with bars where the shapes differ.

This comes before the filter, never after: a resize would average the dither away, and with it the edit.
"""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

from streamfilter.frame import Frame, Plane

_BLACK, _NEUTRAL = 16, 128  # limited range


def fit(frame: Frame, width: int, height: int) -> Frame:
    """``frame`` scaled into ``width`` x ``height`` (even), centred on black; itself where it fits."""
    if (frame.width, frame.height) == (width, height):
        return frame
    scale = min(Fraction(width, frame.width), Fraction(height, frame.height))
    inner_width, inner_height = (max(2, 2 * round(side * scale / 2)) for side in (frame.width, frame.height))
    left, top = (width - inner_width) // 4 * 2, (height - inner_height) // 4 * 2
    return frame.with_planes(
        _placed(frame.y, (width, height), (inner_width, inner_height), (left, top), _BLACK),
        *(
            _placed(
                plane,
                (width // 2, height // 2),
                (inner_width // 2, inner_height // 2),
                (left // 2, top // 2),
                _NEUTRAL,
            )
            for plane in (frame.u, frame.v)
        ),
    )


def _placed(
    plane: Plane, size: tuple[int, int], inner: tuple[int, int], corner: tuple[int, int], bar: int
) -> Plane:
    shrinks = inner[0] < plane.shape[1]
    scaled = cv2.resize(plane, inner, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    canvas = np.full((size[1], size[0]), bar, np.uint8)
    canvas[corner[1] : corner[1] + inner[1], corner[0] : corner[0] + inner[0]] = scaled
    return canvas
