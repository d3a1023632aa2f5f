"""What the learned attackers are given: colours in the pulse's band, spectra, marks of an edit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from model.attackers.layout import CELLS, Version
from model.attackers.scenes import FPS
from model.frontend import OPPONENT
from streamfilter.rppg.filters import Floats, band_pass, rfft_hz
from streamfilter.rppg.heart_rate import notch_out

Array32 = npt.NDArray[np.float32]

BAND_HZ = (0.6, 4.0)
SCALE = 200.0  # brings a pulse of 0.5 % to unit size
LIMIT = 4.0  # of a scaled trace; more is motion
GRID_BPM = np.arange(42.0, 117.0, 1.0)  # rates that an attacker chooses from: wider than the truth's
_PATCH = 3  # a patch is 3 x 3 cells


def band_traces(version: Version, targets: Sequence[float]) -> Array32:
    """(T, 81, 3): opponent colours (model/frontend.py) of the cells, logarithmic, in band, about unit size.

    ``targets``: shown rates that are notched out first; none for an unfiltered clip.
    """
    cells = version.cells.reshape(len(version.cells), CELLS * CELLS, 3).astype(np.float64)
    colours = np.log(np.maximum(cells, 0.004)) @ np.array(OPPONENT).T
    flat = band_pass(colours.reshape(len(cells), -1), FPS, *BAND_HZ)
    for target in targets:
        flat = without(flat, target)
    return np.clip(SCALE * flat.reshape(colours.shape), -LIMIT, LIMIT).astype(np.float32)


def without(table: Floats, target: float) -> Floats:
    """Columns (T, C) with a shown rate notched out, all at once: `notch_out` is a projection."""
    return np.asarray(_notch(len(table), target) @ table)


@cache
def _notch(length: int, target: float) -> Floats:
    """The matrix (T, T) of `notch_out` on signals without a straight line."""
    return np.stack([notch_out(row, FPS, target) for row in np.eye(length)], axis=1)


def spectra(traces: Array32) -> Array32:
    """(20, F) from band traces (T, 81, 3): square roots of power at the grid's rates and at their doubles.

    Rows: three colours of the whole box and of its middle, each at the rate and at twice it; then the mean
    over patches of each colour at both; luma and colour of the best patch. Each row has unit mean.
    """
    table = traces.reshape(len(traces), CELLS, CELLS, 3).astype(np.float64)
    patches = (
        table.reshape(len(traces), _PATCH, _PATCH, _PATCH, _PATCH, 3)
        .mean(axis=(2, 4))
        .reshape(len(traces), -1, 3)
    )
    places = np.concatenate(
        [table.mean(axis=(1, 2))[:, None], table[:, 2:7, 2:7].mean(axis=(1, 2))[:, None], patches], axis=1
    )
    rows = [_power(places, GRID_BPM), _power(places, 2.0 * GRID_BPM)]
    out = [row[:2].reshape(6, -1) for row in rows] + [row[2:].mean(axis=0) for row in rows]
    out += [rows[0][2:].max(axis=0)[:2]]
    joined = np.sqrt(np.concatenate(out))
    return np.asarray(joined / np.maximum(joined.mean(axis=1, keepdims=True), 1e-9), np.float32)


def _power(places: Floats, bpm: Floats) -> Floats:
    """Power (P, 3, F) of traces (T, P, 3) at these rates, Hann window."""
    waves = fourier(len(places), bpm)
    lines = np.einsum("ft,tpc->pcf", waves, places)
    return np.asarray(np.abs(lines) ** 2)


def fourier(length: int, bpm: Floats) -> npt.NDArray[np.complex128]:
    """(F, T): the windowed waves that read the rates ``bpm`` from signals of ``length`` samples."""
    seconds = np.arange(length) / FPS
    window = np.hanning(length + 2)[1:-1]
    return np.asarray(np.exp(-2j * np.pi * np.outer(bpm / 60.0, seconds)) * window * (2.0 / window.sum()))


def edit_marks(version: Version) -> dict[str, float]:
    """Marks that an edit could leave, by name; "pixel" ones are of the frames, "pulse" ones of the traces.

    Dither and masking make pixels flicker more than their texture lets expect; a shown pulse could be too
    strong, too sharp, too alike over the face, of too constant a colour, or the band beside it too noisy.
    """
    statistics = np.log(version.pixels[1:].astype(np.float64) + 0.01)
    marks = {}
    for k, plane in enumerate("YUV"):
        change, texture, flicker = statistics[:, 3 * k : 3 * k + 3].mean(axis=0)
        marks[f"pixel: change of {plane}"] = change
        marks[f"pixel: flicker of {plane}"] = flicker
        marks[f"pixel: flicker over texture of {plane}"] = flicker - texture
        marks[f"pixel: change over flicker of {plane}"] = change - flicker
        marks[f"pixel: unrest of the change of {plane}"] = float(statistics[:, 3 * k].std())
    for plane, column in (("U", 5), ("V", 8)):
        marks[f"pixel: flicker of {plane} over Y"] = statistics[:, column].mean() - statistics[:, 2].mean()
    traces = band_traces(version, ()).astype(np.float64)
    whole = traces.mean(axis=1)
    freq = rfft_hz(len(whole), FPS)
    power = np.abs(np.fft.rfft(whole * np.hanning(len(whole))[:, None], axis=0)) ** 2
    inside = (freq >= 0.7) & (freq <= 3.5)
    strongest = freq[inside][int(np.argmax(power[inside].sum(axis=1)))]
    near = np.abs(freq - strongest) < 0.2
    twice = np.abs(freq - 2.0 * strongest) < 0.2
    for c, colour in enumerate(("luma", "green-blue", "red-cyan")):
        line, rest = power[near, c].sum(), power[inside & ~near & ~twice, c].mean()
        marks[f"pulse: strength in {colour}"] = float(np.log(line + 1e-9))
        marks[f"pulse: line over rest in {colour}"] = float(np.log(line / max(rest, 1e-12) + 1e-9))
        marks[f"pulse: second harmonic in {colour}"] = float(
            np.log((power[twice, c].sum() + 1e-9) / (line + 1e-9))
        )
        alike = np.mean(whole[:, c] ** 2) / max(float(np.mean(traces[..., c] ** 2)), 1e-12)
        marks[f"pulse: alike over the face in {colour}"] = float(np.log(alike + 1e-6))
    for (a, b), value in zip(
        ((0, 1), (0, 2), (1, 2)), np.corrcoef(whole.T)[np.triu_indices(3, 1)], strict=True
    ):
        marks[f"pulse: colours {a} and {b} together"] = float(value)
    return marks
