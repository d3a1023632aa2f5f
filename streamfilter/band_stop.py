"""A causal band-stop on colours: what of their change could be a pulse, known with no delay.

In NumPy, for skin that no network looks at; the network's front-end (model/frontend.py) is the same filter,
with these constants, on tensors:
Chebyshev II of order 3, 0.68 to 3.3 Hz, as three biquads in zero-delay-feedback state-variable form
(Zavalishin, *The Art of VA Filter Design*, chapters 4 and 5), passed twice here and once there. Coefficients
follow each frame's own time step, so that no frame rate needs resampling.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]

# Chebyshev II, order 3, 27 dB, 0.68 to 3.3 Hz: (pole Hz, pole Q, zero Hz) of its sections. Order 2 would
# settle at once, but takes twice as much slow light for pulse; a Butterworth leaves a third of 53 bpm.
SECTIONS = ((5.1439, 1.3032, 3.0136), (1.498, 0.34985, 1.498), (0.4362, 1.3032, 0.7446))
PASSES = 2
STATES = 1 + 2 * len(SECTIONS) * PASSES  # the integrated level, then two numbers for each section
MAX_POLE = 0.35  # of the frame rate; higher poles are not representable at 15 frames a second
LEAK_SECONDS = 30.0  # forgetting of the integrated level, so that days of drift stay small


def start(shape: tuple[int, ...]) -> Values:
    """State (STATES, *shape) of signals that have not moved yet."""
    return np.zeros((STATES, *shape), np.float32)


def in_band(change: Values, dt: float, state: Values, out: Values | None = None) -> tuple[Values, Values]:
    """The part of the signals' level that lies in the pulse's band, now, and the next state.

    ``change`` (any shape) is how the signals moved since the last frame, ``dt`` seconds ago. The
    next state is written to ``out``, if given, which may be ``state``.
    """
    step = min(max(dt, 1e-3), 0.2)
    following = np.empty_like(state) if out is None else out
    level = state[0] * np.float32(1.0 - step / LEAK_SECONDS) + change
    following[0] = level
    passed = level
    for pole, quality, zero, at in _places():
        g = math.tan(math.pi * min(pole * step, MAX_POLE))
        ratio = (math.tan(math.pi * min(zero * step, MAX_POLE)) / g) ** 2
        damping = 1.0 / quality
        first, second = state[at], state[at + 1]
        band = (first + g * (passed - second)) / (1.0 + g * (g + damping))
        low = second + g * band
        np.subtract(2.0 * band, first, out=following[at])
        np.subtract(2.0 * low, second, out=following[at + 1])
        passed = (passed - damping * band + (ratio - 1.0) * low) / ratio
    return np.asarray(level - passed, np.float32), following


def _places() -> list[tuple[float, float, float, int]]:
    """The sections in order, each with where its state lies."""
    sections = SECTIONS * PASSES
    return [(*section, 1 + 2 * k) for k, section in enumerate(sections)]
