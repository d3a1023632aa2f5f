"""Causal encoder of the stream setting: 8× smaller in space, one latent a frame in time (no look-ahead)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.causal import CausalTemporalConv
from model.frontend import FEATURES

CELL = 4  # pixels of the crop on a side of the cells whose colour the front-end follows
PATCH = 8  # and on a side of the latent's positions


class PositionNorm(nn.Module):
    """Normalises the channels of each position by itself (channels-first); a norm over time cannot stream."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x.movedim(1, -1))
        return y.movedim(-1, 1)


class CausalEncoder(nn.Module):
    """Crop and front-end features → latent (B, T, P, C) on the grid of cells.

    Space is seen by two strided convolutions (what is skin, where is the face), time by a causal
    depthwise convolution (what moves). The colour itself arrives unnormalised from the front-end:
    a pulse is less than 1 % of a pixel and would drown in a norm over the picture.
    """

    def __init__(self, channels: int, width: int, kernel: int) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, stride=4)
        self.patch_norm = PositionNorm(width)
        self.down = nn.Conv2d(width, channels, 3, stride=2, padding=1)
        self.signals = nn.Linear(FEATURES, channels)
        self.join = nn.Linear(2 * channels, channels)
        self.time = CausalTemporalConv(channels, kernel)
        self.mix = nn.Linear(channels, channels)

    def init_past(self, batch: int, positions: int) -> Tensor:
        return self.time.init_past(batch, positions)

    def forward(self, crop: Tensor, features: Tensor, past: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``crop`` (B, T, 3, S, S), ``features`` (B, T, (S / 4)², FEATURES) → latent, finer skip
        (B·T, width, S / 4, S / 4) for the decoder, next past."""
        batch, frames = crop.shape[:2]
        fine = F.silu(self.patch_norm(self.patch(crop.flatten(0, 1) * 2.0 - 1.0)))
        coarse = self.down(fine).flatten(2).transpose(1, 2).unflatten(0, (batch, frames))
        z = self.join(F.silu(torch.cat([coarse, self.signals(_halved(features))], dim=-1)))
        moved, next_past = self.time(F.silu(z), past)
        return z + self.mix(F.silu(moved)), fine, next_past


def cell_means(crop: Tensor) -> Tensor:
    """Mean colour of each cell: (B, T, 3, S, S) → (B, T, P, 3), P = (S / 4)² in row order."""
    batch, frames = crop.shape[:2]
    pooled = F.avg_pool2d(crop.flatten(0, 1), CELL)
    return pooled.flatten(2).transpose(1, 2).unflatten(0, (batch, frames))


def _halved(features: Tensor) -> Tensor:
    """Mean over 2 × 2 cells: (B, T, (2 g)², F) → (B, T, g², F)."""
    batch, frames, cells, channels = features.shape
    side = math.isqrt(cells) // 2
    blocks = features.view(batch, frames, side, 2, side, 2, channels)
    return blocks.mean(dim=(3, 5)).flatten(2, 3)
