"""The known pulse: rate, variability, waveform, and its slope (the first-order effect of delay)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.data.process import GRID_HZ, Rng, Signal, at, noise


@dataclass(frozen=True)
class Pulse:
    """A blood volume pulse read at the frames' times.

    ``bvp`` (T,) has amplitude about 1 (standard deviation 1/sqrt(2)), ``slope`` (T,) is its derivative
    (1/s), ``rate`` (T,) the momentary heart rate (bpm), ``hr`` its mean over the clip, ``phase`` (T,)
    the beats' phase (radians), ``breath`` (T,) the breathing, amplitude 1.
    """

    bvp: Signal
    slope: Signal
    rate: Signal
    hr: float
    phase: Signal
    breath: Signal


def draw_pulse(rng: Rng, clock: Signal, times: Signal, hr: float) -> Pulse:
    """A pulse near ``hr`` bpm: slow drift, variability at the breath (0.2–0.35 Hz) and at 0.1 Hz
    (Task Force of ESC/NASPE 1996), a systolic waveform of 3–4 harmonics, amplitude modulation.
    """
    breath_hz = rng.uniform(0.2, 0.35)
    breaths = breath_hz * clock + 0.05 * noise(rng, clock, 0.0, 0.1) + rng.random()
    breath = np.sin(2 * np.pi * breaths)
    slow = noise(rng, clock, 0.0, 0.04)
    low = noise(rng, clock, 0.06, 0.14)
    drift, rsa, lf = rng.uniform(0.0, 0.03), rng.uniform(0.0, 0.05), rng.uniform(0.0, 0.03)
    rate = hr * (1.0 + drift * slow + rsa * breath + lf * low)
    inside = (clock >= times[0]) & (clock <= times[-1])
    rate *= hr / float(rate[inside].mean())
    phase = 2 * np.pi * np.cumsum(rate / 60.0) / GRID_HZ + rng.uniform(0, 2 * np.pi)

    # Amplitudes and phases of the harmonics of a fast rise and a slow, notched fall.
    second, third, fourth = rng.uniform(0.15, 0.5), rng.uniform(0.03, 0.2), rng.uniform(0.0, 0.06)
    wave = np.cos(phase)
    wave += second * np.cos(2 * phase - rng.uniform(0.6, 1.6))
    wave += third * np.cos(3 * phase - rng.uniform(1.0, 3.0))
    wave += fourth * np.cos(4 * phase - rng.uniform(1.0, 5.0))
    modulation = 1.0 + rng.uniform(0, 0.12) * breath + rng.uniform(0, 0.15) * noise(rng, clock, 0.0, 0.15)
    wave *= np.clip(modulation, 0.4, 1.8)
    wave /= max(float(wave[inside].std()), 1e-9) * np.sqrt(2.0)
    return Pulse(
        bvp=at(times, clock, wave),
        slope=at(times, clock, np.gradient(wave, 1.0 / GRID_HZ)),
        rate=at(times, clock, rate),
        hr=hr,
        phase=at(times, clock, phase),
        breath=at(times, clock, breath),
    )
