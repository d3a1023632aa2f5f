"""The front-end: a fixed causal band-stop on the colour of each cell, a first estimate of the true pulse.

It has no learned parameter. The in-band part of a cell's log colour is what a causal band-stop takes
away: ``estimate = x - bandstop(x)``. Subtracting it removes a pulse with no delay, by 27 dB or more.

More would not come for free. A causal filter that takes out a band turns the phase of what lies below it
(Bode 1945): slow light is moved, and each decibel of depth moves it further. A second pass of the filter, to
54 dB, left as much of the pulse to be found, since the network's estimate is not that exact, and cost a
decibel of the picture (docs/training.md, docs/evaluation/fidelity.md).

Filter: Chebyshev II band-stop of order 3 as three biquads in zero-delay-feedback state-variable form
(Zavalishin, *The Art of VA Filter Design*, chapters 4 and 5): its coefficients follow each frame's
own time step, so that 15, 24, 30 and 60 frames a second and jitter need no resampling.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from streamfilter.band_stop import LEAK_SECONDS, MAX_POLE, SECTIONS

# Rows: luma, then two colour differences orthogonal to it (the plane in which POS and CHROM look).
OPPONENT = (
    (1 / math.sqrt(3), 1 / math.sqrt(3), 1 / math.sqrt(3)),
    (0.0, 1 / math.sqrt(2), -1 / math.sqrt(2)),
    (-2 / math.sqrt(6), 1 / math.sqrt(6), 1 / math.sqrt(6)),
)
# Fastest change of log colour that is followed, in 1/s (luma, colour, colour): a codec's steps stay below
# (at 0.5 a fifth of the chroma pulse of compressed footage was lost), what goes beyond is motion or light,
# and is taken as a step that the band-stop does not chase. BRISK is the scale of the change as a feature.
SLEW = (2.0, 2.0, 2.0)
BRISK = (0.8, 0.5, 0.5)
BLACK = 0.004  # added before the logarithm: one grey level, keeps dark cells finite

# Bring a pulse of 0.5 % to about unit scale in each feature (by colour; by inner value of the sections).
FEATURE_SCALE = (100.0, 300.0, 300.0)
INNER_SCALE = (1.0, 3.0, 3.0, 3.0, 10.0, 3.0)
FEATURES = 3 + 3 + 6 * len(SECTIONS)  # estimate, change, band and low of each section, 3 colours


class Signals(NamedTuple):
    """``estimate`` (B, T, P, 3): in-band part of the log colour, opponent basis. ``features``
    (B, T, P, FEATURES): the estimate, the clipped change and the filters' states, about unit scale."""

    estimate: Tensor
    features: Tensor


class FrontEnd(nn.Module):
    """Robust causal band-stop. State: (B, P, 3, 3 + 6) numbers a cell, see ``init_past``."""

    opponent: Tensor
    slew: Tensor
    brisk: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("opponent", torch.tensor(OPPONENT), persistent=False)
        self.register_buffer("scale", torch.tensor(FEATURE_SCALE), persistent=False)
        self.register_buffer("slew", torch.tensor(SLEW), persistent=False)
        self.register_buffer("brisk", torch.tensor(BRISK), persistent=False)

    def init_past(self, batch: int, positions: int) -> Tensor:
        """Per cell and colour: last log colour, integrated colour, started flag, 3 × 2 filter states."""
        return torch.zeros(batch, positions, 3, 3 + 2 * len(SECTIONS))

    def forward(self, cells: Tensor, dt: Tensor, past: Tensor) -> tuple[Signals, Tensor]:
        """``cells`` (B, T, P, 3): mean R, G, B, 0..1. ``dt`` (B, T, 1): seconds since the last frame."""
        colour = torch.log(cells + BLACK) @ self.opponent.T
        last, level, started, *filters = past.unbind(-1)
        estimates, features = [], []
        for t in range(cells.shape[1]):
            step = dt[:, t, :, None].clamp(1e-3, 0.2)
            now = colour[:, t]
            limit = self.slew * step
            change = limit * _limit((now - last) / limit) * started
            brisk = _limit((now - last) / (self.brisk * step)) * started
            level = level * (1.0 - step / LEAK_SECONDS) + change
            passed, filters, inner = _bandstop(level, step, filters)
            inner = [gain * self.scale * value for gain, value in zip(INNER_SCALE, inner, strict=True)]
            estimate = level - passed
            last, started = now, torch.ones_like(started)
            estimates.append(estimate)
            features.append(torch.cat([estimate * self.scale, brisk, *inner], dim=-1))
        signals = Signals(torch.stack(estimates, 1), torch.stack(features, 1))
        return signals, torch.stack([last, level, started, *filters], dim=-1)


def _bandstop(x: Tensor, step: Tensor, filters: list[Tensor]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """One frame through the biquads: output, next states, and band-pass and low-pass values as features."""
    states: list[Tensor] = []
    inner: list[Tensor] = []
    dc_gain: Tensor | float = 1.0
    y = x
    for section, (pole, quality, zero) in enumerate(SECTIONS):
        first, second = filters[2 * section], filters[2 * section + 1]
        g = torch.tan(math.pi * (pole * step).clamp(max=MAX_POLE))
        ratio = (torch.tan(math.pi * (zero * step).clamp(max=MAX_POLE)) / g) ** 2
        damping = 1.0 / quality
        band = (first + g * (y - second)) / (1.0 + g * (g + damping))
        low = second + g * band
        high = y - damping * band - low
        states += [2.0 * band - first, 2.0 * low - second]
        inner += [band, y - low]
        y = high + ratio * low
        dc_gain = dc_gain * ratio
    return y / dc_gain, states, inner


def _limit(x: Tensor) -> Tensor:
    """Smooth limiter to ±1, within 1 % of linear up to 0.45: ``x / (1 + x^4)^(1/4)``."""
    square = (x * x).clamp(max=1e12)
    return x / torch.sqrt(torch.sqrt(1.0 + square * square))
