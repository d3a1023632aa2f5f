"""The meter: which heart rate the camera sees on the user, and which one the others see.

Reads POS (Wang et al. 2017) and, against artefacts, asks three things of a rate before it is told:

* the peak stands out of the band (signal-to-noise ratio of de Haan & Jeanne 2013);
* CHROM, which weighs the colours in another way, finds the same one: motion tells the two apart;
* of the true pulse alone, the colour is blood's: green follows the waveform, and red changes by less
  (de Haan & van Leest 2014). Moving light and a moving head change red as much as green.

A light whose colour beats just like blood's cannot be told from a pulse by colour, and is shown as one.
"""

from __future__ import annotations

import math

import numpy as np

from streamfilter.live.status import Pulse, Spectra
from streamfilter.live.traces import Floats, Traces
from streamfilter.rppg.estimators import chrom, pos
from streamfilter.rppg.filters import band_pass, resample
from streamfilter.rppg.heart_rate import HIGH_HZ, LOW_HZ, heart_rate, snr, spectrum

SAMPLE_HZ = 30.0
LEAST_SECONDS = 6.0
LEAST_FPS = 10.0  # a pulse of 200 bpm takes 6.7, and its waveform more
LEAST_LEVEL = 0.02  # of 0..1: a darker channel shows the camera's noise
LEAST_SNR = 1.0  # dB
SAME_BPM = 3.0
MAX_RED = 0.85  # the pulse in red, relative to green
LEAST_COHERENCE = 0.5  # of green with the waveform, around the rate
PLOT_POINTS = 300
_NEAR_HZ = 0.1  # around the rate, where its colour is looked at
_PLOT_BPM = np.linspace(60.0 * LOW_HZ, 60.0 * HIGH_HZ, 241)


def read_pulse(traces: Traces, wanted: float | None) -> Pulse:
    """The heart rates of ``traces``, all that they hold, at most 20 s.

    A rate is None where it cannot be read for certain: under 6 s of trace or 10 frames a second, in the
    dark, in noise, motion or moving light. ``spectra`` (300 points at most each) is there from 6 s on.
    ``wanted`` is passed on.
    """
    if not _is_readable(traces):
        return Pulse(wanted=wanted)
    before = resample(traces.before, traces.seconds, SAMPLE_HZ)
    after = resample(traces.after, traces.seconds, SAMPLE_HZ)
    pulse_before, pulse_after = _waveform(before), _waveform(after)
    true, shown = _rate(pulse_before, before), _rate(pulse_after, after)
    if true is not None and not _is_blood(pulse_before, before, true):
        true = None
    return Pulse(true, shown, wanted, _spectra(pulse_before, pulse_after))


def _is_readable(traces: Traces) -> bool:
    seconds = traces.seconds
    if seconds.size < 2 or seconds[-1] - seconds[0] < LEAST_SECONDS:
        return False
    if (seconds.size - 1) / (seconds[-1] - seconds[0]) < LEAST_FPS:
        return False
    both = np.stack([traces.before, traces.after])
    return bool(np.isfinite(both).all() and both.mean(axis=1).min() >= LEAST_LEVEL)


def _waveform(rgb: Floats) -> Floats:
    return band_pass(pos(rgb, SAMPLE_HZ), SAMPLE_HZ)


def _rate(pulse: Floats, rgb: Floats) -> float | None:
    """The rate (bpm) that POS's waveform and CHROM agree on, None where none stands out."""
    rate = heart_rate(pulse, SAMPLE_HZ)
    other = heart_rate(band_pass(chrom(rgb, SAMPLE_HZ), SAMPLE_HZ), SAMPLE_HZ)
    if not abs(rate - other) <= SAME_BPM:  # NaN, where there is no peak at all, is not
        return None
    return rate if snr(pulse, SAMPLE_HZ, max(rate, 60.0 * LOW_HZ)) >= LEAST_SNR else None


def _is_blood(pulse: Floats, rgb: Floats, rate: float) -> bool:
    """Whether the colours change around ``rate`` as blood makes them."""
    beat = rate / 60.0
    wave = band_pass(pulse, SAMPLE_HZ, beat - _NEAR_HZ, beat + _NEAR_HZ)
    colors = band_pass(rgb / rgb.mean(axis=0) - 1.0, SAMPLE_HZ, beat - _NEAR_HZ, beat + _NEAR_HZ)
    red, green, _ = wave @ colors
    coherence = green / math.sqrt(float(wave @ wave) * float(colors[:, 1] @ colors[:, 1]) + 1e-30)
    return bool(coherence >= LEAST_COHERENCE and red <= MAX_RED * green)


def _spectra(before: Floats, after: Floats) -> Spectra:
    stride = math.ceil(before.size / PLOT_POINTS)  # 10 Hz at 20 s: still above twice the band
    seconds = np.arange(1.0 - before.size, 1.0, dtype=np.float64) / SAMPLE_HZ
    powers = []
    for waveform in (before, after):
        freq, power = spectrum(waveform, SAMPLE_HZ)
        powers.append(np.interp(_PLOT_BPM, 60.0 * freq, power))
    thin = slice((before.size - 1) % stride, None, stride)  # ends at now
    return Spectra(seconds[thin], before[thin], after[thin], _PLOT_BPM.copy(), powers[0], powers[1])
