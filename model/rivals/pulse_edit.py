"""PulseEdit: a small change of colour, found for each clip, makes the skin's signals resemble a wanted one.

Chen, Liao and Wu 2022, "PulseEdit: Editing Physiological Signals in Facial Videos for Privacy Protection",
IEEE TIFS 17. No code is public and the paper was not to be had; these are its equations as a public reading
note gives them. R (M, 3, N): mean R, G, B of M = 6 × 6 regions of the face's skin over N frames.

- Detrending: S minimises ½ ‖S‖² + μ ‖D (R − S)‖₁ for each region and channel, D the second difference.
- One change δ (3, N), the same for all regions, minimises −(1/M) Σ ρ(S + δ, T) + λ/N ‖δ‖² over regions and
  channels, ρ Pearson's correlation and T the wanted trace: 200 steps of Adam at 0.1.
- Every skin pixel changes by δ, rounded down with probability ⌈δ⌉ − δ, else up.

The note has neither μ nor λ. Chosen here: μ so that a pulse of one grey level at 40 bpm is just not taken
for trend (a sine of amplitude a and ω rad a frame passes the detrending whole where a ≤ μ ω²); λ so small
that the PSNR over the face comes to 40 to 48 dB, where others have measured 42 to 43 dB (arXiv
2509.25348, as a reading note reports it). Nor does it say how the wanted trace differs by channel: here
it is the same for all, and since correlation knows no scale, R, G and B change about alike. So POS and
CHROM, which look at the ratio of the channels, need not follow it; they do follow `region_edit.py`, a
strict form. Skin is the project's own mask. It works on the whole clip, and so looks ahead: no camera can
run it live.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import cho_solve_banded, cholesky_banded

from model.rivals.faces import find_faces
from model.rivals.protocol import Array64, Frames, round_stochastically, target_wave
from model.rivals.region_edit import LEAST_SKIN, filled, region_sums

STEPS, RATE = 200, 0.1
WEIGHT = 0.001
SLOWEST_BPM = 40.0
_SKIN = 0.5  # a pixel of at least this weight is skin
_SWEEPS = 300  # of the detrending's solver


@dataclass(frozen=True)
class PulseEdit:
    """The editor. ``weight``: λ, what a squared grey level of change costs against correlation."""

    weight: float = WEIGHT
    seed: int = 0

    def edit(self, frames: Frames, pts: Array64, bpm: float) -> Frames:
        """As `protocol.Rival.edit`."""
        faces = find_faces(frames, pts)
        sums = region_sums(frames, faces)
        weights = sums[:, 3]
        used = np.flatnonzero(weights.min(axis=0) >= LEAST_SKIN * weights.max(initial=1e-9))
        regions = [filled(sums[:, :3, m], weights[:, m]) for m in used]
        if not regions:  # skin comes and goes everywhere: the face as one region
            regions = [filled(sums[:, :3].sum(axis=2), weights.sum(axis=1))]
        fps = (len(pts) - 1) / max(float(pts[-1] - pts[0]), 1e-9) if len(pts) > 1 else 30.0
        signals = detrended(np.concatenate(regions, axis=1), (2 * np.pi * SLOWEST_BPM / 60 / fps) ** -2)
        change = least_change(signals, target_wave(pts, bpm, self.seed), self.weight)
        rng = np.random.default_rng(self.seed)
        out = frames.copy()
        for index, face in enumerate(faces):
            if face is None:
                continue
            region, weight = face.pixels(*frames.shape[1:3])
            skin = (weight >= _SKIN)[..., None]
            part = np.asarray(frames[index][region] + skin * change[index], np.float32)
            out[index][region] = round_stochastically(part, rng)
        return out


def detrended(signals: Array64, mu: float) -> Array64:
    """(N, C): S of each column, min ½ ‖S‖² + ``mu`` ‖D (R − S)‖₁ (Kim et al. 2009's ℓ1 trend filter).

    By the method of multipliers on the trend x = R − S with z = D x; its step solves a banded system.
    """
    count = len(signals)
    if count < 3:
        return np.zeros_like(signals)
    level = signals.mean(axis=0)
    wanted = signals - level
    rho = mu / max(float(np.abs(np.diff(wanted, 2, axis=0)).mean()), 1e-9) * 30.0
    factor = cholesky_banded(_normal(count, rho), lower=True)
    z = np.zeros((count - 2, signals.shape[1]))
    dual = np.zeros_like(z)
    for _ in range(_SWEEPS):
        trend = cho_solve_banded((factor, True), wanted + rho * _transposed(z - dual))
        bend = np.diff(trend, 2, axis=0)
        z = np.sign(bend + dual) * np.maximum(np.abs(bend + dual) - mu / rho, 0.0)
        dual += bend - z
    return np.asarray(wanted - trend)


def _normal(count: int, rho: float) -> Array64:
    """I + ``rho`` Dᵀ D as scipy's lower bands (3, N)."""
    middle = np.full(count, 6.0)
    middle[[0, -1]], middle[[1, -2]] = 1.0, 5.0
    if count == 3:
        middle[1] = 4.0
    beside = np.full(count, -4.0)
    beside[[0, count - 2]] = -2.0
    return np.stack([1.0 + rho * middle, rho * beside, np.full(count, rho)])


def _transposed(bends: Array64) -> Array64:
    """Dᵀ of (N − 2, C)."""
    out = np.zeros((len(bends) + 2, bends.shape[1]))
    out[:-2] += bends
    out[1:-1] -= 2.0 * bends
    out[2:] += bends
    return out


def least_change(signals: Array64, wave: Array64, weight: float) -> Array64:
    """δ (N, 3), grey levels, for ``signals`` (N, 3 M), region by region R, G, B, and the wanted ``wave``."""
    given = torch.tensor(signals.T.reshape(-1, 3, len(wave)))
    goal = torch.tensor(wave - wave.mean())
    goal = goal / goal.norm().clamp_min(1e-12)
    change = torch.zeros(3, len(wave), dtype=torch.float64, requires_grad=True)
    steps = torch.optim.Adam([change], lr=RATE)
    for _ in range(STEPS):
        steps.zero_grad()
        seen = given + change
        seen = seen - seen.mean(dim=2, keepdim=True)
        likeness = (seen @ goal) / seen.norm(dim=2).clamp_min(1e-12)
        size = change.square().sum() / len(wave)
        loss = weight * size - likeness.sum() / len(given)
        loss.backward()
        steps.step()
    return np.asarray(change.detach().numpy().T)
