"""Spatio-temporal fusion of the latent with the prompt (PhysioLatent, section 3.2), over a whole window."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.fusion import AdaLN
from model.reference.settings import EditorSettings


class WindowBlock(nn.Module):
    """Spatial convolution, self-attention over time at each position, pointwise network; AdaLN before each.

    Attention goes both ways: the reference setting sees its whole window.
    """

    def __init__(self, channels: int, condition: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.space_norm = AdaLN(channels, condition)
        self.space = nn.Conv2d(channels, channels, 3, padding=1)
        self.time_norm = AdaLN(channels, condition)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.point_norm = AdaLN(channels, condition)
        self.point = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.SiLU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``x`` (B, t, h, w, C), ``condition`` (B, t, K) → as ``x``."""
        batch, steps, height, width, channels = x.shape
        x = x.reshape(batch, steps, height * width, channels)
        y, gate = self.space_norm(x, condition)
        planes = y.reshape(batch * steps, height, width, channels).permute(0, 3, 1, 2)
        x = x + gate * self.space(planes).permute(0, 2, 3, 1).reshape(x.shape)
        y, gate = self.time_norm(x, condition)
        x = x + gate * self._look(y)
        y, gate = self.point_norm(x, condition)
        x = x + gate * self.point(y)
        return x.reshape(batch, steps, height, width, channels)

    def _look(self, x: Tensor) -> Tensor:
        batch, steps, positions, channels = x.shape
        x = x + _positions(steps, channels).to(x)[:, None]
        qkv = self.qkv(x.transpose(1, 2))
        qkv = qkv.reshape(batch * positions, steps, 3, self.heads, channels // self.heads)
        queries, keys, values = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(queries, keys, values)
        mixed = mixed.transpose(1, 2).reshape(batch, positions, steps, channels).transpose(1, 2)
        y: Tensor = self.out(mixed)
        return y


def _positions(steps: int, channels: int) -> Tensor:
    """Sinusoidal positions (steps, channels), Vaswani et al. 2017, section 3.5."""
    rate = torch.exp(torch.arange(0, channels, 2) * (-math.log(1e4) / channels))
    angle = torch.arange(steps)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :channels]


class PlainBlock(nn.Module):
    """The ablation without AdaLN and attention: a residual (2+1)-D convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.space = nn.Conv3d(channels, channels, (1, 3, 3), padding=(0, 1, 1))
        self.time = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, x: Tensor, _condition: Tensor) -> Tensor:
        """``x`` (B, t, h, w, C) → as ``x``."""
        y = self.norm(x).permute(0, 4, 1, 2, 3)
        y = self.time(F.silu(self.space(y)))
        return x + y.permute(0, 2, 3, 4, 1)


class Fusion(nn.Module):
    """Latent (B, C, t, h, w) and condition (B, t, K), joined channel-wise, → edited latent.

    The output layer starts at zero: an untrained fusion leaves the latent as it is.
    """

    def __init__(self, channels: int, settings: EditorSettings) -> None:
        super().__init__()
        width, condition = settings.width, settings.condition
        self.join = nn.Linear(channels + condition, width)
        self.blocks = nn.ModuleList(
            WindowBlock(width, condition, settings.heads) if settings.adaln else PlainBlock(width)
            for _ in range(settings.blocks)
        )
        self.out = nn.Linear(width, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        z = latent.permute(0, 2, 3, 4, 1)
        spread = condition[:, :, None, None].expand(-1, -1, z.shape[2], z.shape[3], -1)
        x = self.join(torch.cat([z, spread], dim=-1))
        for block in self.blocks:
            x = block(x, condition)
        return latent + self.out(x).permute(0, 4, 1, 2, 3)
