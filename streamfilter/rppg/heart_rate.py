"""Reading a heart rate from a pulse waveform, and the attacker's way to look beside a known one.

Waveforms are ``bvp`` (T,) at ``fs`` Hz; rates are in beats a minute (bpm). All functions raise ValueError on
signals that are not one-dimensional or not finite.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from streamfilter.rppg.filters import (
    PULSE_HIGH_HZ,
    PULSE_LOW_HZ,
    Floats,
    check_signal,
    remove_line,
    rfft_hz,
)

LOW_HZ = 40 / 60
HIGH_HZ = 200 / 60
ZERO_PADDING = 16
SNR_HALF_WIDTH_HZ = 0.1
NOTCH_DEPTH = 0.05  # directions weaker than this share of the strongest lie more outside the band than in it


def spectrum(bvp: npt.ArrayLike, fs: float) -> tuple[Floats, Floats]:
    """Power spectrum of ``bvp`` less its straight line: Hann window, zero-padded 16 times or more.

    Returns (frequency in Hz, power), each (F,); a sine of amplitude a has a peak of a^2.
    """
    signal = remove_line(check_signal(bvp, fs, "bvp"))
    window = np.hanning(signal.size + 2)[1:-1]
    size = 1 << int(np.ceil(np.log2(ZERO_PADDING * signal.size)))
    amplitude = np.abs(np.fft.rfft(signal * window, n=size)) * (2.0 / window.sum())
    power: Floats = amplitude**2
    return rfft_hz(size, fs), power


def heart_rate(bvp: npt.ArrayLike, fs: float, low: float = LOW_HZ, high: float = HIGH_HZ) -> float:
    """Heart rate in bpm: the highest spectral peak of ``bvp`` within ``low``..``high`` Hz.

    The peak is refined by a parabola through the logarithm of three bins. The band is widened by a
    quarter of the clip's resolution (1 / T), so that noise cannot push a rate at its very edge out of it.
    Returns NaN where the band holds no peak at all (a flat signal): there is no rate to read.
    """
    freq, power = spectrum(bvp, fs)
    slack = 0.25 * fs / np.asarray(bvp).size
    return _strongest_peak(freq, power, (freq >= low - slack) & (freq <= high + slack))


def _strongest_peak(freq: Floats, power: Floats, allowed: npt.NDArray[np.bool_]) -> float:
    """The rate (bpm) of the highest local maximum among ``allowed`` bins, NaN where there is none."""
    centre = power[1:-1]
    is_peak = allowed[1:-1] & (centre > power[:-2]) & (centre >= power[2:]) & (centre > 1e-30)
    if not is_peak.any():
        return float("nan")
    k = int(np.argmax(np.where(is_peak, centre, -1.0))) + 1
    before, at, after = np.log(np.maximum(power[k - 1 : k + 2], 1e-300))
    bend = before - 2.0 * at + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(60.0 * (freq[k] + shift * (freq[1] - freq[0])))


def snr(bvp: npt.ArrayLike, fs: float, bpm: float) -> float:
    """Signal-to-noise ratio in dB of a pulse of ``bpm`` in ``bvp``.

    de Haan & Jeanne 2013: power within 0.1 Hz of the rate and of its first harmonic against the rest of
    0.65..4 Hz. Raises ValueError where ``bpm`` lies outside that band or ``bvp`` has no power there.
    """
    beat = bpm / 60.0
    if not PULSE_LOW_HZ <= beat <= PULSE_HIGH_HZ:
        raise ValueError(
            f"{bpm} bpm lies outside {60 * PULSE_LOW_HZ:g}..{60 * PULSE_HIGH_HZ:g} bpm: give a rate inside"
        )
    freq, power = spectrum(bvp, fs)
    band = (freq >= PULSE_LOW_HZ) & (freq <= PULSE_HIGH_HZ)
    near = (np.abs(freq - beat) <= SNR_HALF_WIDTH_HZ) | (np.abs(freq - 2 * beat) <= SNR_HALF_WIDTH_HZ)
    signal, rest = float(power[band & near].sum()), float(power[band & ~near].sum())
    if signal + rest <= 0.0:
        raise ValueError("the waveform has no power in the pulse's band: there is no pulse to rate")
    tiny = 1e-30 * (signal + rest)
    return float(10.0 * np.log10((signal + tiny) / (rest + tiny)))


def notch_out(
    bvp: npt.ArrayLike, fs: float, bpm: float, width_bpm: float = 8.0, harmonics: int = 3
) -> Floats:
    """``bvp`` (T,) without a known pulse: ``bpm`` and its multiples up to ``harmonics`` are taken out.

    The attack on a shown heart rate: whoever knows it removes it and looks at what is left. Whatever
    ``bvp`` holds of waveforms confined to ``width_bpm`` around each multiple is removed by orthogonal
    projection (their subspace is spanned by discrete prolate sequences, Slepian 1978), which is zero phase
    and, unlike a filter, leaves no residue at the clip's ends, where a weak true pulse would drown.
    """
    signal = remove_line(check_signal(bvp, fs, "bvp"))
    if not (bpm > 0 and width_bpm > 0 and harmonics >= 1):
        raise ValueError(
            f"cannot notch {bpm} bpm, width {width_bpm} bpm, {harmonics} harmonics: give positive values"
        )
    half = width_bpm / 120.0
    count = 2 * math.ceil(2 * half * signal.size / fs) + 3  # twice as dense as the clip resolves
    offsets = np.linspace(-half, half, count)
    orders = np.arange(1, harmonics + 1)
    freq = (orders[:, None] * bpm / 60.0 + offsets).ravel()
    angle = 2.0 * np.pi / fs * np.outer(np.arange(signal.size) - 0.5 * signal.size, freq[freq < fs / 2])
    if angle.size == 0:
        return signal
    waves = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    power, directions = np.linalg.eigh(waves.T @ waves)
    keep = power > NOTCH_DEPTH**2 * power[-1]
    basis = waves @ (directions[:, keep] / np.sqrt(power[keep]))
    rest: Floats = signal - basis @ (basis.T @ signal)
    return rest


def heart_rate_after_notch(
    bvp: npt.ArrayLike, fs: float, target_bpm: float, width_bpm: float = 8.0, harmonics: int = 3
) -> float:
    """The rate (bpm) that an attacker reads once ``target_bpm`` and its harmonics are notched out.

    The strongest peak of 40..200 bpm that is further from each multiple of the target than 1.5 times the
    notch's half width; NaN where none is left.
    """
    freq, power = spectrum(notch_out(bvp, fs, target_bpm, width_bpm, harmonics), fs)
    slack = 0.25 * fs / np.asarray(bvp).size
    allowed = (freq >= LOW_HZ - slack) & (freq <= HIGH_HZ + slack)
    for order in range(1, harmonics + 1):
        allowed &= np.abs(freq - order * target_bpm / 60.0) > 1.5 * width_bpm / 120.0
    return _strongest_peak(freq, power, allowed)
