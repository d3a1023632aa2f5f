"""Scenes with a real face at a known place: scikit-image's public-domain portrait, moved and scaled."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
import skimage.data

from streamfilter.face.color import rgb_to_yuv_matrix
from streamfilter.face.detect import Detection
from streamfilter.frame import ColorSpec, Frame

FACE_CENTRE = (223.0, 127.0)  # of the portrait's 512 x 512 pixels, fringe to chin, by eye
FACE_HEIGHT = 104.0
_SPAN = 200.0  # side of the part of the portrait that is shown
Place = tuple[float, float, float]  # centre x, centre y, face height, in pixels of the scene


@cache
def portrait() -> npt.NDArray[np.uint8]:
    """(512, 512, 3) uint8 RGB."""
    picture: npt.NDArray[np.uint8] = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    return picture


def scene(places: Sequence[Place], width: int = 640, height: int = 360) -> npt.NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB: the face at each place, to 1/32 of a pixel, on soft grey."""
    shade = np.linspace(90, 150, width, dtype=np.float32)[None, :, None]
    picture = np.broadcast_to(shade, (height, width, 3)).astype(np.uint8).copy()
    for cx, cy, tall in places:
        zoom = tall / FACE_HEIGHT
        affine = np.array([[zoom, 0, cx - zoom * FACE_CENTRE[0]], [0, zoom, cy - zoom * FACE_CENTRE[1]]])
        moved = cv2.warpAffine(portrait(), affine, (width, height), flags=cv2.INTER_LINEAR)
        half = _SPAN / 2 * zoom
        x, y = np.arange(width) + 0.5 - cx, np.arange(height) + 0.5 - cy
        shown = (np.abs(x)[None, :] < half) & (np.abs(y)[:, None] < half)
        inside = cv2.warpAffine(np.ones((512, 512), np.uint8), affine, (width, height)) > 0
        picture[shown & inside] = moved[shown & inside]
    return picture


def frame_of(rgb: npt.NDArray[np.uint8], seconds: float = 0.0, color: ColorSpec = ColorSpec()) -> Frame:  # noqa: B008
    """The picture as planes; chroma is the mean of two by two pixels."""
    matrix, offset = rgb_to_yuv_matrix(color)
    yuv = rgb.astype(np.float64) / 255 @ matrix.T + offset
    height, width = rgb.shape[:2]
    even = np.pad(yuv, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    chroma = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, 3).mean(axis=(1, 3))
    y, u, v = (
        np.round(plane).clip(0, 255).astype(np.uint8)
        for plane in (yuv[..., 0], chroma[..., 1], chroma[..., 2])
    )
    return Frame(y, u, v, round(seconds * 1_000_000), Fraction(1, 1_000_000), color)


def luma_of(rgb: npt.NDArray[np.uint8], noise: float = 0.0, seed: int = 0) -> npt.NDArray[np.uint8]:
    """The luma plane, with sensor noise of this standard deviation (levels)."""
    luma = rgb.astype(np.float64) @ (0.299, 0.587, 0.114)
    luma += np.random.default_rng(seed).normal(0, noise, luma.shape) if noise else 0.0
    return np.round(luma).clip(0, 255).astype(np.uint8)


def detection_at(place: Place, score: float = 0.9) -> Detection:
    """What a perfect detector says of a face at this place."""
    cx, cy, tall = place
    return Detection((cx - tall / 2, cy - tall / 2, tall, tall), score, ((cx, cy),) * 6)
