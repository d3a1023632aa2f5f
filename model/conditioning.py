"""What the network is told: the wanted heart rate (frozen text embedding), the phase, the time step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from streamfilter.clock import HARMONICS


class Conditioner(nn.Module):
    """Text embedding, phase, strength and time step → one condition vector a frame (B, T, C)."""

    def __init__(self, text_dim: int, channels: int) -> None:
        super().__init__()
        self.text = nn.Linear(text_dim, channels)
        self.moment = nn.Linear(4, channels)
        self.mix = nn.Linear(channels, channels)

    def forward(self, text: Tensor, phase: Tensor, strength: Tensor, dt: Tensor) -> Tensor:
        """``text`` (B, D), ``phase`` (B, T, 2), ``strength`` (B, T, 1), ``dt`` (B, T, 1) seconds."""
        moment = torch.cat([phase, strength, dt * 30.0 - 1.0], dim=-1)
        hidden = nn.functional.silu(self.text(text)[:, None] + self.moment(moment))
        y: Tensor = self.mix(hidden)
        return y


def wanted_wave(phase: Tensor) -> Tensor:
    """Waveform of the wanted pulse from cos and sin of its phase: (B, T, 2) → (B, T, 1), about ±1.3.

    Harmonics come from the Chebyshev recurrence, so that the graph needs no angle.
    """
    cosine, sine = phase[..., :1], phase[..., 1:]
    wave = torch.zeros_like(cosine)
    ck, sk = cosine, sine
    for amplitude, lag in HARMONICS:
        angle = torch.tensor(lag, dtype=phase.dtype)
        wave = wave + amplitude * (ck * torch.cos(angle) + sk * torch.sin(angle))
        ck, sk = ck * cosine - sk * sine, sk * cosine + ck * sine
    return wave
