"""How sure a figure is: shares, means and areas under the curve, each with its interval of 95 %."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

Array64 = npt.NDArray[np.float64]

LEVEL = 0.95
REPEATS = 2000  # of the bootstrap


@dataclass(frozen=True)
class Interval:
    """A figure and its interval of 95 %."""

    value: float
    low: float
    high: float

    def table(self) -> dict[str, float | None]:
        """For JSON, which knows no NaN."""
        return {key: _number(value) for key, value in vars(self).items()}


def in_words(entry: Mapping[str, Any], scale: float = 1.0, unit: str = "") -> str:
    """What `Interval.table` gave, with its interval; a dash where there is no figure."""
    if entry["value"] is None:
        return "–"
    digits = 1 if scale > 1 else 2
    low, high = (float("nan") if entry[k] is None else scale * entry[k] for k in ("low", "high"))
    return f"{scale * entry['value']:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"


def tally_cells(entry: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Of what `reading.Tally.figures` gave: clips, found, chance, and the gain in points."""
    found, chance = (f"{entry[kind]:.0%}" for kind in ("found", "chance"))
    return str(entry["clips"]), found, chance, in_words(entry["gain"], 100)


def _number(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


def share(hits: int, of: int) -> Interval:
    """``hits`` out of ``of``: Clopper & Pearson's interval (Biometrika 26, 1934), never too short.

    Raises ValueError where there is nothing to count.
    """
    if not 0 <= hits <= of or of == 0:
        raise ValueError(f"{hits} of {of} is no share: give a count out of one or more")
    tail = (1.0 - LEVEL) / 2.0
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, of - hits + 1))
    high = 1.0 if hits == of else float(beta.ppf(1.0 - tail, hits + 1, of - hits))
    return Interval(hits / of, low, high)


def bootstrap(units: Sequence[npt.ArrayLike], figure: Callable[[Array64], float], seed: int = 0) -> Interval:
    """``figure`` of all rows of ``units``, its interval by drawing whole units again (percentiles).

    A unit is one subject's rows (n, ...): clips of one face are not independent of each other.
    """
    tables = [np.asarray(unit, np.float64) for unit in units]
    if not tables:
        raise ValueError("no unit to draw from: give one table a subject")
    rng = np.random.default_rng(seed)
    drawn = [
        figure(np.concatenate([tables[k] for k in rng.integers(len(tables), size=len(tables))]))
        for _ in range(REPEATS)
    ]
    known = [value for value in drawn if math.isfinite(value)]
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if known else (math.nan, math.nan)
    return Interval(figure(np.concatenate(tables)), float(low), float(high))


def by_unit(names: Sequence[str], rows: npt.ArrayLike) -> list[Array64]:
    """Rows (n, ...) gathered by the name of their unit, in the order of the names."""
    table, labels = np.asarray(rows, np.float64), np.asarray(names)
    return [table[labels == name] for name in sorted(set(names))]


def area(scores: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """Area under the receiver's curve: how often a positive scores above a negative, ties counting half.

    NaN where one kind is missing.
    """
    values, kinds = np.asarray(scores, np.float64), np.asarray(positive, bool)
    above, below = values[kinds], values[~kinds]
    if above.size == 0 or below.size == 0:
        return math.nan
    beats = (above[:, None] > below).mean() + 0.5 * (above[:, None] == below).mean()
    return float(beats)


def area_interval(names: Sequence[str], scores: npt.ArrayLike, positive: npt.ArrayLike) -> Interval:
    """`area` with its interval over subjects."""
    rows = np.stack([np.asarray(scores, np.float64), np.asarray(positive, np.float64)], axis=1)
    return bootstrap(by_unit(names, rows), lambda table: area(table[:, 0], table[:, 1] > 0.5))


def mean_difference(names: Sequence[str], first: npt.ArrayLike, second: npt.ArrayLike) -> Interval:
    """Mean of ``first`` less ``second``, paired row by row, with its interval over subjects."""
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    return bootstrap(by_unit(names, difference[:, None]), lambda table: float(table.mean()))
