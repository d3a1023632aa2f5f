"""A shown pulse that varies from face to face as real ones do.

The network's own pulse has one strength, one colour and one waveform, chosen so that it survives a call's
codec; a detector that has seen a few tells it from a real one at once. A natural pulse is drawn for each
face: strength, colour, harmonics, how unevenly it lies over the face and how late it reaches each place. It
goes through the network's skin map beside the masking noise, in place of the network's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamfilter.masking import GRID

Field = npt.NDArray[np.float32]

# Amplitude of G on lit skin; share of R, G, B under white light (de Haan & van Leest 2014, section 2).
WEAKEST, STRONGEST = 0.0025, 0.006
DIRECTION = (0.33 / 0.77, 1.0, 0.53 / 0.77)
UNEVEN = 0.4  # how far the strength differs over the face at most
DELAY = 0.04  # seconds, range of the pulse's delay over the face at most


@dataclass(frozen=True, slots=True)
class NaturalPulse:
    """One face's pulse. ``direction`` (3,) relative amplitude of R, G, B; ``harmonics`` relative amplitude
    and lag (radians) of the beat's multiples; ``share`` (3, 3) of the strength and ``delay`` (3, 3) seconds,
    by place; ``breath`` is how far breathing modulates the strength."""

    direction: npt.NDArray[np.float64]
    harmonics: tuple[tuple[float, float], ...]
    share: npt.NDArray[np.float64]
    delay: npt.NDArray[np.float64]
    breath: float

    @property
    def amplitude(self) -> float:
        """Relative amplitude of G over the face."""
        return float(self.direction[1])

    def at(self, phase: float, breath: float, bpm: float, strength: float) -> Field:
        """Relative change (3, 3, 3) of colour, row, column at the beat's ``phase``, the ``breath``'s (both in
        radians), the momentary ``bpm`` and the ``strength`` that is asked for, 0 to 1."""
        local = phase - 2.0 * math.pi * bpm / 60.0 * self.delay
        wave = sum(share * np.cos(k * local - lag) for k, (share, lag) in enumerate(self.harmonics, 1))
        swing = strength * (1.0 + self.breath * math.sin(breath))
        return np.asarray(swing * self.direction[:, None, None] * (self.share * wave), np.float32)


def draw_natural_pulse(rng: np.random.Generator) -> NaturalPulse:
    """A pulse as hearts, skins and cameras differ."""
    amplitude = math.exp(rng.uniform(math.log(WEAKEST), math.log(STRONGEST)))
    direction = np.array(DIRECTION) * rng.uniform(0.8, 1.2, 3)
    second, third = rng.uniform(0.15, 0.5), rng.uniform(0.03, 0.2)
    harmonics = ((1.0, 0.0), (second, rng.uniform(0.6, 1.6)), (third, rng.uniform(1.0, 3.0)))
    rms = math.sqrt(sum(share * share for share, _ in harmonics))
    uneven, lag = rng.uniform(0.1, UNEVEN), rng.uniform(0.0, DELAY)
    return NaturalPulse(
        amplitude * direction / direction[1],
        tuple((share / rms, turn) for share, turn in harmonics),
        1.0 + uneven * _smooth(rng),
        lag * (0.5 + 0.5 * _smooth(rng)),
        float(rng.uniform(0.0, 0.12)),
    )


def _smooth(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """(3, 3) in -1..1, of mean 0: a tilt and a bowl of random direction and sign."""
    line = np.linspace(-1.0, 1.0, GRID)
    x, y = np.meshgrid(line, line)
    parts = np.stack([x, y, x * y, x * x - 2 / 3, y * y - 2 / 3])
    field = np.tensordot(rng.standard_normal(len(parts)), parts, 1)
    return np.asarray(field / max(float(np.abs(field).max()), 1e-9))
