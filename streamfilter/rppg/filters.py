"""Linear filters of colour traces: zero phase, by FFT, with soft edges. NumPy only.

Traces run along axis 0: (T,) or (T, C), evenly sampled at ``fs`` Hz. Each filter mirrors the trace at
its end (the symmetric extension of the type-II cosine transform), so that start and end need not meet:
a mirrored trace has no jump, and what leaks from its kink falls as 1 / f^2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Complexes = npt.NDArray[np.complex128]

PULSE_LOW_HZ = 0.65  # 39 bpm; the band of de Haan & Jeanne 2013 spans 40 to 240 bpm
PULSE_HIGH_HZ = 4.0
EDGE_HZ = 0.1


def check_rate(fs: float) -> None:
    """Raise ValueError unless ``fs`` is finite and above twice ``PULSE_HIGH_HZ``."""
    if not (np.isfinite(fs) and fs > 2 * PULSE_HIGH_HZ):
        raise ValueError(f"sample rate {fs} Hz cannot carry a pulse: give more than {2 * PULSE_HIGH_HZ:g} Hz")


def check_signal(x: npt.ArrayLike, fs: float, name: str = "signal") -> Floats:
    """``x`` as float64 (T,); ValueError unless finite, one-dimensional, of 3 samples or more, ``fs`` > 0."""
    signal = np.asarray(x, dtype=np.float64)
    if signal.ndim != 1 or signal.size < 3:
        raise ValueError(f"{name} has shape {signal.shape}: give one dimension, 3 samples or more")
    if not np.isfinite(signal).all():
        raise ValueError(f"{name} holds NaN or infinity: fill or drop those samples first")
    if not (np.isfinite(fs) and fs > 0):
        raise ValueError(f"sample rate {fs} Hz is not positive and finite: give the rate of {name}")
    return signal


def rfft_hz(size: int, fs: float) -> Floats:
    """Frequencies in Hz of the bins of an rfft of ``size`` samples at ``fs`` Hz."""
    return np.fft.rfftfreq(size, 1.0 / fs).astype(np.float64)


def soft_band(freq: Floats, low: float, high: float, edge: float = EDGE_HZ, *, inner: bool = False) -> Floats:
    """Gain of a band: 1 on ``low``..``high`` (Hz), raised-cosine slopes of ``edge`` Hz, 0 beyond.

    The slopes lie outside ``low``..``high``, or inside with ``inner``. ``edge`` 0 gives a brick wall.
    """
    if inner:
        low, high = low + edge, high - edge
    outside = np.maximum(low - freq, freq - high)
    if edge <= 0:
        return (outside <= 0).astype(np.float64)
    gain: Floats = 0.5 + 0.5 * np.cos(np.pi * np.clip(outside / edge, 0.0, 1.0))
    return gain


def apply_response(x: Floats, fs: float, response: Callable[[Floats], Floats]) -> Floats:
    """``x`` (T,) or (T, C) filtered along axis 0 by the real gain ``response(freq in Hz)``: zero phase."""
    length = x.shape[0]
    mirrored = np.concatenate([x, x[::-1]], axis=0)
    gain = response(rfft_hz(2 * length, fs))
    spectrum = np.fft.rfft(mirrored, axis=0) * gain.reshape(-1, *([1] * (x.ndim - 1)))
    filtered: Floats = np.fft.irfft(spectrum, n=2 * length, axis=0)[:length]
    return filtered


def remove_line(x: Floats) -> Floats:
    """``x`` less its least-squares straight line along axis 0."""
    t = np.arange(x.shape[0], dtype=np.float64)
    t -= t.mean()
    centred = x - x.mean(axis=0)
    slope = np.tensordot(t, centred, axes=(0, 0)) / np.sum(t * t)
    flat: Floats = centred - np.multiply.outer(t, slope)
    return flat


def detrend(x: Floats, fs: float, cutoff: float = 0.3) -> Floats:
    """``x`` less a smooth trend; half of the amplitude at ``cutoff`` Hz is taken for trend.

    The straight line goes first, then the smoothness-priors trend (Tarvainen, Ranta-aho & Karjalainen
    2002: the smooth curve that minimises misfit plus a penalty on its second difference), here in
    closed form: under mirrored ends, and far below fs / 2, its gain is 1 / (1 + (f / cutoff)^4).
    """

    def high_pass(freq: Floats) -> Floats:
        ratio = (freq / cutoff) ** 4
        gain: Floats = ratio / (1.0 + ratio)
        return gain

    return apply_response(remove_line(x), fs, high_pass)


def band_pass(
    x: Floats, fs: float, low: float = PULSE_LOW_HZ, high: float = PULSE_HIGH_HZ, edge: float = EDGE_HZ
) -> Floats:
    """``x`` (T,) or (T, C) within ``low``..``high`` Hz: zero phase, slopes of ``edge`` Hz outside."""
    return apply_response(remove_line(x), fs, lambda freq: soft_band(freq, low, high, edge))


def analytic(x: Floats, band: Callable[[Floats], Floats] | None = None, fs: float = 1.0) -> Complexes:
    """Analytic signal of ``x`` (T,): real part ``x``, imaginary part its Hilbert transform (FFT, periodic).

    ``band``, if given, is a real gain over frequency in Hz that is applied in the same transform.
    """
    length = x.shape[0]
    spectrum = np.fft.rfft(x)
    one_sided = np.zeros(length, dtype=np.complex128)
    one_sided[: spectrum.size] = 2.0 * spectrum
    one_sided[0] = spectrum[0]
    if length % 2 == 0:
        one_sided[length // 2] = spectrum[-1]
    if band is not None:
        one_sided[: spectrum.size] *= band(rfft_hz(length, fs))
    out: Complexes = np.fft.ifft(one_sided)
    return out


def resample(rgb: npt.ArrayLike, seconds: npt.ArrayLike, fs: float) -> Floats:
    """Traces on an even grid of ``fs`` Hz, from the first to the last capture time.

    ``rgb`` is (T, 3) (any number of channels will do), ``seconds`` (T,) strictly increasing capture
    times in seconds, evenly spaced or not. Returns (T', 3) float64, sample k at ``seconds[0] + k / fs``.
    Linear interpolation: exact where times agree, no overshoot over gaps; where ``fs`` is below the
    source's rate, the piecewise-linear trace is averaged over each output interval, against aliasing.
    Raises ValueError on mismatched shapes, times that do not increase, or non-finite values.
    """
    values = np.asarray(rgb, dtype=np.float64)
    times = np.asarray(seconds, dtype=np.float64)
    if values.ndim != 2 or times.shape != values.shape[:1] or times.size < 2:
        raise ValueError(
            f"traces {values.shape} and times {times.shape} do not fit: give (T, 3) and (T,), T >= 2"
        )
    if not (np.isfinite(values).all() and np.isfinite(times).all()):
        raise ValueError("traces or times hold NaN or infinity: fill or drop those frames first")
    steps = np.diff(times)
    if not (steps > 0).all():
        raise ValueError("capture times do not increase: sort the frames and drop repeated ones")
    if not (np.isfinite(fs) and fs > 0):
        raise ValueError(f"sample rate {fs} Hz is not positive and finite: give the wanted rate")
    start = times[0]
    count = int(np.floor((times[-1] - start) * fs + 1e-6)) + 1
    grid = start + np.arange(count) / fs
    if fs * float(np.median(steps)) > 0.9:
        return np.stack([np.interp(grid, times, channel) for channel in values.T], axis=1)
    area = np.zeros_like(values)
    np.cumsum(0.5 * (values[1:] + values[:-1]) * steps[:, None], axis=0, out=area[1:])
    left = np.maximum(grid - 0.5 / fs, start)
    right = np.minimum(grid + 0.5 / fs, times[-1])
    integral = [
        _integral_at(right, times, v, a) - _integral_at(left, times, v, a)
        for v, a in zip(values.T, area.T, strict=True)
    ]
    out: Floats = np.stack(integral, axis=1) / (right - left)[:, None]
    return out


def _integral_at(at: Floats, times: Floats, values: Floats, area: Floats) -> Floats:
    """Integral of the piecewise-linear trace from ``times[0]`` to ``at``; ``area`` holds it at each knot."""
    k = np.clip(np.searchsorted(times, at, side="right") - 1, 0, times.size - 2)
    ahead = at - times[k]
    slope = (values[k + 1] - values[k]) / (times[k + 1] - times[k])
    out: Floats = area[k] + ahead * (values[k] + 0.5 * slope * ahead)
    return out
