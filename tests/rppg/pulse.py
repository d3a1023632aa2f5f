"""Skin colour traces with a pulse that is known exactly, for the tests of streamfilter.rppg."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
SKIN = np.array([180.0, 120.0, 100.0])
SIGNATURE = np.array([0.33, 0.77, 0.53]) / 0.77


def waveform(bpm: float, fs: float, seconds: float = 30.0, phase: float = 0.0) -> Floats:
    """A steady pulse with one harmonic, amplitude about 1."""
    angle = 2 * np.pi * bpm / 60 * np.arange(round(seconds * fs)) / fs + phase
    return np.asarray(np.cos(angle) + 0.3 * np.cos(2 * angle + 0.5), dtype=np.float64)


def wandering(bpm: float, fs: float, seconds: float, seed: int, spread_bpm: float = 4.0) -> Floats:
    """A pulse whose rate and strength drift slowly and at random around ``bpm``, like a real one's."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * fs)) / fs
    knots = np.arange(0.0, seconds + 4.0, 4.0)
    rate = bpm + spread_bpm * np.interp(t, knots, rng.uniform(-1, 1, knots.size))
    strength = np.interp(t, knots, rng.uniform(0.5, 1.5, knots.size))
    return np.asarray(strength * np.cos(2 * np.pi * np.cumsum(rate) / 60 / fs), dtype=np.float64)


def skin_trace(pulse: Floats, fs: float, seed: int, amplitude: float = 0.006, noise: float = 0.001) -> Floats:
    """Mean skin R, G, B (T, 3), 0..255: ``pulse``, slow light, independent noise (relative, per channel)."""
    rng = np.random.default_rng(seed)
    t = np.arange(pulse.size) / fs
    light = 1 + 0.05 * np.sin(2 * np.pi * 0.05 * t) + 0.001 * t
    trace = SKIN * light[:, None] * (1 + amplitude * pulse[:, None] * SIGNATURE)
    return np.asarray(trace * (1 + noise * rng.normal(size=trace.shape)), dtype=np.float64)
