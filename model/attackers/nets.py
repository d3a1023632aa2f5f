"""Networks that read a hidden heart rate: one from traces in time, one from spectra. Both small.

Both give a distribution over `features.GRID_BPM`; its median is the answer that costs the least absolute
error, so that a network that finds nothing answers as the best constant does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.attackers.features import GRID_BPM, fourier

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]

_BLUR_BPM = 2.0  # of the label
_STRETCH = 0.15  # a clip played up to this much slower or faster is another clip with another rate


@dataclass(frozen=True)
class Fit:
    """How a network is trained: ``steps`` of ``batch`` clips, learning rate, weight decay, seed."""

    steps: int = 300
    batch: int = 16
    rate: float = 3e-3
    decay: float = 3e-2
    seed: int = 0


class WaveNet(nn.Module):
    """(B, T, 81, 3) to logits (B, F): learned weights of colours and cells, filters over time, a pulse wave
    from what is left, and its spectrum (after PhysNet: Yu, Li & Zhao, BMVC 2019)."""

    lines: Tensor

    def __init__(self, length: int, cells: int = 81, width: int = 8) -> None:
        super().__init__()
        self.mix = nn.Parameter(0.5 * torch.randn(width, 3))
        self.cells = nn.Parameter(torch.zeros(width, cells))
        self.early = nn.Conv1d(width, width, 9, padding=4)
        self.late = nn.Conv1d(width, 2, 9, padding=4)
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.prior = nn.Parameter(torch.zeros(len(GRID_BPM)))
        waves = fourier(length, GRID_BPM)
        lines = np.concatenate([waves.real, waves.imag])
        self.register_buffer("lines", torch.tensor(lines, dtype=torch.float32), persistent=False)

    def forward(self, traces: Tensor) -> Tensor:
        weights = self.cells.softmax(dim=1)[:, :, None] * self.mix[:, None, :]
        pooled = torch.einsum("bti,wi->bwt", traces.flatten(2), weights.flatten(1))
        waves = self.late(functional.gelu(self.early(pooled))) + pooled[:, :2]
        spectrum = torch.einsum("ft,bct->bcf", self.lines, waves)
        half = len(GRID_BPM)
        power = (spectrum[..., :half] ** 2 + spectrum[..., half:] ** 2).sum(dim=1)
        return self.scale * torch.log(power / power.mean(dim=1, keepdim=True) + 0.03) + self.prior


class SpectrumNet(nn.Module):
    """(B, C, F) to logits (B, F): what makes a rate look true is the same at every rate."""

    def __init__(self, channels: int, width: int = 12) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(channels, width, 5, padding=2),
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Conv1d(width, 1, 5, padding=2),
        )
        self.prior = nn.Parameter(torch.zeros(len(GRID_BPM)))

    def forward(self, spectra: Tensor) -> Tensor:
        logits: Tensor = self.body(spectra)[:, 0] + self.prior
        return logits


def train(net: nn.Module, inputs: Array32, rates: Array64, fit: Fit, stretch: bool) -> None:
    """Fits ``net`` to ``inputs`` (N, ...) and true ``rates`` (N,) in bpm, by cross-entropy.

    ``stretch``: inputs are traces (N, T, ...) in time, which may be played at another speed.
    """
    generator = torch.Generator().manual_seed(fit.seed)
    given, true = torch.tensor(inputs), torch.tensor(rates, dtype=torch.float32)
    optimiser = torch.optim.AdamW(net.parameters(), lr=fit.rate, weight_decay=fit.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, fit.rate, total_steps=fit.steps)
    net.train()
    for _ in range(fit.steps):
        chosen = torch.randint(len(given), (fit.batch,), generator=generator)
        clips, labels = given[chosen], true[chosen]
        if stretch:
            clips, labels = _played(clips, labels, generator)
        loss = functional.cross_entropy(net(clips), _label(labels))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def _played(clips: Tensor, rates: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clips (B, T, P, 3) played slower or faster, flipped left to right, and their rates."""
    factor = 1.0 + _STRETCH * (2.0 * float(torch.rand(1, generator=generator)) - 1.0)
    inside = (rates * factor > float(GRID_BPM[3])) & (rates * factor < float(GRID_BPM[-3]))
    length = clips.shape[1]
    if bool(inside.all()):
        flat = clips.flatten(2).transpose(1, 2)
        other = functional.interpolate(flat, scale_factor=1.0 / factor, mode="linear")
        other = functional.pad(other, (0, max(0, length - other.shape[-1])))[..., :length]
        clips, rates = other.transpose(1, 2).reshape(clips.shape), rates * factor
    if float(torch.rand(1, generator=generator)) < 0.5:
        side = round(clips.shape[2] ** 0.5)
        clips = clips.reshape(*clips.shape[:2], side, side, 3).flip(3).reshape(clips.shape)
    return clips, rates


def _label(rates: Tensor) -> Tensor:
    """A soft label (B, F) around each rate."""
    grid = torch.tensor(GRID_BPM, dtype=torch.float32)
    weights = torch.exp(-0.5 * ((grid - rates[:, None]) / _BLUR_BPM) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)


def answer(net: nn.Module, inputs: Array32) -> Array64:
    """The median (N,) of the distribution over rates, bpm."""
    net.eval()
    with torch.no_grad():
        shares = torch.cat([net(part).softmax(dim=1) for part in torch.tensor(inputs).split(32)])
    below = shares.cumsum(dim=1).numpy()
    return np.array([float(np.interp(0.5, row, GRID_BPM + 0.5)) for row in below])
