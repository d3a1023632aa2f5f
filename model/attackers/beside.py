"""(c) What the face hides, the rest may tell: neck, background, another region, the head's motion."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.attackers.chance import mean_difference, share
from model.attackers.layout import Recording, Version
from model.attackers.points import motion_pulse
from model.attackers.reading import Tally, can_be_found, rate_of, rates_of
from model.attackers.scenes import FPS
from model.evaluate.metrics import ATTACKERS
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.frame import ColorSpec
from streamfilter.rppg.estimators import ESTIMATORS
from streamfilter.rppg.filters import band_pass

Array64 = npt.NDArray[np.float64]

BACKGROUND = ((slice(0, 2), slice(0, 1)), (slice(0, 2), slice(7, 8)))  # of the picture's 8 x 8 places
NECK = ((slice(7, 8), slice(3, 5)),)
FOREHEAD = ((slice(1, 3), slice(2, 7)),)  # of the box's 9 x 9 cells
CHEEKS = ((slice(4, 7), slice(2, 4)), (slice(4, 7), slice(5, 7)))
LEFT, RIGHT = ((slice(2, 8), slice(2, 4)),), ((slice(2, 8), slice(5, 7)),)
_PAIRS = {
    "cheeks less forehead": (CHEEKS, FOREHEAD),
    "forehead less cheeks": (FOREHEAD, CHEEKS),
    "left less right": (LEFT, RIGHT),
}
_LAGS = (-2, -1, 0, 1, 2)  # frames by which one region may come after the other

Places = Sequence[tuple[slice, slice]]


def beside(tests: Sequence[Recording], heaved: Sequence[Recording]) -> dict[str, Any]:
    """All attacks beside the face on generated scenes; ``raw`` figures show what there was to be found."""
    tallies = {f"{kind}, {of}": Tally() for kind in ("neck", "background") for of in ("out", "raw")}
    reference = Tally()
    for one in tests:
        target = one.targets[0]
        if not can_be_found(one, (target,)):
            continue
        for of, free in (("out", "out_free"), ("raw", "free")):
            notched = (target,) if of == "out" else ()
            for kind, places in (("neck", NECK), ("background", BACKGROUND)):
                found, chance = (
                    rates_of(wide_rgb(one.versions[v], places), FPS, notched) for v in (of, free)
                )
                tallies[f"{kind}, {of}"].add(one, found, chance)
        found, chance = (reference_rates(one.versions[v], (target,)) for v in ("out", "out_free"))
        reference.add(one, found, chance)
    figures = {name: tally.figures() for name, tally in tallies.items()}
    figures["reference, out"] = reference.figures()
    return figures | head_motion(heaved, tests)


def wide_rgb(version: Version, places: Places) -> Array64:
    """R, G, B (T, 3), at least 1e-3, of places of the whole picture."""
    yuv = np.concatenate(
        [version.wide[:, rows, columns].reshape(len(version.wide), -1, 3) for rows, columns in places], 1
    )
    matrix, offset = yuv_to_rgb_matrix(ColorSpec())
    return np.asarray(np.maximum(yuv.mean(axis=1).astype(np.float64) @ matrix.T + offset, 1e-3))


def cell_rgb(version: Version, places: Places) -> Array64:
    """R, G, B (T, 3) of cells of the face's box."""
    parts = [version.cells[:, rows, columns].reshape(len(version.cells), -1, 3) for rows, columns in places]
    return np.asarray(np.maximum(np.concatenate(parts, 1).mean(axis=1, dtype=np.float64), 1e-3))


def reference_rates(version: Version, targets: Sequence[float]) -> dict[str, float]:
    """What is read of one region once all that another one explains is subtracted: the wanted pulse is the
    same in both, the true one's remains need not be."""
    found = {}
    for name, (places, others) in _PAIRS.items():
        for estimator in ("GREEN", "CHROM"):
            wave, other = (ESTIMATORS[estimator](cell_rgb(version, where), FPS) for where in (places, others))
            found[f"{name}, {estimator}"] = rate_of(explained_away(wave, other), FPS, targets)
    return found


def explained_away(wave: Array64, reference: Array64) -> Array64:
    """``wave`` (T,) less its least-squares fit by ``reference`` (T,), up to two frames earlier and later."""
    columns = band_pass(np.stack([np.roll(reference, lag) for lag in _LAGS], axis=1), FPS)
    own = band_pass(wave, FPS)
    weights, *_ = np.linalg.lstsq(columns, own, rcond=None)
    return np.asarray(own - columns @ weights)


def head_motion(heaved: Sequence[Recording], tests: Sequence[Recording]) -> dict[str, Any]:
    """The beat in the motion of the head, where it is planted; chance: the same scenes, head not heaved."""
    still = {one.name.split("-")[1]: one for one in tests}
    tallies = {"head motion, out": Tally(), "head motion, raw": Tally()}
    for one in heaved:
        number = one.name.split("-")[1]
        if number not in still:
            continue
        for of in ("out", "raw"):
            found, chance = (_motion_rate(r.versions[of]) for r in (one, still[number]))
            tallies[f"head motion, {of}"].add(one, found, chance)
    return {name: tally.figures() for name, tally in tallies.items()}


def _motion_rate(version: Version) -> dict[str, float]:
    wave = motion_pulse(version.points, FPS)
    return {"motion": float("nan") if wave is None else rate_of(wave, FPS, ())}


def beyond_the_face(path: Path) -> dict[str, Any]:
    """Neck, chest and hands as `python -m model.evaluate.beyond` left them in ``path``, with intervals.

    Empty where that file is not there.
    """
    if not path.is_file():
        return {}
    scenes = json.loads(path.read_text())["scenes"]
    regions = [(s["name"], region) for s in scenes for region in s["regions"].values()]
    figures = {}
    for way in ("before", "beyond"):
        found, chance = (np.array([_hit(r, w) for _, r in regions]) for w in (way, "no pulse"))
        known = np.isfinite(found) & np.isfinite(chance)
        names = [name for (name, _), k in zip(regions, known, strict=True) if k]
        if not names:
            continue
        gain = mean_difference(names, found[known], chance[known])
        readings = len(ATTACKERS) * int(known.sum())
        figures[way] = {
            "regions": int(known.sum()),
            "scenes": len(set(names)),
            "found": share(round(float(found[known].sum()) * len(ATTACKERS)), readings).table(),
            "chance": share(round(float(chance[known].sum()) * len(ATTACKERS)), readings).table(),
            "gain": gain.table(),
            "met": gain.low <= 0.0,
        }
    return figures


def _hit(region: Mapping[str, Any], way: str) -> float:
    """Share of the four readers that found the true rate; NaN where the region was not read that way."""
    figures = region["ways"].get(way)
    return float("nan") if figures is None else float(figures["hits"]) / len(ATTACKERS)
