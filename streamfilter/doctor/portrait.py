"""A drawn moving face: the work that a real one makes for the filter, without a picture of anybody.

The detector finds it (score 0.94 at 1280 x 720).
"""

from __future__ import annotations

import math
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter.face.color import rgb_to_yuv_matrix
from streamfilter.frame import ColorSpec, Frame, Plane

DRAWN = 16  # frames, shown round and round
_SWAY = 6  # pixels that the scene sways to each side
_FACE = 0.42  # height of the face, brow to chin, over that of the picture
_CLOCK = 1_000_000  # ticks a second
_GRAIN = 24.0  # levels, before it is smoothed: what registration holds on to
Rgb = npt.NDArray[np.uint8]

_SKIN, _DARK, _LIPS = (196, 148, 122), (60, 45, 40), (158, 92, 88)


class DrawnScene:
    """``width`` x ``height`` pixels, ``fps`` frames a second, one face in the middle that sways."""

    def __init__(self, width: int, height: int, fps: float) -> None:
        self.width, self.height, self.fps = width, height, fps
        planes = _planes(_draw(width, height))
        noise = np.random.default_rng(1)
        self._planes = [_taken(planes, index, noise) for index in range(DRAWN)]

    def frame(self, index: int) -> Frame:
        """Frame ``index`` from 0 on; its capture time is ``index / fps``."""
        y, u, v = self._planes[index % DRAWN]
        pts = round(index * _CLOCK / self.fps)
        return Frame(y, u, v, pts, Fraction(1, _CLOCK), ColorSpec())


def _sway(index: int) -> int:
    # Even, so that the halved chroma planes move by whole pixels too.
    return 2 * round(_SWAY / 2 * math.sin(2 * math.pi * index / DRAWN))


def _taken(
    planes: tuple[tuple[Plane, int], ...], index: int, noise: np.random.Generator
) -> tuple[Plane, ...]:
    """The scene's planes in frame ``index``, with noise: a picture that stands is no work for the filter."""
    y, u, v = (_shifted(plane, index) for plane in planes)
    moved = noise.integers(-1, 2, y.shape, np.int8)
    return np.clip(y.astype(np.int16) + moved, 0, 255).astype(np.uint8), u, v


def _shifted(plane: tuple[Plane, int], index: int) -> Plane:
    pixels, scale = plane
    return np.roll(pixels, _sway(index) // scale, axis=1)


def _draw(width: int, height: int) -> Rgb:
    """(height, width, 3) uint8 RGB: a face of grainy skin before a grainy wall."""
    picture = np.full((height, width, 3), (118, 124, 130), np.uint8)
    tall, cx, cy = _FACE * height, width / 2, height / 2

    def ellipse(dx: float, dy: float, across: float, along: float, colour: tuple[int, int, int]) -> None:
        centre = (round(cx + dx * tall), round(cy + dy * tall))
        axes = (max(1, round(across * tall)), max(1, round(along * tall)))
        cv2.ellipse(picture, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    ellipse(0, 0, 0.52, 0.72, _SKIN)
    for side in (-1, 1):
        ellipse(side * 0.22, -0.16, 0.09, 0.05, _DARK)
        ellipse(side * 0.22, -0.30, 0.12, 0.025, _DARK)
    ellipse(0, 0.06, 0.06, 0.12, tuple(level - 14 for level in _SKIN))  # type: ignore[arg-type]
    ellipse(0, 0.32, 0.20, 0.05, _LIPS)
    noise = np.random.default_rng(0).normal(0, _GRAIN, (height, width)).astype(np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), 1.2)[..., None]
    grainy: Rgb = np.clip(picture + grain, 0, 255).astype(np.uint8)
    return grainy


def _planes(rgb: Rgb) -> tuple[tuple[Plane, int], ...]:
    """Luma and the halved chroma planes, each with the pixels of luma that one of its own spans."""
    matrix, offset = rgb_to_yuv_matrix(ColorSpec())
    yuv = cv2.transform(rgb.astype(np.float32) / 255, np.column_stack([matrix, offset]))
    levels = np.round(yuv).clip(0, 255).astype(np.uint8)
    height, width = rgb.shape[:2]
    half = ((width + 1) // 2, (height + 1) // 2)
    chroma = [
        cv2.resize(np.ascontiguousarray(levels[..., k]), half, interpolation=cv2.INTER_AREA) for k in (1, 2)
    ]
    return (
        (np.ascontiguousarray(levels[..., 0]), 1),
        (chroma[0].astype(np.uint8), 2),
        (chroma[1].astype(np.uint8), 2),
    )
