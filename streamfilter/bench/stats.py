"""What is said of a series of times: percentiles, jitter, and how far repeats lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_NORMAL = 1.4826  # standard deviations in a median absolute deviation of normal noise


@dataclass(frozen=True, slots=True)
class Summary:
    """Of times in milliseconds, in the order in which they were taken.

    ``jitter`` is the mean absolute difference of neighbours (RFC 3550, section 6.4.1, without its smoothing).
    ``blocks`` are the medians of the repeats, which were taken in turn with what it is compared with.
    """

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    jitter: float
    blocks: tuple[float, ...]

    @property
    def spread(self) -> float:
        """Relative spread of the repeats: their median absolute deviation, scaled to a standard deviation."""
        return spread(self.blocks)


def summary(blocks: Sequence[Sequence[float]]) -> Summary:
    """Of the repeats' times, milliseconds. Raises ValueError where there are none."""
    series = np.array([value for block in blocks for value in block], np.float64)
    if not series.size:
        raise ValueError("no times were taken")
    p50, p95, p99 = np.percentile(series, (50, 95, 99))
    # Across the gap between two blocks nothing follows on anything.
    steps = [abs(later - former) for block in blocks for former, later in pairwise(block)]
    return Summary(
        count=int(series.size),
        mean=_short(series.mean()),
        p50=_short(p50),
        p95=_short(p95),
        p99=_short(p99),
        jitter=_short(np.mean(steps)) if steps else 0.0,
        blocks=tuple(_short(np.median(block)) for block in blocks if len(block)),
    )


def spread(repeats: Sequence[float]) -> float:
    """Relative spread of repeated measurements, 0 for fewer than two of them."""
    if len(repeats) < 2:
        return 0.0
    middle = float(np.median(repeats))
    away = float(np.median(np.abs(np.array(repeats) - middle)))
    return _NORMAL * away / middle if middle > 0 else 0.0


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times as long theirs takes: the median over the repeats, each against its neighbour in time.

    Raises ValueError where the repeats do not pair.
    """
    return float(np.median([b / a for a, b in zip(ours, theirs, strict=True)]))


def _short(value: float | np.floating) -> float:
    return round(float(value), 4)
