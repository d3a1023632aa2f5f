"""How an attacker reads a heart rate from traces once the shown one is known, and how hits are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.attackers.chance import mean_difference, share
from model.attackers.layout import Recording
from model.attackers.scenes import SIZE, Scene, draw_scenes
from model.evaluate.metrics import ATTACKERS, HIT_BPM
from streamfilter.rppg.estimators import ESTIMATORS
from streamfilter.rppg.heart_rate import heart_rate, heart_rate_after_notch, notch_out

Array64 = npt.NDArray[np.float64]

APART_BPM = 12.0  # a true rate this near to the shown one or its multiples hides under the notches
_LOW, _HIGH = 45.0, 115.0  # an attacker who knows what hearts do at rest looks here only


def can_be_found(recording: Recording, targets: Sequence[float]) -> bool:
    """Whether the true rate lies clear of the notches at these targets."""
    return _clear(recording.true_bpm, targets)


def readable_scenes(faces: Path | None, count: int, seconds: float, size: int = SIZE) -> list[Scene]:
    """The first ``count`` test scenes, ``size`` pixels a side, whose drawn rate is clear of the first shown
    one."""
    drawn = draw_scenes(faces, "test", 4 * count + 8, seconds, size)
    return [one for one in drawn if _clear(one.settings.hr, one.targets[:1])][:count]


def _clear(bpm: float, targets: Sequence[float]) -> bool:
    return all(abs(order * target - bpm) >= APART_BPM for target in targets for order in (1, 2, 3))


def rates_of(trace: Array64, fps: float, targets: Sequence[float]) -> dict[str, float]:
    """The rate (bpm) that each of POS, CHROM, GREEN and PCA reads from R, G, B (T, 3) beside ``targets``.

    The notch is applied to the waveform, and again to the traces before the estimator ("early"), as in
    model/evaluate. NaN where nothing is left to read.
    """
    mean = trace.mean(axis=0)
    clean = trace
    for target in targets:
        clean = np.stack([notch_out(column, fps, target) for column in clean.T], axis=1)
    clean = clean - clean.mean(axis=0) + mean
    found = {}
    for name in ATTACKERS:
        found[name] = rate_of(ESTIMATORS[name](trace, fps), fps, targets)
        found[f"{name}, early"] = rate_of(ESTIMATORS[name](clean, fps), fps, targets)
    return found


def rate_of(wave: npt.ArrayLike, fps: float, targets: Sequence[float]) -> float:
    """The strongest rate of a waveform (T,) beside ``targets``; NaN where there is none."""
    signal = np.asarray(wave, np.float64)
    for target in targets[:-1]:
        signal = notch_out(signal, fps, target)
    if not targets:
        return heart_rate(signal, fps, _LOW / 60.0, _HIGH / 60.0)
    return heart_rate_after_notch(signal, fps, targets[-1])


@dataclass
class Tally:
    """Counts, clip by clip, what one attack finds where the pulse is hidden and where there is none."""

    subjects: list[str] = field(default_factory=list)
    found: list[Mapping[str, float]] = field(default_factory=list)
    free: list[Mapping[str, float]] = field(default_factory=list)
    true: list[float] = field(default_factory=list)

    def add(self, recording: Recording, found: Mapping[str, float], free: Mapping[str, float]) -> None:
        """What each reader found in one clip and in the same clip without a pulse."""
        self.subjects.append(recording.identity)
        self.true.append(recording.true_bpm)
        self.found.append(found)
        self.free.append(free)

    def figures(self) -> dict[str, Any]:
        """Share of readings that hit, chance, and the gain with its interval over subjects; by reader too.

        ``met``: whether the interval of the gain holds 0 or lies below.
        """
        if not self.true:
            return {"clips": 0}
        names = list(self.found[0])
        hits, chance = (self._hits(table, names) for table in (self.found, self.free))
        gain = mean_difference(self.subjects, hits.mean(axis=1), chance.mean(axis=1))
        readers = {
            name: {
                "found": share(int(hits[:, k].sum()), len(hits)).table(),
                "chance": share(int(chance[:, k].sum()), len(chance)).table(),
                "gain": mean_difference(self.subjects, hits[:, k], chance[:, k]).table(),
            }
            for k, name in enumerate(names)
        }
        return {
            "clips": len(hits),
            "subjects": len(set(self.subjects)),
            "found": round(float(hits.mean()), 4),
            "chance": round(float(chance.mean()), 4),
            "gain": gain.table(),
            "met": gain.low <= 0.0,
            "readers": readers,
        }

    def _hits(self, table: Sequence[Mapping[str, float]], names: Sequence[str]) -> Array64:
        rows = [
            [abs(row[name] - true) <= HIT_BPM for name in names]
            for row, true in zip(table, self.true, strict=True)
        ]
        return np.array(rows, np.float64)
