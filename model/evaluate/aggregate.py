"""From clips to groups: means by editor, and by motion, skin tone, light, frame rate and camera."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

SEVEN = ("POS", "CHROM", "GREEN", "ICA", "LGI", "PBV", "OMIT")
ATTACKERS = ("POS", "CHROM", "GREEN", "PCA")
NOTHING_READ = 60.0  # bpm; the error that counts where an estimator reads no rate at all
FACTORS = ("motion", "tone", "light", "fps", "camera")

Result = dict[str, Any]
Figures = dict[str, Any]


def select(results: Iterable[Result], *sources: str, **labels: Any) -> list[Result]:
    """The results of these sources ("synthetic", "real", "planted"; none: all) with these labels."""
    return [
        r
        for r in results
        if (not sources or r["labels"]["source"] in sources)
        and all(r["labels"].get(key) == value for key, value in labels.items())
    ]


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of those that are there, None where none is."""
    known = [float(v) for v in values if v is not None]
    return float(np.mean(known)) if known else None


def of(results: Iterable[Result], editor: str, get: Callable[[Figures], float | None]) -> float | None:
    """Mean of one figure of an editor over clips."""
    return mean(get(r["editors"][editor]) for r in results if editor in r["editors"])


def error(figures: Figures, estimator: str) -> float:
    value = figures["error"].get(estimator)
    return NOTHING_READ if value is None else float(value)


def errors(results: Iterable[Result], editor: str) -> dict[str, float | None]:
    """Mean error to the target (bpm) of each of the seven estimators."""
    clips = list(results)
    return {name: of(clips, editor, lambda f, n=name: error(f, n)) for name in SEVEN}  # type: ignore[misc]


def hit_rate(results: Iterable[Result], editor: str, key: str = "hits") -> float | None:
    """Share of attackers that find the true rate."""
    return of(results, editor, lambda f: None if f.get(key) is None else f[key] / len(ATTACKERS))


def chance(results: Iterable[Result]) -> float | None:
    """The same share on the pulse-free versions of the clips."""
    return mean(r["pulse_free"]["hits"] / len(ATTACKERS) for r in results if "pulse_free" in r)


def leak(figures: Figures, key: str) -> float | None:
    return figures.get("coherence", {}).get(key)


def summary(results: Iterable[Result], editor: str) -> dict[str, float | None]:
    """The figures of one editor over these clips."""
    clips = [r for r in results if editor in r["editors"]]
    seven = [value for value in errors(clips, editor).values() if value is not None]
    return {
        "clips": len(clips),
        "error_mean": float(np.mean(seven)) if seven else None,
        "error_worst": max(seven) if seven else None,
        "face": of(clips, editor, lambda f: leak(f, "face_mean")),
        "face_max": of(clips, editor, lambda f: leak(f, "face_max")),
        "patches": of(clips, editor, lambda f: leak(f, "patch_mean")),
        "patches_p90": of(clips, editor, lambda f: leak(f, "patch_p90")),
        "left": of(clips, editor, lambda f: leak(f, "left")),
        "hits": hit_rate(clips, editor),
        "early_hits": hit_rate(clips, editor, "early_hits"),
        "chance": chance(clips),
        "psnr": of(clips, editor, lambda f: f.get("psnr")),
        "psnr_planes": of(clips, editor, lambda f: f.get("psnr_planes")),
        "ssim_face": of(clips, editor, lambda f: f.get("ssim_face")),
        "ssim_frame": of(clips, editor, lambda f: f.get("ssim_frame")),
        "flicker": of(clips, editor, lambda f: f.get("flicker")),
    }


def conditions(results: Iterable[Result]) -> list[tuple[str, Any, list[Result]]]:
    """Every (factor, level, its clips) of the synthetic set."""
    clips = select(results, "synthetic")
    out = []
    for factor in FACTORS:
        levels = {r["labels"][factor] for r in clips if r["labels"][factor] is not None}
        for level in sorted(levels, key=lambda v: (isinstance(v, str), v)):
            out.append((factor, level, select(clips, **{factor: level})))
    return out


def editors_of(results: Iterable[Result]) -> list[str]:
    """The editors that were run, in the report's order."""
    seen = {name for r in results for name in r["editors"]}
    return [name for name in ("none", "band-stop", "artifact", "oracle") if name in seen]
