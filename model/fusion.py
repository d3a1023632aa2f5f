"""Spatio-temporal fusion with adaptive layer norm (PhysioLatent, section 3.2; AdaLN-zero as in DiT)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.causal import CausalAttention


class AdaLN(nn.Module):
    """Layer norm whose scale and shift come from the condition, with a gate for the branch it feeds.

    Starts as the identity with the branch closed (gate 0), so that an untrained block changes nothing.
    """

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.modulation = nn.Linear(condition, 3 * channels)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` (B, T, P, C), ``condition`` (B, T, K) → modulated x and gate (B, T, 1, C)."""
        scale, shift, gate = self.modulation(F.silu(condition)).unsqueeze(2).chunk(3, dim=-1)
        return self.norm(x) * (1.0 + scale) + shift, gate


class FusionBlock(nn.Module):
    """Attention over the face, then over the past of each region, then a pointwise network.

    The temporal attention looks back on the cells pooled by ``pool`` × ``pool``: keys and values are
    state that is copied at each step, and one row for each cell would cost more than the arithmetic.
    """

    def __init__(self, channels: int, condition: int, heads: int, context: int, grid: int, pool: int) -> None:
        super().__init__()
        self.grid, self.pool, self.heads = grid, pool, heads
        self.space_norm = AdaLN(channels, condition)
        self.space_qkv = nn.Linear(channels, 3 * channels)
        self.space_out = nn.Linear(channels, channels)
        self.time_norm = AdaLN(channels, condition)
        self.time = CausalAttention(channels, heads, context)
        self.point_norm = AdaLN(channels, condition)
        self.point = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.SiLU(), nn.Linear(2 * channels, channels)
        )

    def init_past(self, batch: int) -> Tensor:
        return self.time.init_past(batch, (self.grid // self.pool) ** 2)

    def forward(self, x: Tensor, condition: Tensor, past: Tensor, age: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` (B, T, P, C), ``past`` and ``age`` as in ``CausalAttention`` → y, next past."""
        y, gate = self.space_norm(x, condition)
        x = x + gate * self._space(y)
        y, gate = self.time_norm(x, condition)
        looked, next_past = self.time(self._regions(y), past, age)
        x = x + gate * self._spread(looked)
        y, gate = self.point_norm(x, condition)
        return x + gate * self.point(y), next_past

    def _space(self, x: Tensor) -> Tensor:
        batch, frames, positions, channels = x.shape
        qkv = self.space_qkv(x.flatten(0, 1)).view(-1, positions, 3, self.heads, channels // self.heads)
        queries, keys, values = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(queries, keys, values)
        y: Tensor = self.space_out(mixed.transpose(1, 2).reshape(batch, frames, positions, channels))
        return y

    def _regions(self, x: Tensor) -> Tensor:
        """Mean over each pool × pool block of cells: (B, T, P, C) → (B, T, P / pool², C)."""
        batch, frames, _, channels = x.shape
        side = self.grid // self.pool
        blocks = x.view(batch, frames, side, self.pool, side, self.pool, channels)
        return blocks.mean(dim=(3, 5)).flatten(2, 3)

    def _spread(self, x: Tensor) -> Tensor:
        """Each region's value for all of its cells, the inverse shape of ``_regions``."""
        batch, frames, _, channels = x.shape
        side = self.grid // self.pool
        blocks = x.view(batch, frames, side, 1, side, 1, channels)
        blocks = blocks.expand(-1, -1, -1, self.pool, -1, self.pool, -1)
        return torch.flatten(blocks, 4, 5).flatten(2, 3).flatten(2, 3)
