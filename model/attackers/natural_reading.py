"""What POS, CHROM, GREEN and PCA read of clips with a natural or a clear pulse, and of unfiltered ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.attackers.chance import mean_difference
from model.attackers.layout import Recording
from model.attackers.reading import can_be_found, rates_of
from model.attackers.scenes import FPS
from model.evaluate.metrics import ATTACKERS, HIT_BPM


def plain_readings(recordings: Sequence[Recording], version: str) -> dict[str, Any]:
    """Of an unfiltered version: median error in bpm to the true rate, and share within 3 bpm of it."""
    errors = []
    for one in recordings:
        rates = rates_of(one.versions[version].face, FPS, ())
        errors += [rates[name] - one.true_bpm for name in ATTACKERS]
    return {"error": _median(errors), "at the true rate": _share(errors)}


def shown_readings(recordings: Sequence[Recording], version: str) -> dict[str, Any]:
    """Of a filtered version: median error in bpm to the target, shares within 3 bpm of it and of the truth,
    and what the notch finds of the true rate, with chance and the gain over it.

    Chance: the same readings against the true rates of the other clips that could have been found there.
    """
    errors, true, hits, chance = [], [], [], []
    clear = []
    for one in recordings:
        target, trace = one.targets[0], one.versions[version].face
        plain = rates_of(trace, FPS, ())
        errors += [plain[name] - target for name in ATTACKERS]
        others = [
            other.true_bpm for other in recordings if other is not one and can_be_found(other, (target,))
        ]
        if not can_be_found(one, (target,)) or not others:
            continue
        clear.append(one)
        true += [plain[name] - one.true_bpm for name in ATTACKERS]
        beside = np.array(list(rates_of(trace, FPS, (target,)).values()))
        hits.append(_share(beside - one.true_bpm))
        chance.append(np.mean([_share(beside - rate) for rate in others]))
    figures: dict[str, Any] = {
        "error": _median(errors),
        "at the target": _share(errors),
        "clips beside": len(clear),
    }
    if clear:
        gain = mean_difference([one.identity for one in clear], hits, chance)
        figures |= {
            "at the true rate": _share(true),
            "found after the notch": round(float(np.mean(hits)), 4),
            "chance": round(float(np.mean(chance)), 4),
            "gain": gain.table(),
            "met": gain.low <= 0.0,
        }
    return figures


def _median(errors: npt.ArrayLike) -> float:
    return round(float(np.nanmedian(np.abs(errors))), 2)


def _share(errors: npt.ArrayLike) -> float:
    return round(float(np.mean(np.abs(errors) <= HIT_BPM)), 4)
