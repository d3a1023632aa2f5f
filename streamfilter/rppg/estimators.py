"""Classical rPPG estimators: from the skin's mean R, G, B over time to a pulse waveform.

Each is a function ``(rgb, fs) -> bvp``. ``rgb`` is (T, 3), R, G, B in columns on any positive linear scale
(0..1, 0..255), evenly sampled at ``fs`` Hz, of ``MIN_SECONDS`` or more. ``bvp`` is (T,) float64, zero mean,
without unit: it rises where the skin's green rises. (Blood absorbs green, so the volume of blood is
its negative; the papers publish it this way round.) A trace that does not change gives zeros.

All raise ValueError where ``rgb`` is too short, has another shape, is not finite, or has a channel of mean
0 or less, and where ``fs`` cannot carry a pulse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from streamfilter.rppg.blind import jade, most_periodic, principal_components
from streamfilter.rppg.filters import Floats, apply_response, band_pass, check_rate, remove_line

Estimator = Callable[[npt.ArrayLike, float], Floats]

MIN_SECONDS = 3.2  # two windows of POS and CHROM, two beats at 40 bpm
WINDOW_SECONDS = 1.6
STILL = 1e-9  # relative change of a trace below which there is nothing to read (float64 rounding is 1e-16)
PULSE_SIGNATURE = (0.33, 0.77, 0.53)  # relative strength of the pulse in R, G, B (Wang et al. 2017)


def _checked(rgb: npt.ArrayLike, fs: float) -> Floats:
    check_rate(fs)
    traces = np.asarray(rgb, dtype=np.float64)
    if traces.ndim != 2 or traces.shape[1] != 3:
        raise ValueError(f"traces have shape {traces.shape}: give (T, 3), mean R, G, B of the skin")
    least = min_samples(fs)
    if traces.shape[0] < least:
        raise ValueError(
            f"{traces.shape[0]} samples are too few at {fs:g} Hz: give {least} or more ({MIN_SECONDS:g} s)"
        )
    if not np.isfinite(traces).all():
        raise ValueError("traces hold NaN or infinity: fill or drop those frames first")
    if not (traces.mean(axis=0) > 0).all():
        raise ValueError("a channel's mean is 0 or less: give linear or camera R, G, B of lit skin")
    return traces


def min_samples(fs: float) -> int:
    """The fewest samples that an estimator takes at ``fs`` Hz."""
    return math.ceil(MIN_SECONDS * fs)


def _is_still(traces: Floats) -> bool:
    return bool((np.ptp(traces, axis=0) <= STILL * traces.mean(axis=0)).all())


def _relative(traces: Floats, fs: float) -> Floats:
    """Change of each channel relative to its slowly moving mean, (T, 3), in the pulse's band.

    The slow mean (below about 0.3 Hz) divides rather than the whole trace's: the pulse scales with the light.
    """
    slow = apply_response(remove_line(traces), fs, lambda f: 1.0 / (1.0 + (f / 0.3) ** 4))
    mean = traces.mean(axis=0)
    line = traces - mean - remove_line(traces)
    level = np.maximum(mean + line + slow, 0.05 * mean)
    return band_pass(traces / level - 1.0, fs)


def green(rgb: npt.ArrayLike, fs: float) -> Floats:
    """GREEN: the green channel's relative change, band-passed.

    Verkruysse, Svaasand & Nelson 2008, "Remote plethysmographic imaging using ambient light".
    """
    traces = _checked(rgb, fs)
    if _is_still(traces):
        return np.zeros(traces.shape[0])
    bvp: Floats = _relative(traces, fs)[:, 1]
    return bvp


def pos(rgb: npt.ArrayLike, fs: float) -> Floats:
    """POS: projection on the plane orthogonal to the skin tone, in overlapping windows of 1.6 s.

    Wang, den Brinker, Stuijk & de Haan 2017, "Algorithmic principles of remote PPG", algorithm 1; the
    sum of the overlapping windows is divided by their number. No filter is applied, as in the paper.
    """
    traces = _checked(rgb, fs)
    length = traces.shape[0]
    bvp = np.zeros(length)
    if _is_still(traces):
        return bvp
    window = math.ceil(WINDOW_SECONDS * fs)
    windows = np.lib.stride_tricks.sliding_window_view(traces, window, axis=0)  # (N, 3, window)
    level = np.maximum(windows.mean(axis=2), 1e-3 * traces.mean(axis=0))
    r, g, b = np.moveaxis(windows / level[:, :, None], 1, 0)
    s1 = g - b
    s2 = g + b - 2.0 * r
    h = s1 + _ratio(s1.std(axis=1), s2.std(axis=1))[:, None] * s2
    h -= h.mean(axis=1, keepdims=True)
    count = h.shape[0]
    for k in range(window):
        bvp[k : k + count] += h[:, k]
    bvp /= window
    bvp -= bvp.mean()
    return bvp


def chrom(rgb: npt.ArrayLike, fs: float) -> Floats:
    """CHROM: two chrominance signals, balanced in half-overlapping Hann windows of 1.6 s.

    de Haan & Jeanne 2013, "Robust pulse rate from chrominance-based rPPG". A window of
    1.6 s is too short for a sharp band-pass, so the chrominance signals are filtered over the whole trace
    and then cut. The sign is turned: the paper's falls where green rises.
    """
    traces = _checked(rgb, fs)
    length = traces.shape[0]
    if _is_still(traces):
        return np.zeros(length)
    r, g, b = _relative(traces, fs).T
    x = 3.0 * r - 2.0 * g
    y = 1.5 * r + g - 1.5 * b
    half = math.ceil(WINDOW_SECONDS * fs / 2)
    window = 2 * half
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * (np.arange(window) + 0.5) / window)
    # Half a window of zeros on both sides lets the Hann windows sum to 1 from the first sample to the last.
    steps = math.ceil(length / half) + 1
    tail = (steps + 1) * half - half - length
    xs, ys = np.pad(x, (half, tail)), np.pad(y, (half, tail))
    out = np.zeros(xs.size)
    for start in range(0, steps * half, half):
        real = slice(max(start, half), min(start + window, half + length))
        alpha = _ratio(xs[real].std(), ys[real].std())
        cut = slice(start, start + window)
        out[cut] += hann * (alpha * ys[cut] - xs[cut])
    bvp: Floats = out[half : half + length] - out[half : half + length].mean()
    return bvp


def ica(rgb: npt.ArrayLike, fs: float) -> Floats:
    """ICA: the most periodic of three independent components (JADE).

    Poh, McDuff & Picard 2010, "Non-contact, automated cardiac pulse measurements using video imaging and
    blind source separation"; Cardoso & Souloumiac 1993 for JADE. The traces are band-passed
    first, and the component whose spectrum has the highest peak against the rest of the band is taken.
    """
    traces = _checked(rgb, fs)
    if _is_still(traces):
        return np.zeros(traces.shape[0])
    relative = _relative(traces, fs)
    return _oriented(most_periodic(jade(relative), fs), relative)


def pca(rgb: npt.ArrayLike, fs: float) -> Floats:
    """PCA: the most periodic of three principal components.

    Lewandowska, Ruminski, Kocejko & Nowak 2011, "Measuring pulse rate with a webcam: a non-contact method
    for evaluating cardiac activity".
    """
    traces = _checked(rgb, fs)
    if _is_still(traces):
        return np.zeros(traces.shape[0])
    relative = _relative(traces, fs)
    return _oriented(most_periodic(principal_components(relative), fs), relative)


def lgi(rgb: npt.ArrayLike, fs: float) -> Floats:
    """LGI: local group invariance, what is left of green once the main colour direction is projected out.

    Pilz, Zaunseder, Krajewski & Blazek 2018, "Local group invariance for heart rate estimation from face
    videos in the wild": the first left singular vector of the uncentred (3, T) traces is removed.
    """
    traces = _checked(rgb, fs)
    if _is_still(traces):
        return np.zeros(traces.shape[0])
    _, vectors = np.linalg.eigh(traces.T @ traces)  # left singular vectors of traces.T, ascending
    return _without(traces, vectors[:, -1], fs)


def omit(rgb: npt.ArrayLike, fs: float) -> Floats:
    """OMIT: orthogonal matrix image transformation, LGI with the direction taken from a QR decomposition.

    Alvarez Casado & Bordallo Lopez 2022, "Face2PPG: an unsupervised pipeline for blood volume pulse
    extraction from faces": Q's first column (the first sample's colour) is projected out.
    """
    traces = _checked(rgb, fs)
    if _is_still(traces):
        return np.zeros(traces.shape[0])
    q, _ = np.linalg.qr(traces.T)
    return _without(traces, q[:, 0], fs)


def pbv(rgb: npt.ArrayLike, fs: float) -> Floats:
    """PBV: the combination of channels whose correlation with each follows the blood-volume signature.

    de Haan & van Leest 2014, "Improved motion robustness of remote-PPG by using the blood volume pulse
    signature": weights k Q^-1 p with Q the covariance of the relative traces. Q is loaded with
    a hundredth of its mean eigenvalue: a camera's white balance turns p, and an exact inverse then
    cancels a clean pulse together with the noise.
    """
    traces = _checked(rgb, fs)
    if _is_still(traces):
        return np.zeros(traces.shape[0])
    relative = _relative(traces, fs)
    covariance = relative.T @ relative / relative.shape[0]
    power = float(np.trace(covariance)) / 3.0
    if power <= STILL**2:
        return np.zeros(traces.shape[0])
    signature = np.array(PULSE_SIGNATURE)
    signature /= np.linalg.norm(signature)
    weights = np.linalg.solve(covariance + 0.01 * power * np.eye(3), signature)
    out: Floats = relative @ (weights / (signature @ weights))
    return out


def _without(traces: Floats, direction: Floats, fs: float) -> Floats:
    """Green, band-passed, after ``direction`` (unit vector in R, G, B) has been projected out."""
    scaled = traces / traces.mean()
    projected: Floats = scaled[:, 1] - (scaled @ direction) * direction[1]
    return band_pass(projected, fs)


def _oriented(component: Floats, relative: Floats) -> Floats:
    """A blind source has no sign of its own: give it green's."""
    return -component if component @ relative[:, 1] < 0 else component


def _ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Floats:
    """``numerator / denominator``, 0 where the denominator is rounding noise."""
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    usable = bottom > 1e-12
    out: Floats = np.where(usable, top / np.where(usable, bottom, 1.0), 0.0)
    return out


ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {
        "POS": pos,
        "CHROM": chrom,
        "GREEN": green,
        "ICA": ica,
        "LGI": lgi,
        "PBV": pbv,
        "OMIT": omit,
        "PCA": pca,
    }
)
