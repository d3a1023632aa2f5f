"""How much of one pulse is still in another signal: coherence near a heart rate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streamfilter.rppg.filters import Floats, analytic, check_signal, remove_line, soft_band

HALF_WIDTH_HZ = 0.2
TAPER = 0.1  # share of the signal at each end that is faded in and out


def coherence(
    signal: npt.ArrayLike,
    reference: npt.ArrayLike,
    fs: float,
    centre_bpm: float,
    half_width_hz: float = HALF_WIDTH_HZ,
) -> float:
    """Squared coherence, 0..1, of ``signal`` with ``reference`` (both (T,)) near ``centre_bpm``.

    Both are narrowed to the analytic signals a and b of ``centre_bpm / 60`` +- ``half_width_hz`` Hz (slopes
    of a quarter of the half width, inside); the result is |<a, b*>|^2 / (<|a|^2> <|b|^2>). It ignores gain
    and constant phase, and a constant delay well below 1 / (2 pi half_width_hz) (0.8 s); it falls with
    whatever in the signal does not follow the reference's own beat-to-beat change of rate and strength.
    Both ends are faded (a tenth each), or a strong line elsewhere would leak into the band.

    Signals that have nothing to do with each other give ``chance_level`` on average, not 0. Returns 0 where
    either has no power in the band. Raises ValueError where lengths differ, values are not finite, the
    band does not fit 0..fs / 2, or the time is too short for it.
    """
    a, b = check_signal(signal, fs, "signal"), check_signal(reference, fs, "reference")
    if a.size != b.size:
        raise ValueError(
            f"signal has {a.size} samples, reference {b.size}: cut both to the same stretch of time"
        )
    low, high = centre_bpm / 60.0 - half_width_hz, centre_bpm / 60.0 + half_width_hz
    if not (half_width_hz > 0 and low > 0 and high < fs / 2):
        raise ValueError(
            f"the band {low:g}..{high:g} Hz does not fit 0..{fs / 2:g} Hz: change its centre or half width"
        )
    if (high - low) * a.size / fs < 2:
        raise ValueError(
            f"{a.size / fs:g} s are too short for a band of {high - low:g} Hz: give {2 / (high - low):g} s"
        )

    def band(freq: Floats) -> Floats:
        return soft_band(freq, low, high, half_width_hz / 4, inner=True)

    window = _tukey(a.size, TAPER)
    za, zb = (analytic(remove_line(x) * window, band, fs) for x in (a, b))
    power_a, power_b = float(np.vdot(za, za).real), float(np.vdot(zb, zb).real)
    floor = 1e-26  # relative to the whole signal's power: what float64 leaves of an empty band
    if power_a <= floor * float(a @ a) or power_b <= floor * float(b @ b):
        return 0.0
    return min(1.0, float(np.abs(np.vdot(zb, za)) ** 2) / (power_a * power_b))


def chance_level(seconds: float, half_width_hz: float = HALF_WIDTH_HZ) -> float:
    """Mean ``coherence`` of independent noise over ``seconds``: about 1 / (2 half_width_hz seconds).

    One over the number of independent values in band and time, less what slopes and fades take of both
    (sum of squares squared over sum of fourth powers, of the band's gain and of the fade).
    """
    if not (seconds > 0 and half_width_hz > 0):
        raise ValueError(f"{seconds} s and {half_width_hz} Hz: give a positive length and half width")
    grid = (np.arange(2000) + 0.5) / 1000 - 1.0
    gain = soft_band(grid * half_width_hz, -half_width_hz, half_width_hz, half_width_hz / 4, inner=True)
    share = _effective_share(gain) * _effective_share(_tukey(2000, TAPER))
    return min(1.0, 1.0 / (2.0 * half_width_hz * seconds * share))


def _effective_share(weights: Floats) -> float:
    return float(np.sum(weights**2) ** 2 / (weights.size * np.sum(weights**4)))


def _tukey(size: int, share: float) -> Floats:
    """A window of ones with raised-cosine ends, each ``share`` of its length."""
    position = (np.arange(size) + 0.5) / size
    return soft_band(position, 0.0, 1.0, share, inner=True)
