"""The front-end (``model.frontend``) in the serving form: the band-stop as one matrix of the time step.

One frame of a section is linear in its input and its two states, with coefficients that are sums of six
functions of the time step. Three sections in a row are a product of three small matrices, made once a step
and stream, and every cell's three colours go through it as rows of one matrix product.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from export.graph import GraphWriter
from model.frontend import BRISK, FEATURE_SCALE, INNER_SCALE, OPPONENT, SLEW
from streamfilter import contract
from streamfilter.band_stop import LEAK_SECONDS, MAX_POLE, SECTIONS

Array = npt.NDArray[np.float32]
_COUNT = len(SECTIONS)
_STATES = 2 * _COUNT
_SIZE = 1 + 2 * _STATES  # a row: the signal, the states, the band and low values (features)


def front_end(g: GraphWriter, colour: str, dt: str, frame: str, cells: int) -> tuple[str, str]:
    """``colour`` (batch, 3, cells), a grey level above black → the estimate (batch, 3, cells), and the
    features averaged over 2 × 2 cells (batch, 24, cells / 4). Adds the states ``colour``, ``level`` and
    ``filters``."""
    signals = 3 * cells
    last = g.input(f"{contract.STATE_PREFIX}colour", 3, cells)
    level = g.input(f"{contract.STATE_PREFIX}level", 1, signals)
    filters = g.input(f"{contract.STATE_PREFIX}filters", _STATES, signals)
    step = g("Clip", dt, 1e-3, 0.2)
    now = g("MatMul", np.array(OPPONENT, np.float32), g("Log", colour))
    change, brisk = _changes(g, g("Sub", now, last), step, frame, cells)
    keep = g.reshape(g("Add", g("Mul", step, -1.0 / LEAK_SECONDS), 1.0), 1, 1)
    level = g("Add", g("Mul", level, keep), g.reshape(change, 1, signals))
    g.output(now, f"{contract.NEXT_PREFIX}colour", 3, cells)

    matrix, gain = _pass_matrix(g, step)
    through = g("MatMul", matrix, g("Concat", level, filters, axis=1))
    out, following, inner = g.split(through, [1, _STATES, _STATES], 1)
    g.output(following, f"{contract.NEXT_PREFIX}filters", _STATES, signals)
    estimate = g("Sub", level, g("Div", out, gain))
    kinds = g("Concat", estimate, g.reshape(brisk, 1, signals), inner, axis=1)
    side, maps = math.isqrt(cells), 3 * (2 + _STATES)
    halved = g("AveragePool", g.reshape(kinds, maps, side, side), kernel_shape=[2, 2], strides=[2, 2])
    features = g.reshape(halved, maps, cells // 4)
    g.output(level, f"{contract.NEXT_PREFIX}level", 1, signals)
    return g.reshape(estimate, 3, cells), features


def signal_weights(weight: Array) -> Array:
    """``encoder.signals.weight`` (C, 24) for the features as they come here, not scaled yet."""
    colours = np.array(FEATURE_SCALE)
    scale = np.concatenate([colours, np.ones(3), *(gain * colours for gain in INNER_SCALE)])
    return (weight * scale).astype(np.float32)


def _changes(g: GraphWriter, moved: str, step: str, frame: str, cells: int) -> tuple[str, str]:
    """The limited change and the brisk feature, (batch, 1, 3, cells) each; none in a stream's first frame."""
    started = g("Unsqueeze", g("Cast", g("Greater", frame, np.array(0)), to=1), np.array([1]))
    # No change in the first frame: the limiter is odd, so a zero before it is one after it.
    pace = 1.0 / np.array([[*SLEW, *BRISK]], np.float32)
    factor = g.reshape(g("MatMul", g("Div", started, step), pace), 2, 3, 1)
    x = g("Mul", g.reshape(moved, 1, 3, cells), factor)
    square = g("Mul", x, x)  # a colour from 0 to 1 and a step of 1 ms keep the fourth power below 1e18
    root = g("Sqrt", g("Sqrt", g("Add", g("Mul", square, square), 1.0)))
    slow, brisk = g.split(g("Div", x, root), [1, 1], 1)
    limit = g.reshape(g("MatMul", step, np.array([SLEW], np.float32)), 1, 3, 1)
    return g("Mul", slow, limit), brisk


def _pass_matrix(g: GraphWriter, step: str) -> tuple[str, str]:
    """One pass of all sections, (batch, 13, 7): signal and states → signal, states, inner values; and the
    gain at rest (batch, 1, 1) that the signal is divided by."""
    poles, qualities, zeros = (np.array(column, np.float32) for column in zip(*SECTIONS, strict=True))
    places = g("Min", g("Mul", step, math.pi * np.concatenate([poles, zeros])), math.pi * MAX_POLE)
    g_pole, g_zero = g.split(g("Tan", places), [_COUNT, _COUNT], 1)
    quotient = g("Div", g_zero, g_pole)
    ratio = g("Mul", quotient, quotient)
    inverse = g("Reciprocal", g("Add", g("Mul", g("Add", g_pole, 1.0 / qualities), g_pole), 1.0))
    first = g("Mul", inverse, g_pole)
    second = g("Mul", first, g_pole)
    terms = [inverse, first, second, ratio, g("Mul", ratio, first), g("Mul", ratio, second)]
    weight, bias = _section_matrices(1.0 / qualities)
    flat = g("Gemm", g("Concat", *terms, axis=1), weight, bias)
    widths = [1 + _STATES, *[_SIZE] * (_COUNT - 1)]
    parts = g.split(g.reshape(flat, sum(widths) * _SIZE), [_SIZE * width for width in widths], 1)
    matrix = g.reshape(parts[0], _SIZE, widths[0])
    for part, width in zip(parts[1:], widths[1:], strict=True):
        matrix = g("MatMul", g.reshape(part, _SIZE, width), matrix)
    gain = g.reshape(g("ReduceProd", ratio, np.array([1])), 1, 1)
    return matrix, gain


def _section_matrices(dampings: Array) -> tuple[Array, Array]:
    """Weight (6 × sections, …) and bias that make the sections' matrices out of the six functions of each.

    A section takes a column (signal, states, inner values) and replaces the signal, its own two states and
    its own two inner values. The first one has no inner values to take: its last columns are left out.
    """
    names = ("one", "c", "gc", "ggc", "r", "rgc", "rggc")
    weights: list[npt.NDArray[np.float64]] = []
    biases: list[npt.NDArray[np.float64]] = []
    for section in range(_COUNT):
        s1, s2 = 1 + 2 * section, 2 + 2 * section
        band_at, low_at = 1 + _STATES + 2 * section, 2 + _STATES + 2 * section
        d = float(dampings[section])
        y = 0
        # Each value as {taken: {function: factor}}; low = s2 + g c s1 + g² c (y − s2), and so on.
        band = {s1: {"c": 1.0}, y: {"gc": 1.0}, s2: {"gc": -1.0}}
        low = {s2: {"one": 1.0, "ggc": -1.0}, s1: {"gc": 1.0}, y: {"ggc": 1.0}}
        raised = {s2: {"r": 1.0, "rggc": -1.0}, s1: {"rgc": 1.0}, y: {"rggc": 1.0}}
        matrix = np.zeros((len(names), _SIZE, _SIZE))
        for at in range(_SIZE):
            if at not in (y, s1, s2, band_at, low_at):
                matrix[0, at, at] = 1.0

        def put(
            made: int, value: dict[int, dict[str, float]], factor: float, into: npt.NDArray[np.float64]
        ) -> None:
            for taken, sums in value.items():
                for name, share in sums.items():
                    into[names.index(name), made, taken] += factor * share

        unit = {"one": 1.0}
        for made, pieces in (
            (y, (({y: unit}, 1.0), (band, -d), (low, -1.0), (raised, 1.0))),
            (s1, ((band, 2.0), ({s1: unit}, -1.0))),
            (s2, ((low, 2.0), ({s2: unit}, -1.0))),
            (band_at, ((band, 1.0),)),
            (low_at, (({y: unit}, 1.0), (low, -1.0))),
        ):
            for value, factor in pieces:
                put(made, value, factor, matrix)
        kept = matrix[:, :, : 1 + _STATES] if section == 0 else matrix
        flat = kept.reshape(len(names), -1)
        biases.append(flat[0])
        spread = np.zeros(((len(names) - 1) * _COUNT, flat.shape[1]))
        for index in range(1, len(names)):
            spread[(index - 1) * _COUNT + section] = flat[index]
        weights.append(spread)
    return np.concatenate(weights, 1).astype(np.float32), np.concatenate(biases).astype(np.float32)
