"""What every rival is called by, and what they share: the wanted trace and unbiased rounding."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from streamfilter.clock import PulseClock, wanted_wave

Frames = npt.NDArray[np.uint8]
Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]

WANTED = (0.001, 0.006, 0.0026)  # the pulse's relative amplitude in R, G, B, as for the other editors


class Rival(Protocol):
    """An offline editor."""

    def edit(self, frames: Frames, pts: Array64, bpm: float) -> Frames:
        """``frames`` (T, H, W, 3) uint8 R, G, B, captured at ``pts`` (T,) seconds, made to show ``bpm``.

        Returns new frames of the same shape. Raises UsageError where no face is found.
        """
        ...


def target_wave(pts: Array64, bpm: float, seed: int = 0) -> Array64:
    """(T,) the wanted pulse at capture times, about ±1.3: the shape and variability that the filter shows."""
    clock = PulseClock(np.random.default_rng(seed))
    state = clock.start(bpm)
    wave = np.empty(len(pts))
    for k, seconds in enumerate(pts):
        phase, state = clock.advance(state, float(seconds), bpm)
        wave[k] = wanted_wave(phase)
    return wave


def round_stochastically(values: Array32, rng: np.random.Generator) -> Frames:
    """Levels 0..255 rounded up with the probability of their fraction: unbiased where in range."""
    levels = np.floor(values + rng.random(values.shape, np.float32))
    return np.clip(levels, 0, 255).astype(np.uint8)
