"""Training losses: exact labels of the stream setting, and the paper's (PhysioLatent, arXiv 2509.25348).

Pictures are R, G, B in 0..1; edits are relative changes: out = in * (1 + edit). Grids are the network's
18 x 18 cells unless said otherwise. Every loss is a mean, so that weights do not depend on sizes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from model.leak import masked_mean

PULSE_SCALE = 0.005  # a pulse's usual relative size: an edit that does nothing scores about 1
GREY_LEVELS = 255.0


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; 0 leaves it out (and uncomputed).

    ``under``: extra weight of the part of the error that leaves pulse behind. ``knee``: see
    ``exact_loss``. ``outside``: weight of an edit outside skin, within the skin term.
    ``curriculum_start``, ``curriculum_slope``: the paper's beta(t) = slope (t - start) from epoch
    ``start``; the frequency term is multiplied by it.
    """

    exact: float = 1.0
    under: float = 1.0
    knee: float = 1.0
    skin: float = 0.1
    outside: float = 0.5
    leak: float = 0.5
    cost: float = 0.02
    smooth: float = 0.0
    waveform: float = 0.0
    frequency: float = 0.0
    fidelity: float = 0.0
    perceptual: float = 0.0
    curriculum_start: float = 10.0
    curriculum_slope: float = 0.005


class Labels(NamedTuple):
    """The truth of a batch on the cells' grid: ``observed`` and ``pulse`` (B, T, 3, H, W), ``skin``
    (B, T, 1, H, W) 0..1. ``pulse`` is the true pulse's relative change: observed = pulse-free * (1 + pulse).
    """

    observed: Tensor
    pulse: Tensor
    skin: Tensor

    def target(self) -> Tensor:
        """The edit that takes the true pulse out."""
        return -self.pulse / (1.0 + self.pulse)

    def after(self, frames: int) -> Labels:
        """Without the first ``frames`` frames."""
        return Labels(*(part[:, frames:] for part in self))


def exact_loss(removal: Tensor, labels: Labels, under: float = 0.0, knee: float = 0.0) -> Tensor:
    """Squared error of ``removal`` over skin, in units of ``PULSE_SCALE``^2, plus ``under`` × the square of
    what it leaves of the pulse (the error's component along the true pulse's colour, where positive).

    ``knee`` > 0: beyond that many units the error counts linearly (pseudo-Huber). Slow drift that the
    front-end takes for pulse is several times larger than the pulse: squared, it would be all that counts;
    and what an error costs in an 8-bit picture is linear in it.
    """
    error = removal - labels.target()
    squared = (error**2).sum(2, keepdim=True)
    if under > 0.0:
        size = (labels.pulse**2).sum(2, keepdim=True).sqrt()
        left = (error * labels.pulse).sum(2, keepdim=True) / (size + 0.02 * PULSE_SCALE)
        squared = squared + under * functional.relu(left) ** 2
    scaled = squared / (3.0 * PULSE_SCALE**2)
    if knee > 0.0:
        scaled = 2.0 * knee**2 * (torch.sqrt(1.0 + scaled / knee**2) - 1.0)
    return masked_mean(scaled, labels.skin)


def skin_loss(skin_logit: Tensor, labels: Labels) -> Tensor:
    """Binary cross-entropy of the skin map against the share of skin of each cell."""
    return functional.binary_cross_entropy_with_logits(skin_logit, labels.skin)


def outside_loss(removal: Tensor, labels: Labels) -> Tensor:
    """Squared edit outside skin, in units of ``PULSE_SCALE``^2."""
    return ((removal**2) * (1.0 - labels.skin)).mean() / PULSE_SCALE**2


def cost_loss(removal: Tensor, labels: Labels) -> Tensor:
    """Mean |edit| over skin in grey levels: what unbiased 8-bit rounding of it costs in mean square error."""
    return masked_mean((removal.abs() * labels.observed).mean(2, keepdim=True) * GREY_LEVELS, labels.skin)


def smooth_loss(removal: Tensor) -> Tensor:
    """Mean squared second difference over time, in units of ``PULSE_SCALE``^2: flicker above the pulse band
    weighs up to 16, the band itself (below 3.5 Hz at 30 frames a second) under 0.3."""
    return (removal.diff(n=2, dim=1) ** 2).mean() / PULSE_SCALE**2


def mean_colour(picture: Tensor, skin: Tensor) -> Tensor:
    """Mean skin colour (B, T, 3) of ``picture`` (B, T, 3, H, W)."""
    return (picture * skin).flatten(3).sum(-1) / skin.flatten(3).sum(-1).clamp_min(1e-6)


def fidelity_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of pictures (the MSE half of the paper's L_F; LPIPS is in ``model.perceptual``)."""
    return functional.mse_loss(output, target)


def waveform_loss(wave: Tensor, wanted: Tensor) -> Tensor:
    """1 - Pearson correlation (the paper's L_wave) of ``wave`` and ``wanted`` (B, T); 0..2."""
    first = wave - wave.mean(1, keepdim=True)
    second = wanted - wanted.mean(1, keepdim=True)
    norm = ((first**2).sum(1) * (second**2).sum(1) + 1e-20).sqrt()
    return (1.0 - (first * second).sum(1) / norm).mean()


def rate_spectrum(wave: Tensor, fps: float, bpm: Tensor) -> Tensor:
    """Power of ``wave`` (B, T) at each of ``bpm`` (G,), normalised to sum 1: (B, G). Hann window."""
    frames = wave.shape[1]
    time = torch.arange(frames, dtype=wave.dtype, device=wave.device) / fps
    angle = 2.0 * math.pi * (bpm.to(wave)[:, None] / 60.0) * time
    window = torch.hann_window(frames, dtype=wave.dtype, device=wave.device)
    centred = (wave - wave.mean(1, keepdim=True)) * window
    power = (centred @ angle.cos().T) ** 2 + (centred @ angle.sin().T) ** 2
    return power / power.sum(1, keepdim=True).clamp_min(1e-20)


def frequency_loss(wave: Tensor, wanted_bpm: Tensor, fps: float) -> Tensor:
    """Cross-entropy (the paper's L_freq) between the spectrum of ``wave`` over 40..180 bpm and the wanted
    rate (B,), taken as a bell as wide as a window of this length can resolve."""
    bpm = torch.arange(40.0, 181.0, dtype=wave.dtype, device=wave.device)
    spectrum = rate_spectrum(wave, fps, bpm)
    width = 60.0 * fps / wave.shape[1] / 2.0
    wanted = torch.softmax(-0.5 * ((bpm - wanted_bpm[:, None]) / width) ** 2, dim=1)
    entropy = -(wanted * (wanted + 1e-12).log()).sum(1)
    return (-(wanted * (spectrum + 1e-8).log()).sum(1) - entropy).mean()


def curriculum(epoch: float, weights: LossWeights) -> float:
    """The paper's beta(t): 0 before ``curriculum_start``, then rising by ``curriculum_slope`` an epoch."""
    return max(0.0, weights.curriculum_slope * (epoch - weights.curriculum_start))
