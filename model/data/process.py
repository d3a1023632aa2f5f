"""Random functions of time that the generator draws from: band-limited noise, steps, quick moves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Signal = npt.NDArray[np.float64]
Rng = np.random.Generator

GRID_HZ = 240.0  # processes are drawn on this grid and read at the frames' times
_MARGIN = 1.0  # seconds before the first and after the last frame


def grid(duration: float) -> Signal:
    """Times (N,) in seconds of the processes' grid for a clip of ``duration`` seconds, with margins."""
    return np.arange(-_MARGIN, duration + _MARGIN, 1.0 / GRID_HZ)


def at(times: Signal, clock: Signal, values: Signal) -> Signal:
    """A process on the grid ``clock``, read at ``times``."""
    return np.interp(times, clock, values)


def noise(rng: Rng, clock: Signal, low: float, high: float) -> Signal:
    """Gaussian noise (N,) of unit variance between ``low`` and ``high`` Hz."""
    n = len(clock)
    span = n / GRID_HZ
    first = max(1, int(np.ceil(low * span)))
    last = max(first + 1, int(high * span))
    spectrum = np.zeros(n // 2 + 1, np.complex128)
    size = min(last, len(spectrum)) - first
    spectrum[first : first + size] = rng.standard_normal(size) + 1j * rng.standard_normal(size)
    values = np.fft.irfft(spectrum, n)
    return np.asarray(values / max(float(values.std()), 1e-12))


def steps(rng: Rng, clock: Signal, rate: float, rise: float) -> Signal:
    """A level that jumps ``rate`` times a second on average to a new N(0, 1) value, in ``rise`` seconds."""
    duration = float(clock[-1] - clock[0])
    count = int(rng.poisson(rate * duration))
    times = np.sort(rng.uniform(clock[0], clock[-1], count))
    levels = rng.standard_normal(count + 1)
    values = np.full(len(clock), levels[0])
    for time, before, after in zip(times, levels[:-1], levels[1:], strict=True):
        # A logistic edge: 10 to 90 % in about the rise time.
        values += (after - before) / (1.0 + np.exp(-np.clip((clock - time) * 4.4 / rise, -40, 40)))
    return values


def bursts(rng: Rng, clock: Signal, low: float, high: float, share: float) -> Signal:
    """Bursts (1–5 s, about ``share`` of the time) of an oscillation between ``low`` and ``high`` Hz."""
    values = np.zeros(len(clock))
    time = float(clock[0])
    while time < clock[-1]:
        length = float(rng.uniform(1.0, 5.0))
        if rng.random() < share:
            envelope = np.sin(np.pi * np.clip((clock - time) / length, 0.0, 1.0)) ** 2
            frequency = np.exp(rng.uniform(np.log(low), np.log(high)))
            wobble = 1.0 + 0.1 * np.sin(2 * np.pi * 0.3 * clock + rng.uniform(0, 6.3))
            values += rng.uniform(0.4, 1.0) * envelope * np.sin(2 * np.pi * frequency * clock * wobble)
        time += length
    return values


def lag(clock: Signal, values: Signal, seconds: float) -> Signal:
    """First-order lag of time constant ``seconds``: how a tracker follows."""
    keep = float(np.exp(-1.0 / (GRID_HZ * seconds)))
    from scipy.signal import lfilter, lfiltic

    state = lfiltic([1.0 - keep], [1.0, -keep], [values[0]], [values[0]])
    return np.asarray(lfilter([1.0 - keep], [1.0, -keep], values, zi=state)[0], np.float64)
