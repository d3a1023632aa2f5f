"""The exact label: p(t, x, c), the relative change of R, G, B that the pulse makes.

p(t, x, c) = skin(t, x) * direction(c) * sum_k field(t, k) * basis_k(x), with the ten cubic monomials of
the crop's coordinates as the basis. ``field`` carries strength, delay and waveform together:
A(u) * b(t) - D(u) * b'(t), where A and D are cubics in face coordinates u; u is affine in the crop's
coordinates x, and cubics are closed under affine maps, so that ten numbers a frame are exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model.data.process import Rng, Signal

if TYPE_CHECKING:
    import torch

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]

TERMS = 10
_MEAN_SQUARE = 2 * 0.8**2 / 3  # of the distance from the middle, over the square that ``smooth_map`` fills


def monomials(x: Array64, y: Array64) -> Array64:
    """The basis (..., 10): 1, x, y, x², xy, y², x³, x²y, xy², y³."""
    one = np.ones_like(x)
    return np.stack([one, x, y, x * x, x * y, y * y, x**3, x * x * y, x * y * y, y**3], axis=-1)


def crop_basis(size: int) -> Array32:
    """The basis at the centres of a crop's cells: (10, size, size), coordinates -1..1."""
    axis = (np.arange(size) + 0.5) / size * 2.0 - 1.0
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return np.ascontiguousarray(np.moveaxis(monomials(x, y), -1, 0), np.float32)


def smooth_map(rng: Rng) -> Array64:
    """A random smooth map over the face: cubic coefficients (10,), zero mean, at most 1 in magnitude."""
    axis = np.linspace(-0.8, 0.8, 9)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    basis = monomials(x, y)
    raw = rng.standard_normal(TERMS) * np.array([0, 1, 1.4, 0.8, 0.8, 1.2, 0.6, 0.6, 0.6, 0.6])
    raw[0] -= float((basis @ raw).mean())
    return np.asarray(raw / np.abs(basis @ raw).max())


def smooth_strength(
    rng: Rng, strength: float, uneven: float, delay: float, edge: float = 0.0
) -> tuple[Array64, Array64]:
    """Maps A and D (10,) over the face: the pulse's strength, and strength times delay (seconds).

    Strength differs by up to ``uneven`` (relative), delay by up to ``delay`` from end to end. From the
    face's middle outwards the strength falls by ``edge`` times the squared distance in half faces, its mean
    over the face kept.
    """
    mean = np.zeros(TERMS)
    mean[0] = 1.0 + edge * _MEAN_SQUARE
    mean[[3, 5]] = -edge  # x², y²
    return strength * (mean + uneven * smooth_map(rng)), strength * 0.5 * delay * smooth_map(rng)


def in_crop(coefficients: Array64, affine: Array64) -> Array64:
    """Cubics of face coordinates as cubics of the crop's.

    ``coefficients`` (10,); ``affine`` (T, 2, 3) takes crop coordinates (x, y, 1) to face coordinates.
    Returns (T, 10), exact.
    """
    axis = np.linspace(-1.0, 1.0, 5)
    gy, gx = np.meshgrid(axis, axis, indexing="ij")
    x, y = gx.ravel(), gy.ravel()
    u = affine[:, 0, 0:1] * x + affine[:, 0, 1:2] * y + affine[:, 0, 2:3]
    v = affine[:, 1, 0:1] * x + affine[:, 1, 1:2] * y + affine[:, 1, 2:3]
    values = monomials(u, v) @ coefficients
    return np.asarray(values @ np.linalg.pinv(monomials(x, y)).T)


def pulse_field(strength: Array64, delay: Array64, affine: Array64, bvp: Signal, slope: Signal) -> Array32:
    """``field`` (T, 10) of A(u) * bvp - D(u) * slope; ``strength`` and ``delay`` (10,) are A and D (s)."""
    field = in_crop(strength, affine) * bvp[:, None] - in_crop(delay, affine) * slope[:, None]
    return field.astype(np.float32)


def render_label(skin: npt.NDArray[np.uint8], field: Array32, direction: Array32) -> Array32:
    """p (T, H, W, 3) from the stored skin mask (T, H, W), field (T, 10) and direction (3,)."""
    size = skin.shape[-1]
    scalar = (field @ crop_basis(size).reshape(TERMS, -1)).reshape(-1, size, size)
    scalar *= skin.astype(np.float32) * np.float32(1.0 / 255.0)
    pulse = np.empty((*scalar.shape, 3), np.float32)
    for channel in range(3):
        np.multiply(scalar, direction[channel], out=pulse[..., channel])
    return pulse


def render_label_torch(skin: torch.Tensor, field: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """p (B, T, 3, H, W) of ``skin`` (B, T, 1, H, W) 0..1, ``field`` (B, T, 10), ``direction`` (B, 3)."""
    import torch as t

    size = skin.shape[-1]
    basis = t.from_numpy(crop_basis(size)).to(skin.device).reshape(TERMS, -1)
    scalar = (field @ basis).reshape(*field.shape[:2], 1, size, size) * skin
    return scalar * direction[:, None, :, None, None]
