"""FiLM decoder (Perez et al. 2018): latent → how to mix the estimates, and where the skin is."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.encoder import PositionNorm

MIX = 2 * 9 + 1  # colour matrices of the near and wide estimate, and a pooling logit

RESIDUAL = 3  # planes of the fine output that hold the residual; the skin logit follows


class FiLM(nn.Module):
    """Feature-wise linear modulation of a channels-first map by the condition; starts as the identity."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(condition, 2 * channels)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
        return x * (1.0 + scale) + shift


class FilmDecoder(nn.Module):
    """Latent (B, T, P, C) → colour mixing for each cell, and at twice the grid a residual and skin logit.

    All output layers start at zero: the untrained decoder leaves the front-end's estimate as it is.
    """

    def __init__(self, channels: int, width: int, condition: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.mix = nn.Linear(channels, MIX)
        self.up = nn.Conv2d(channels, width, 1)
        self.film_in = FiLM(width, condition)
        self.spatial = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = PositionNorm(width)
        self.film_out = FiLM(width, condition)
        self.point = nn.Conv2d(width, width, 1)
        self.out = nn.Conv2d(width, RESIDUAL + 1, 1)
        for layer in (self.mix, self.out):
            nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    @torch.no_grad()
    def scale_residual(self, factor: float) -> None:
        """Multiply the residual, what the network adds of its own, by ``factor``; the skin map stays."""
        self.out.weight[:RESIDUAL] *= factor
        if self.out.bias is not None:
            self.out.bias[:RESIDUAL] *= factor

    def forward(self, z: Tensor, fine: Tensor, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``fine`` (B·T, width, 2 grid, 2 grid) from the encoder → mix (B, T, P, MIX), residual
        (B, T, 3, 2 grid, 2 grid), skin logit (B, T, 1, 2 grid, 2 grid)."""
        batch, frames = z.shape[:2]
        moment = condition.flatten(0, 1)
        planes = z.flatten(0, 1).transpose(1, 2).unflatten(2, (self.grid, self.grid))
        up = F.interpolate(self.up(planes), scale_factor=2.0, mode="nearest")
        y = self.film_in(up + fine, moment)
        y = y + F.silu(self.film_out(self.norm(self.spatial(y)), moment))
        out = self.out(F.silu(self.point(y))).unflatten(0, (batch, frames))
        residual, skin = torch.split(out, [RESIDUAL, 1], dim=2)
        return self.mix(z), residual, skin
