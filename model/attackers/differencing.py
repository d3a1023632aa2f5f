"""(f) Two outputs of one scene, with two targets: what they have in common is not the shown pulse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.attackers.chance import mean_difference
from model.attackers.layout import Recording
from model.attackers.reading import can_be_found, rate_of, rates_of
from model.attackers.scenes import FPS
from model.evaluate.metrics import ATTACKERS, HIT_BPM
from streamfilter.rppg.estimators import ESTIMATORS
from streamfilter.rppg.filters import band_pass
from streamfilter.rppg.heart_rate import notch_out

Array64 = npt.NDArray[np.float64]

WAYS = ("one output", "average", "common part", "difference", "change of target")


def two_outputs(first: Array64, second: Array64, targets: tuple[float, float]) -> dict[str, dict[str, float]]:
    """Rates (bpm) read from R, G, B (T, 3) of two outputs with targets A and B, by way and reader.

    ``average``: masking that differs from run to run shrinks. ``common part``: what both move by alike,
    moment by moment. ``difference``: what does not cancel. ``change of target``: the first half of one,
    the second of the other, each notched at its own target only. All but the last are notched at both.
    """
    a, b = np.log(first), np.log(second)
    level = np.exp(a.mean(axis=0))
    half = len(a) // 2
    spliced = [(a[:half], targets[0]), (b[half:], targets[1])]
    return {
        "one output": rates_of(first, FPS, targets),
        "average": rates_of(np.exp(0.5 * (a + b)), FPS, targets),
        "common part": _common(first, second, targets),
        "difference": rates_of(level * np.exp(a - b - (a - b).mean(axis=0)), FPS, targets),
        "change of target": _spliced([(level * np.exp(x - x.mean(axis=0)), t) for x, t in spliced]),
    }


def _common(first: Array64, second: Array64, targets: tuple[float, float]) -> dict[str, float]:
    """Of each estimator's two waves the part along which they agree: the smaller where signs agree."""
    found = {}
    for name in ATTACKERS:
        waves = [ESTIMATORS[name](trace, FPS) for trace in (first, second)]
        for target in targets:
            waves = [notch_out(wave, FPS, target) for wave in waves]
        a, b = (wave / max(float(wave.std()), 1e-12) for wave in waves)
        agreed = np.where(a * b > 0, np.sign(a) * np.minimum(np.abs(a), np.abs(b)), 0.0)
        found[name] = rate_of(band_pass(agreed, FPS), FPS, targets)
    return found


def _spliced(parts: Sequence[tuple[Array64, float]]) -> dict[str, float]:
    found = {}
    for name in ATTACKERS:
        waves = [notch_out(ESTIMATORS[name](trace, FPS), FPS, target) for trace, target in parts]
        found[name] = rate_of(np.concatenate([wave - wave.mean() for wave in waves]), FPS, ())
    return found


def differencing(tests: Sequence[Recording]) -> dict[str, Any]:
    """Hits by way. Chance: the same readings against the true rates of the other clips of the set that could
    have been found there. ``over_one``: what the way finds more often than one output alone does."""
    clips = [one for one in tests if can_be_found(one, one.targets)]
    if len(clips) < 2:
        return {"clips": len(clips)}
    read = [two_outputs(one.versions["out"].face, one.versions["out_b"].face, one.targets) for one in clips]
    subjects = [one.identity for one in clips]
    shares: dict[str, tuple[Array64, Array64]] = {}
    for way in WAYS:
        hits, chance = [], []
        for k, one in enumerate(clips):
            rates = np.array(list(read[k][way].values()))
            others = [
                other.true_bpm
                for j, other in enumerate(clips)
                if j != k and all(abs(o * t - other.true_bpm) >= 12 for t in one.targets for o in (1, 2, 3))
            ]
            hits.append(float(np.mean(np.abs(rates - one.true_bpm) <= HIT_BPM)))
            chance.append(
                float(np.mean([np.abs(rates - other) <= HIT_BPM for other in others])) if others else 0.0
            )
        shares[way] = np.array(hits), np.array(chance)
    figures: dict[str, Any] = {"clips": len(clips), "subjects": len(set(subjects))}
    for way, (hit, chance_of) in shares.items():
        gain = mean_difference(subjects, hit, chance_of)
        figures[way] = {
            "found": round(float(hit.mean()), 4),
            "chance": round(float(chance_of.mean()), 4),
            "gain": gain.table(),
            "over_one": mean_difference(subjects, hit, shares["one output"][0]).table(),
            "met": gain.low <= 0.0,
        }
    return figures
