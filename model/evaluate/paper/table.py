"""From clips to the table's rows: method × dataset × target, for each estimator and way of reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.evaluate.aggregate import NOTHING_READ
from model.evaluate.paper.measure import CLASSICAL, IN_PLANES

Result = dict[str, Any]

ORDER = ("streaming", "reference", "pulse-edit", "region-edit", "privacy-phys", "band-stop", "oracle")
READ = ("written", "call")  # as the method writes it; as the Y, U, V that a call takes


@dataclass(frozen=True)
class Row:
    """Means over ``clips``. ``target`` None: over all targets.

    MAE in bpm, MAPE in % of the target; an estimator that reads nothing counts as 60 bpm off, ``unread``
    times. ``coherence`` with the contact wave, 0..1; ``found``: share of POS, CHROM, GREEN, PCA that read the
    true rate (± 3 bpm) once the target is notched out.
    """

    method: str
    dataset: str
    target: float | None
    estimator: str
    read: str
    clips: int
    psnr: float | None
    psnr_planes: float | None
    ssim: float | None
    lpips: float | None
    input_mae: float
    output_mae: float
    output_mape: float
    unread: int
    coherence: float | None
    found: float | None


def rows_of(results: Sequence[Result], dataset: str, targets: Sequence[float]) -> list[Row]:
    """Every row, methods in `ORDER`, targets before their average."""
    methods = [name for name in ORDER if any(name in r["methods"] for r in results)]
    rows = []
    for read in READ:
        for estimator in estimators_of(results):
            for method in methods:
                if estimator not in CLASSICAL and read == "call":
                    continue  # the learned ones see R, G, B only
                for target in (*targets, None):
                    made = _row(results, method, dataset, target, targets, estimator, read)
                    rows += [] if made is None else [made]
    return rows


def estimators_of(results: Iterable[Result]) -> list[str]:
    """The classical ones, then the learned ones that were run."""
    return list(dict.fromkeys([*CLASSICAL, *(name for r in results for name in r["input"]["hr"])]))


def _row(
    results: Sequence[Result],
    method: str,
    dataset: str,
    chosen: float | None,
    targets: Sequence[float],
    estimator: str,
    read: str,
) -> Row | None:
    """The row of the target ``chosen``; None: of all of them."""
    kind = "planes" if read == "call" or method in IN_PLANES else "rgb"
    figures, before, after, shares = [], [], [], []
    unread, clips = 0, set()
    for result in results:
        for target in targets if chosen is None else (chosen,):
            found = result["methods"].get(method, {}).get(f"{target:g}")
            if found is None:
                continue
            clips.add(result["name"])
            figures.append(found)
            rates = found["learned"] if estimator not in CLASSICAL else found[kind]["hr"]
            unread += rates.get(estimator) is None
            before.append(_off(result["input"]["hr"].get(estimator), target))
            after.append(_off(rates.get(estimator), target))
            shares.append(100.0 * after[-1] / target)
    if not figures:
        return None
    seen = [found[kind] for found in figures]
    attacked = [one for one in seen if "hits" in one]
    return Row(
        method=method,
        dataset=dataset,
        target=chosen,
        estimator=estimator,
        read=read,
        clips=len(clips),
        psnr=_mean(found["psnr"] for found in figures),
        psnr_planes=_mean(found["psnr_planes"] for found in figures),
        ssim=_mean(found["ssim_face"] for found in figures),
        lpips=_mean(found["lpips"] for found in figures),
        input_mae=float(np.mean(before)),
        output_mae=float(np.mean(after)),
        output_mape=float(np.mean(shares)),
        unread=unread,
        coherence=_mean(one["coherence"].get("face_mean") for one in seen),
        found=(sum(one["hits"] for one in attacked) / sum(one["attackers"] for one in attacked))
        if attacked
        else None,
    )


def _off(rate: float | None, target: float) -> float:
    return NOTHING_READ if rate is None else abs(rate - target)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
