"""Causal building blocks with explicit state: a temporal convolution and a look-back attention.

Every block is ``forward(x, past) -> (y, next_past)`` and takes any number of frames: a whole clip in
training (parallel form) or one frame in a stream (step form), over the same parameters. Nothing is kept
on ``self`` between calls.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

State = dict[str, Tensor]


class CausalTemporalConv(nn.Module):
    """Depthwise convolution over time, looking back ``kernel - 1`` frames.

    ``x`` is (B, T, P, C); ``past`` is (B, kernel - 1, P, C), zeros before the stream starts.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.zeros(kernel, channels))
        nn.init.normal_(self.weight, std=1.0 / math.sqrt(kernel))

    def init_past(self, batch: int, positions: int) -> Tensor:
        return torch.zeros(batch, self.kernel - 1, positions, self.weight.shape[1])

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        frames = x.shape[1]
        window = torch.cat([past, x], dim=1)
        y = window[:, :frames] * self.weight[0]
        for tap in range(1, self.kernel):
            y = y + window[:, tap : tap + frames] * self.weight[tap]
        return y, window[:, frames:]


class CausalAttention(nn.Module):
    """Self-attention over time: each position looks back over its own last ``context`` frames.

    The keys and values of the past are graph state, the ring buffer of the paper's 128-frame window
    (PhysioLatent, section 3.2) kept inside the graph. ``x`` is (B, T, P, C); ``past`` is
    (B, context - 1, P, 2 C), oldest frame first; ``age`` (B, 1) counts its valid frames.
    """

    def __init__(self, channels: int, heads: int, context: int) -> None:
        super().__init__()
        self.heads = heads
        self.context = context
        self.channels = channels
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        # Distance in frames → bias, one row a head: where in the past to look, before content decides.
        self.distance_bias = nn.Parameter(torch.zeros(heads, context))

    def init_past(self, batch: int, positions: int) -> Tensor:
        return torch.zeros(batch, self.context - 1, positions, 2 * self.channels)

    def forward(self, x: Tensor, past: Tensor, age: Tensor) -> tuple[Tensor, Tensor]:
        batch, frames, positions, channels = x.shape
        queries, new = self.qkv(x).split([channels, 2 * channels], dim=-1)
        window = torch.cat([past, new], dim=1)
        keys, values = window.split(channels, dim=-1)
        scores = torch.einsum("btphc,bsphc->bphts", self._heads(queries), self._heads(keys))
        scores = scores / math.sqrt(channels // self.heads) + self._bias(frames)
        slot = torch.arange(window.shape[1], device=x.device)
        valid = slot[None, :] >= (self.context - 1) - age
        scores = scores.masked_fill(~valid[:, None, None, None, :], float("-inf"))
        mixed = torch.einsum("bphts,bsphc->btphc", scores.softmax(dim=-1), self._heads(values))
        return self.out(mixed.reshape(batch, frames, positions, channels)), window[:, frames:]

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, self.channels // self.heads))

    def _bias(self, frames: int) -> Tensor:
        """Bias by distance, minus infinity for the future and beyond the context: (heads, T, S)."""
        device = self.distance_bias.device
        query = torch.arange(frames, device=device)[:, None] + self.context - 1
        distance = query - torch.arange(frames + self.context - 1, device=device)[None, :]
        inside = (distance >= 0) & (distance < self.context)
        bias = self.distance_bias[:, distance.clamp(0, self.context - 1)]
        return bias.masked_fill(~inside, float("-inf"))


def grow_age(age: Tensor, frames: int, context: int) -> Tensor:
    """Valid frames in the look-back window after ``frames`` more: (B, 1), at most ``context - 1``."""
    return (age + frames).clamp(max=float(context - 1))
