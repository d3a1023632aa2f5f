"""Masking: a little random colour change in the pulse band, to drown what the removal leaves behind.

A removal is never perfect, and an attacker who notches out the wanted pulse reads the residue. Noise at
several times the residue's level, smooth in space and limited to the band, hides it at almost no cost in
fidelity. It goes through the network's skin map, so that it moves only where a pulse could be.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

GRID = 3
LOW_HZ, HIGH_HZ = 0.6, 3.6
SHORTEST, LONGEST = 1e-3, 0.1  # seconds between two steps
COMMON = 0.8  # share of the power that the whole face has in common

Noise = npt.NDArray[np.float32]
State = npt.NDArray[np.float64]


class Masking:
    """Band-limited Gaussian noise for R, G, B on a 3 × 3 grid over the crop, from capture time steps.

    Holds its level, colours and random generator; the filters' state is passed through ``step``.
    """

    def __init__(self, rng: np.random.Generator, level: float) -> None:
        """``level``: relative rms in each colour (0.001 = 0.1 %; 0 switches it off). The colours are
        independent: noise of one colour would leave the other directions of colour space bare."""
        self._rng = rng
        self._level = level

    def start(self) -> State:
        """Filters (4, colours, 1 + grid cells), started as if they had always run."""
        return self._rng.standard_normal((4, 3, 1 + GRID * GRID)) * 0.5

    def step(self, state: State, dt: float) -> tuple[Noise, State]:
        """Noise (3, 3, 3): colour, row, column; relative. ``dt`` seconds since the last step."""
        if self._level == 0.0:
            return np.zeros((3, GRID, GRID), np.float32), state
        step = min(max(dt, SHORTEST), LONGEST)
        white = self._rng.standard_normal(state.shape[1:])
        # Two one-pole low-passes, then two one-pole high-passes, each exact for this step's length.
        high, low = _keeps(step)
        first = high * state[0] + math.sqrt(1.0 - high * high) * white
        second = high * state[1] + (1.0 - high) * first
        third = low * state[2] + (1.0 - low) * second
        fourth = low * state[3] + (1.0 - low) * (second - third)
        band = (second - third - fourth) * np.interp(step, *_gains())
        mixed = math.sqrt(COMMON) * band[:, :1] + math.sqrt(1.0 - COMMON) * band[:, 1:]
        noise = (self._level * mixed).reshape(3, GRID, GRID).astype(np.float32)
        return noise, np.stack([first, second, third, fourth])


def _keeps(step: float) -> tuple[float, float]:
    """What a step leaves of the high and the low pole's past."""
    high, low = (math.exp(-2.0 * math.pi * hertz * step) for hertz in (HIGH_HZ, LOW_HZ))
    return high, low


@cache
def _gains() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Steps, and the scale that belongs to each: between them a line is right to 1e-5."""
    steps = np.geomspace(SHORTEST, LONGEST, 500)
    gains = np.array([_gain(*_keeps(step)) for step in steps.tolist()])
    return steps, gains


def _gain(high: float, low: float) -> float:
    """Scale that brings the filtered noise to unit rms, from its spectrum at this step's length."""
    angle = np.linspace(1e-3, math.pi, 256)
    z = np.exp(-1j * angle)
    shaped = math.sqrt(1.0 - high * high) / (1.0 - high * z) * (1.0 - high) / (1.0 - high * z)
    passed = 1.0 - (1.0 - low) / (1.0 - low * z)
    return float(1.0 / np.sqrt(np.mean(np.abs(shaped * passed * passed) ** 2)))
