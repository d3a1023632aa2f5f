"""What training asks of the network: random heart rates with natural variability, from any phase."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from model.conditioning import wanted_wave
from model.configuration import ConditionSettings


class Wanted(NamedTuple):
    """Network inputs of a batch, and the wave that they ask for.

    ``text`` (B, D), ``phase`` (B, T, 2), ``strength`` (B, T, 1), ``masking`` (B, T, 3, 3, 3) zeros; ``bpm``
    (B,) mean wanted rate; ``wave`` (B, T).
    """

    text: Tensor
    phase: Tensor
    strength: Tensor
    masking: Tensor
    bpm: Tensor
    wave: Tensor


def draw_wanted(
    embedding: Tensor, bpm: Tensor, dt: Tensor, settings: ConditionSettings, generator: torch.Generator
) -> Wanted:
    """Random wishes for clips of time steps ``dt`` (B, T, 1) seconds.

    ``embedding`` (G, D) and ``bpm`` (G,) are the conditioning table; everything random comes from
    ``generator`` (on the CPU). The rate swings with the breath (0.2 to 0.35 Hz) and drifts slowly, by at
    most ``settings.variability`` in all.
    """
    batch, frames = dt.shape[:2]

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(batch, 1, generator=generator)

    mean = uniform(settings.low, settings.high)
    breath = uniform(0.2, 0.35), uniform(0.0, 2 * math.pi), uniform(0.0, 0.6)
    drift = uniform(0.02, 0.1), uniform(0.0, 2 * math.pi), uniform(0.0, 0.4)
    start = uniform(0.0, 2 * math.pi)
    shown = (uniform(0.0, 1.0) >= settings.rest).float()
    step = dt[..., 0].cpu()
    time = step.cumsum(1)
    swing = sum(
        depth * torch.sin(2 * math.pi * rate * time + offset) for rate, offset, depth in (breath, drift)
    )
    rate = mean / 60.0 * (1.0 + settings.variability * swing)
    angle = start + 2 * math.pi * (rate * step).cumsum(1)
    phase = torch.stack([angle.cos(), angle.sin()], dim=-1).to(dt)
    strength = shown[:, :, None].expand(batch, frames, 1).to(dt)
    rates = (rate * step).sum(1) / step.sum(1) * 60.0
    row = (mean - bpm.cpu().float()).abs().argmin(1)
    wave = wanted_wave(phase)[..., 0] * strength[..., 0]
    masking = torch.zeros(batch, frames, 3, 3, 3, device=dt.device)
    return Wanted(embedding[row.to(embedding.device)], phase, strength, masking, rates.to(dt), wave)
