"""Blind source separation of three colour traces: principal and independent components (JADE)."""

from __future__ import annotations

import numpy as np

from streamfilter.rppg.filters import PULSE_HIGH_HZ, PULSE_LOW_HZ, Floats

SWEEPS = 100
ANGLE = 1e-10  # radians: a rotation smaller than this no longer changes the components


def principal_components(x: Floats) -> Floats:
    """Unit-variance principal components of ``x`` (T, C) with zero mean: (T, K), strongest first.

    K < C where channels depend on each other: a direction of less than 1e-5 of the strongest one's power is
    rounding or the pulse's own distortion, not a source. K = 0 where nothing varies.
    """
    centred = x - x.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / centred.shape[0])
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order]
    keep = values > max(1e-5 * float(values[0]), 1e-24)
    components: Floats = centred @ (vectors[:, keep] / np.sqrt(values[keep]))
    return components


def jade(x: Floats) -> Floats:
    """Independent components of ``x`` (T, C): (T, K), unit variance, no random start.

    Cardoso & Souloumiac 1993, "Blind beamforming for non-Gaussian signals": the rotation of the whitened
    data that makes the fourth-order cumulant matrices as diagonal as can be, by Jacobi rotations.
    """
    white = principal_components(x)
    size = white.shape[1]
    if size < 2:
        return white
    matrices = _cumulants(white)
    rotation = np.eye(size)
    for _ in range(SWEEPS):
        largest = 0.0
        for p in range(size - 1):
            for q in range(p + 1, size):
                angle = _joint_angle(matrices, p, q)
                largest = max(largest, abs(angle))
                turn = np.eye(size)
                turn[p, p] = turn[q, q] = np.cos(angle)
                turn[q, p] = np.sin(angle)
                turn[p, q] = -np.sin(angle)
                matrices = turn.T @ matrices @ turn
                rotation = rotation @ turn
        if largest < ANGLE:
            break
    out: Floats = white @ rotation
    return out


def _cumulants(white: Floats) -> Floats:
    """Fourth-order cumulant matrices of white data (T, K), a set of K (K + 1) / 2: (M, K, K)."""
    length, size = white.shape
    identity = np.eye(size)
    out = []
    for i in range(size):
        for j in range(i + 1):
            moment = (white * (white[:, i] * white[:, j])[:, None]).T @ white / length
            pair = np.outer(identity[i], identity[j])
            cumulant = moment - pair - pair.T - (identity if i == j else 0.0)
            out.append(cumulant if i == j else np.sqrt(2.0) * cumulant)
    return np.stack(out)


def _joint_angle(matrices: Floats, p: int, q: int) -> float:
    """The rotation in the plane (p, q) that leaves the least off the diagonals of all matrices."""
    differences = matrices[:, p, p] - matrices[:, q, q]
    sums = matrices[:, p, q] + matrices[:, q, p]
    on = float(differences @ differences - sums @ sums)
    off = 2.0 * float(differences @ sums)
    return 0.5 * float(np.arctan2(off, on + np.hypot(on, off)))


def most_periodic(components: Floats, fs: float) -> Floats:
    """The column of (T, K) with the largest share of its in-band power at one peak; zeros where K = 0."""
    length, size = components.shape
    if size == 0:
        return np.zeros(length)
    hann = np.hanning(length + 2)[1:-1, None]
    power = np.abs(np.fft.rfft(components * hann, n=4 * length, axis=0)) ** 2
    freq = np.fft.rfftfreq(4 * length, 1.0 / fs)
    band = power[(freq >= PULSE_LOW_HZ) & (freq <= PULSE_HIGH_HZ)]
    best = int(np.argmax(band.max(axis=0) / band.sum(axis=0)))
    out: Floats = components[:, best]
    return out
