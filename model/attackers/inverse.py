"""The filter's linear part, undone: what it takes out is put in again, as far as noise allows.

Two ways to know that part. `known_response`: the band-stop front-end is in the artifact for everybody to
read (model/frontend.py). `identified_response`: from pairs of input and output that an attacker made with
a copy of the program, without opening it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from model.frontend import OPPONENT, FrontEnd
from streamfilter.rppg.filters import Floats, rfft_hz

Complexes = npt.NDArray[np.complex128]

FLOORS = (0.03, 0.003)  # of a response: how deep an attacker digs; each is tried
_MEMORY_SECONDS = 5.0  # of the filter, that are undone
_IMPULSE_SECONDS = 40.0
_IMPULSE = 1e-3  # of log colour: far below what the front-end limits
_SEGMENT = 128  # samples of a segment of the identification: 4.3 s


def known_response(fps: float) -> tuple[Floats, Complexes]:
    """Frequencies (F,) in Hz and the complex response (F,) of the band-stop that the front-end is."""
    count = round(_IMPULSE_SECONDS * fps)
    wave = np.zeros(count + 1)  # the first frame only says where the colour is
    wave[1] = _IMPULSE
    taken = _taken_out(np.repeat(0.5 * np.exp(wave)[:, None], 3, axis=1), fps)
    kept = wave - taken.mean(axis=1)
    return rfft_hz(count, fps), np.fft.rfft(kept[1:] / _IMPULSE)


def identified_response(
    pairs: Sequence[tuple[Floats, Floats]], fps: float, targets: Sequence[float]
) -> tuple[Floats, Complexes]:
    """The response from pairs of log traces (T,), input and output: the H1 estimate, cross over input power.

    (Bendat & Piersol, *Random Data*, section 6.1.) Independent additions average out of it: the shown pulse,
    whose ``targets`` differ from pair to pair, and the masking noise.
    """
    if not pairs or len(pairs) != len(targets):
        raise ValueError(f"{len(pairs)} pairs and {len(targets)} targets: give a target for each pair")
    window = np.hanning(_SEGMENT)
    freq = rfft_hz(_SEGMENT, fps)
    cross, power = np.zeros(len(freq), np.complex128), np.zeros(len(freq))
    for (given, made), target in zip(pairs, targets, strict=True):
        clear = np.all([np.abs(freq - order * target / 60.0) > 0.35 for order in (1, 2)], axis=0)
        for first in range(0, len(given) - _SEGMENT + 1, _SEGMENT // 2):
            piece = slice(first, first + _SEGMENT)
            a, b = (
                np.fft.rfft((x[piece] - np.mean(x[piece])) * window)
                for x in (np.asarray(given), np.asarray(made))
            )
            cross += clear * b * a.conj()
            power += clear * np.abs(a) ** 2
    return freq, np.asarray(cross / np.maximum(power, 1e-300), np.complex128)


def deconvolve(log_trace: Floats, fps: float, freq: Floats, response: Complexes, floor: float) -> Floats:
    """(T, C) logarithms of colours with ``response`` undone: the smallest past that explains what is seen.

    Least squares with a penalty (Tikhonov) of ``floor``, relative to the response: what the filter left less
    than that of is not asked for. What came in before the clip began is unknown too, and solved for.
    """
    taps = impulse_response(freq, response, fps)
    length = len(log_trace)
    past = len(taps) - 1
    row = np.concatenate([taps[::-1], np.zeros(length - 1)])
    forward = np.stack([np.roll(row, k) for k in range(length)])  # (T, T + past): seen = forward @ came in
    mean = log_trace.mean(axis=0)
    penalty = floor**2 * np.eye(length)
    weights = np.linalg.solve(forward @ forward.T + penalty, log_trace - mean)
    return np.asarray((forward.T @ weights)[past:] + mean)


def impulse_response(freq: Floats, response: Complexes, fps: float) -> Floats:
    """The first 5 s of a causal response (taps,) from its spectrum, faded out."""
    count = round(_MEMORY_SECONDS * fps)
    grid = rfft_hz(round(_IMPULSE_SECONDS * fps), fps)
    # A response has a magnitude and a phase that are smooth: read between its lines by its two parts.
    there = np.interp(grid, freq, response.real) + 1j * np.interp(grid, freq, response.imag)
    taps = np.fft.irfft(there, n=round(_IMPULSE_SECONDS * fps))[:count]
    return np.asarray(taps * np.minimum(1.0, 2.0 - 2.0 * np.arange(count) / count))


def invert(trace: Floats, fps: float, freq: Floats, response: Complexes, floor: float) -> Floats:
    """R, G, B (T, 3) as they were before the filter's linear part, which works on their logarithm."""
    undone = deconvolve(np.log(np.maximum(trace, 1e-4)), fps, freq, response, floor)
    return np.asarray(np.exp(undone))


def band_stopped(trace: Floats, fps: float) -> Floats:
    """R, G, B (T, 3) after the front-end alone, with nothing learned: the control of this attack."""
    return np.asarray(trace * np.exp(-_taken_out(trace, fps)))


def _taken_out(trace: Floats, fps: float) -> Floats:
    """(T, 3) what the front-end takes for a pulse in R, G, B (T, 3), logarithms."""
    cells = torch.tensor(trace, dtype=torch.float64)[None, :, None]
    front = FrontEnd().double()
    with torch.no_grad():
        dt = torch.full((1, len(trace), 1), 1.0 / fps, dtype=torch.float64)
        signals, _ = front(cells, dt, front.init_past(1, 1).double())
        basis = torch.tensor(OPPONENT, dtype=torch.float64)
        return np.asarray((signals.estimate[0, :, 0] @ basis).numpy())
