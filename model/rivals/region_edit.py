"""Region edit: the least change of the face's pixels that makes every region follow a wanted trace exactly.

The strict form of PulseEdit's idea (`pulse_edit.py`), in its frame: 6 × 6 regions, their mean R, G, B over
the clip, pixels rounded at random. Other than there, each region gets a change of its own, and the change is
exact and not a compromise of likeness and size:

- The pulse of a signal is its part in 0.65 to 4 Hz, seen beside the slower drift (a least-squares fit of
  both), and must be the wanted trace exactly. The least perturbation in the square sense that does so has a
  closed form: with Q (T, K) an orthonormal basis of the band less the drift, δ = Q Qᵀ (wanted − signal).
- Within a region, skin's weight w (soft, 0..1) shares it out: d = δ w Σw / Σw² is the least Σd² whose
  weighted mean is δ.
- Skin is the project's own mask; the wanted trace has the amplitude that the other editors show.

It works on the whole clip, and so looks ahead: no camera can run it live.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.rivals.faces import Face, cell_numbers, find_faces
from model.rivals.protocol import WANTED, Array32, Array64, Frames, round_stochastically, target_wave

REGIONS = 6  # a side of the face's box
BAND_HZ = (0.65, 4.0)
LEAST_SKIN = 0.05  # share of a region that must be skin, in every frame, for it to be edited on its own


@dataclass(frozen=True)
class RegionEdit:
    """The editor. ``direction``: the wanted pulse's relative amplitude in R, G, B."""

    direction: tuple[float, float, float] = WANTED
    seed: int = 0

    def edit(self, frames: Frames, pts: Array64, bpm: float) -> Frames:
        """As `protocol.Rival.edit`."""
        faces = find_faces(frames, pts)
        sums = region_sums(frames, faces)
        wave = target_wave(pts, bpm, self.seed)
        change = perturbation(sums, pts, wave, np.asarray(self.direction))
        rng = np.random.default_rng(self.seed)
        out = frames.copy()
        for index, face in enumerate(faces):
            if face is None:
                continue
            region, weight = face.pixels(*frames.shape[1:3])
            number = cell_numbers(REGIONS, weight.shape)
            shift = share_out(change[index], weight, number)
            part = np.asarray(frames[index][region], np.float32) + shift
            out[index][region] = round_stochastically(part, rng)
        return out


def region_sums(frames: Frames, faces: list[Face | None]) -> Array64:
    """(T, 4, M): R, G, B weighted by the skin and summed over each region, and the weights' sums."""
    sums = np.zeros((len(frames), 4, REGIONS * REGIONS))
    for index, face in enumerate(faces):
        if face is None:
            continue
        region, weight = face.pixels(*frames.shape[1:3])
        number = cell_numbers(REGIONS, weight.shape).ravel()
        part = frames[index][region].reshape(-1, 3)
        flat = weight.ravel().astype(np.float64)
        count = REGIONS * REGIONS
        for channel in range(3):
            sums[index, channel] = np.bincount(number, flat * part[:, channel], count)
        sums[index, 3] = np.bincount(number, flat, count)
    return sums


def perturbation(sums: Array64, pts: Array64, wave: Array64, direction: Array64) -> Array64:
    """(T, 3, M) levels: how each region's mean has to change; regions with too little skin as the face."""
    weights = sums[:, 3]
    face = filled(sums[:, :3].sum(axis=2), weights.sum(axis=1))
    largest = weights.max(initial=1e-9)
    basis = band_basis(pts)

    def least(signal: Array64) -> Array64:
        wanted = signal.mean(axis=0) * direction * wave[:, None]
        return least_change(signal, wanted, basis)

    whole = least(face)
    change = np.repeat(whole[:, :, None], weights.shape[1], axis=2)
    for m in np.flatnonzero(weights.min(axis=0) >= LEAST_SKIN * largest):
        change[:, :, m] = least(filled(sums[:, :3, m], weights[:, m]))
    return change


def band_basis(pts: Array64) -> Array64:
    """(T, K) orthonormal waves of the pulse's band at ``pts``, each orthogonal to the slower drift."""
    time = pts - pts[0]
    length = float(time[-1]) * len(pts) / max(len(pts) - 1, 1)
    count = int(np.ceil(2.0 * length * BAND_HZ[1]))
    orders = np.arange(count + 1)
    waves = np.cos(np.pi * (time[:, None] + length / (2 * len(pts))) * orders / length)
    hertz = orders / (2.0 * length)
    waves = waves[:, hertz <= BAND_HZ[1]]
    orthogonal, _ = np.linalg.qr(waves)
    return np.asarray(orthogonal[:, (hertz[hertz <= BAND_HZ[1]] >= BAND_HZ[0])])


def least_change(signal: Array64, wanted: Array64, basis: Array64) -> Array64:
    """The smallest δ (T, C), in the square sense, with basisᵀ (signal + δ) = basisᵀ wanted."""
    return np.asarray(basis @ (basis.T @ (wanted - signal)))


def share_out(change: Array64, weight: Array32, number: npt.NDArray[np.intp]) -> Array32:
    """(H, W, 3): the smallest change whose mean under ``weight`` in each region is ``change`` (3, M)."""
    count = change.shape[1]
    flat, where = weight.ravel().astype(np.float64), number.ravel()
    first, second = np.bincount(where, flat, count), np.bincount(where, flat**2, count)
    scale = np.where(second > 1e-6, first / np.maximum(second, 1e-6), 0.0)
    shift = (change * scale)[:, where] * flat
    return np.asarray(shift.T.reshape(*weight.shape, 3), np.float32)


def filled(total: Array64, weight: Array64) -> Array64:
    """Means (T, 3), frames without skin filled by the neighbours in time."""
    seen = weight > 1e-6
    means = total / np.where(seen, weight, 1.0)[:, None]
    frames = np.arange(len(means))
    return np.stack([np.interp(frames, frames[seen], column[seen]) for column in means.T], axis=1)
