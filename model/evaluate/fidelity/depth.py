"""What a removal without delay must cost: depth of the stop-band against slow light that it moves.

The edit that takes a pulse out is ``x - H x`` with a causal H that is small in the pulse's band. Where H is a
minimum-phase filter, depth in the band turns the phase below it (Bode 1945, *Network Analysis and Feedback
Amplifier Design*, chapter 14), and there ``x - H x`` is not small: slow light, breathing, the camera's
exposure are moved although they are no pulse. The best causal H for a given drift is a Wiener filter
(Wiener 1949): the estimate of an in-band signal from the sum of it and the drift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_toeplitz

from streamfilter.band_stop import MAX_POLE, SECTIONS

Floats = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

FPS = 30.0
BAND_HZ = (0.68, 3.3)  # where the front-end's zeros lie
POINTS = 1 << 15
TAPS = 900  # of the best causal filter, 30 s
SLOWEST_HZ = 0.02  # below it the drift's spectrum is flat


@dataclass(frozen=True)
class Depth:
    """``band_db``: rms attenuation over the band, ``worst_db`` its least; ``moved``: rms of the edit outside
    the band over the drift's own rms below it."""

    band_db: float
    worst_db: float
    moved: float


def frequencies() -> Floats:
    return np.asarray(np.fft.rfftfreq(POINTS, 1.0 / FPS))


def drift(hertz: Floats) -> Floats:
    """Power of a random walk, 1 / f², of unit power below the band."""
    power = 1.0 / np.maximum(hertz, SLOWEST_HZ) ** 2
    below = (hertz > SLOWEST_HZ) & (hertz < BAND_HZ[0])
    return np.asarray(power / (power[below].sum() * hertz[1]))


def front_end(passes: int = 1) -> Complex:
    """Response of the front-end's band-stop, passed so many times, on :func:`frequencies`."""
    tangent = np.tan(math.pi * frequencies() / FPS)[:-1]
    response = np.ones(tangent.size, np.complex128)
    for pole, quality, zero in SECTIONS:
        g = math.tan(math.pi * min(pole / FPS, MAX_POLE))
        ratio = (math.tan(math.pi * min(zero / FPS, MAX_POLE)) / g) ** 2
        s = 1j * tangent / g
        response *= (s * s + ratio) / (s * s + s / quality + 1.0) / ratio
    nyquist = np.ones(1, np.complex128)  # the tangent has a pole there
    return np.concatenate([response, nyquist]) ** passes


def best_causal(weight_db: float) -> Complex:
    """Response of the causal filter that moves least of the drift, for a depth that grows with the weight."""
    hertz = frequencies()
    light = drift(hertz)
    inside = (hertz >= BAND_HZ[0]) & (hertz <= BAND_HZ[1])
    edge = light[np.searchsorted(hertz, BAND_HZ[0])]
    pulse = np.where(inside, 10.0 ** (weight_db / 10.0) * edge, 0.0)
    seen, wanted = (np.fft.irfft(power)[:TAPS] for power in (light + pulse, pulse))
    seen[0] *= 1.0 + 1e-9  # keeps the Toeplitz system regular
    estimate = solve_toeplitz(seen, wanted)
    return np.asarray(1.0 - np.fft.rfft(estimate, POINTS))


def depth(response: Complex) -> Depth:
    """How deep a response is in the band, and how much of the drift its edit moves outside."""
    hertz = frequencies()
    inside = (hertz >= BAND_HZ[0]) & (hertz <= BAND_HZ[1])
    kept = np.abs(response[inside]) ** 2
    moved = np.abs(1.0 - response[~inside]) ** 2 * drift(hertz)[~inside]
    return Depth(
        band_db=float(-10.0 * np.log10(kept.mean())),
        worst_db=float(-10.0 * np.log10(kept.max())),
        moved=float(np.sqrt(moved.sum() * hertz[1])),
    )
