"""Differentiable pulse estimators on skin colour traces: GREEN, CHROM and POS, for losses.

Each takes mean skin colours (B, T, 3) in R, G, B, any positive unit, evenly spaced at ``fps`` frames a
second, and returns a pulse wave (B, T) of relative unit. ``streamfilter.rppg`` holds the NumPy
estimators that measure; these ones are batched and carry gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Estimator = Callable[[Tensor, float], Tensor]

WINDOW_SECONDS = 1.6  # both papers' window at 20 to 30 frames a second
PULSE_BAND = (0.65, 4.0)  # Hz: 39 to 240 beats a minute
TINY = 1e-8


def green(rgb: Tensor, fps: float) -> Tensor:
    """Relative change of G about its running mean (Verkruysse et al. 2008)."""
    window = min(_odd(fps * WINDOW_SECONDS), _odd(rgb.shape[1] - 1))
    trace = rgb[..., 1]
    padded = functional.pad(trace[:, None], (window // 2, window // 2), mode="replicate")
    mean = functional.avg_pool1d(padded, window, stride=1)[:, 0]
    return trace / mean - 1.0


def pos(rgb: Tensor, fps: float) -> Tensor:
    """Plane orthogonal to skin (Wang et al. 2017, algorithm 1), overlap-added at every frame."""
    frames = rgb.shape[1]
    normal = _windows(rgb, fps, step=1)
    red, green_, blue = normal.unbind(2)
    first = green_ - blue
    second = green_ + blue - 2.0 * red
    wave = first + _ratio(first, second) * second
    return _overlap_add(wave - wave.mean(-1, keepdim=True), frames, step=1)


def chrom(rgb: Tensor, fps: float) -> Tensor:
    """Chrominance (de Haan and Jeanne 2013, equations 10 to 15), Hann windows with half overlap."""
    frames = rgb.shape[1]
    step = max(1, _length(frames, fps) // 2)
    rest = (frames - _length(frames, fps)) % step
    padded = functional.pad(rgb.transpose(1, 2), (0, (step - rest) % step), mode="replicate").transpose(1, 2)
    normal = _windows(padded, fps, step)
    red, green_, blue = normal.unbind(2)
    first = _band_pass(3.0 * red - 2.0 * green_, fps)
    second = _band_pass(1.5 * red + green_ - 1.5 * blue, fps)
    # The sign is turned, so that a beat that brightens green is positive, as in POS.
    wave = _ratio(first, second) * second - first
    hann = torch.hann_window(wave.shape[-1], dtype=wave.dtype, device=wave.device)
    return _overlap_add(wave * hann, padded.shape[1], step)[:, :frames]


def _odd(length: float) -> int:
    return max(1, int(length) // 2 * 2 + 1 if int(length) % 2 == 0 else int(length))


def _length(frames: int, fps: float) -> int:
    return min(frames, max(2, math.ceil(WINDOW_SECONDS * fps)))


def _windows(rgb: Tensor, fps: float, step: int) -> Tensor:
    """(B, T, 3) to (B, N, 3, W), each window divided by its own mean."""
    windows = rgb.unfold(1, _length(rgb.shape[1], fps), step)
    return windows / windows.mean(-1, keepdim=True).clamp_min(TINY)


def _ratio(first: Tensor, second: Tensor) -> Tensor:
    """Standard deviation of one wave over the other's; finite, with a finite gradient, at rest."""
    spread = (first.var(-1, correction=0) + TINY**2).sqrt() / (second.var(-1, correction=0) + TINY).sqrt()
    return spread[..., None]


def _band_pass(wave: Tensor, fps: float) -> Tensor:
    """Drops what is outside the pulse band, window by window."""
    frequency = torch.fft.rfftfreq(wave.shape[-1], 1.0 / fps, device=wave.device)
    keep = (frequency >= PULSE_BAND[0] - fps / wave.shape[-1] / 2) & (frequency <= PULSE_BAND[1])
    keep[0] = False
    kept: Tensor = torch.fft.irfft(torch.fft.rfft(wave) * keep, n=wave.shape[-1])
    return kept


def _overlap_add(waves: Tensor, frames: int, step: int) -> Tensor:
    """(B, N, W) windows, ``step`` frames apart, added up to (B, T)."""
    width = waves.shape[-1]
    folded = functional.fold(
        waves.transpose(1, 2), output_size=(1, frames), kernel_size=(1, width), stride=(1, step)
    )
    return folded[:, 0, 0]
