"""PulseClock: the phase of the wanted pulse, driven by capture time.

The phase runs on through dropped frames and changes of the target. Natural beat-to-beat variability is a
bounded modulation of the phase, so that the mean rate stays exactly the target: respiratory sinus
arrhythmia, the 0.1 Hz (Mayer) wave, and a little noise (Task Force of the ESC, *Circulation* 93, 1996).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

# Harmonics of the wanted pulse: relative amplitude and phase lag (rad) of cos(k·phase), a systolic
# upstroke and a slower decay as in a fingertip BVP.
HARMONICS = ((1.0, 0.0), (0.28, 0.9), (0.07, 1.6))
MAX_STEP = 1.0  # seconds; a longer gap (suspend, jump of the clock) counts as this much


@dataclass(frozen=True, slots=True)
class Variability:
    """Depth of the heart rate's modulation (relative, peak) and its rates. Scaled by ``--hr-variability``."""

    respiratory: float = 0.02
    mayer: float = 0.006
    mayer_hz: float = 0.1
    breathing_hz: float = 0.25
    noise_radians: float = 0.08
    noise_seconds: float = 1.5


@dataclass(frozen=True, slots=True)
class ClockState:
    """``seconds`` of the last frame (None before the first), angles in radians, ``bpm`` as it glides."""

    seconds: float | None
    beat: float
    breath: float
    mayer: float
    noise: float
    bpm: float


class PulseClock:
    """Advances a ``ClockState`` by capture time. Holds only settings and the random generator."""

    def __init__(
        self,
        rng: np.random.Generator,
        depth: float = 1.0,
        variability: Variability | None = None,
        glide_seconds: float = 1.0,
    ) -> None:
        """``depth`` 0 (metronome) to 1 (natural). ``glide_seconds``: how fast a new target is reached."""
        self._rng = rng
        self._depth = depth
        self._variability = variability or Variability()
        self._glide = glide_seconds

    def start(self, bpm: float) -> ClockState:
        """A random place in the beat and the breath, at ``bpm``."""
        beat, breath, mayer = self._rng.uniform(0.0, 2.0 * math.pi, 3)
        return ClockState(None, float(beat), float(breath), float(mayer), 0.0, bpm)

    def advance(self, state: ClockState, seconds: float, bpm: float) -> tuple[float, ClockState]:
        """Phase (radians) of the wanted pulse at capture time ``seconds`` for the target ``bpm``."""
        gap = 0.0 if state.seconds is None else seconds - state.seconds
        step = min(max(gap, 0.0), MAX_STEP)
        shape = self._variability
        rate = bpm + (state.bpm - bpm) * math.exp(-step / self._glide)
        hertz = rate / 60.0
        keep = math.exp(-step / shape.noise_seconds)
        kick = shape.noise_radians * math.sqrt(1.0 - keep * keep) * self._rng.standard_normal()
        moved = replace(
            state,
            seconds=seconds,
            beat=_turn(state.beat, hertz * step),
            breath=_turn(state.breath, shape.breathing_hz * step),
            mayer=_turn(state.mayer, shape.mayer_hz * step),
            noise=state.noise * keep + kick,
            bpm=rate,
        )
        # A rate modulated by depth·sin at f swings the phase by (rate / f)·depth; quick hearts vary less.
        swing = min(1.0, 1.0 / hertz) * hertz
        deviation = (
            swing * shape.respiratory / shape.breathing_hz * math.sin(moved.breath)
            + swing * shape.mayer / shape.mayer_hz * math.sin(moved.mayer)
            + moved.noise
        )
        return moved.beat + self._depth * deviation, moved


def wanted_wave(phase: float) -> float:
    """Waveform of the wanted pulse at its phase (radians), about ±1.3."""
    return sum(amplitude * math.cos(k * phase - lag) for k, (amplitude, lag) in enumerate(HARMONICS, 1))


def _turn(angle: float, cycles: float) -> float:
    return math.fmod(angle + 2.0 * math.pi * cycles, 2.0 * math.pi)
