"""rivals.md and rivals.json of what `measure_clip` found, with the issue's bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.evaluate.aggregate import SEVEN, error
from model.evaluate.report import table, write_page

Result = dict[str, Any]

SANE_BPM = 3.0  # an estimator "reads" a clip whose true rate it finds in the input to within this
MISLED_BPM = 1.5
EDITORS = ("none", "band-stop", "streaming", "pulse-edit", "region-edit", "privacy-phys", "reference")
OURS = "streaming"

INTRO = """Written by `{command}` at {commit}; artifact {artifact}. {count} clips: {names}.

Every editor gets the same frames and shows the same rate. *band-stop* and *streaming* (the runtime with
the artifact, live and without look-ahead) write Y, U, V planes. *pulse-edit* (after Chen, Liao and Wu 2022),
*region-edit* (the same idea made strict, our own) and *privacy-phys* (after Sun and Li 2022), written from
what is known of their papers (`model/rivals` says where they differ), and *reference*, the paper's recipe
trained here where a checkpoint is given, work offline on the whole clip and write 8-bit R, G, B. So each is
read twice: from R, G, B as it is, and from the Y, U, V that a call would take. *Error* is the mean of the
seven classical estimators.
Coherence is squared, with the true pulse, within 0.2 Hz of its rate; *left* is the amplitude in GREEN that
still follows the true pulse over the pulse's own (median); *found* is the share of POS, CHROM, GREEN, PCA
that read the true rate (± 3 bpm) once the shown one is notched out.
"""


@dataclass(frozen=True)
class Row:
    """Means over the clips. ``error`` bpm; ``face``, ``patches`` coherence; ``found`` a share; PSNR in dB.

    ``left`` is a median: a single clip whose edit follows the true pulse by chance would rule a mean.
    """

    error: float
    face: float
    patches: float
    left: float
    found: float
    psnr: float
    psnr_planes: float


def _median(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else float("nan")


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def row_of(results: Sequence[Result], editor: str, kind: str) -> Row:
    """The figures of an editor read as ``kind``: "planes" or "rgb"."""
    figures = [r["editors"][editor] for r in results if editor in r["editors"]]
    read = [f[kind] for f in figures]
    attackers = [(f["hits"], len(f["notch"])) for f in read if "hits" in f]
    return Row(
        error=_mean([_mean([error(f, name) for name in SEVEN]) for f in read]),
        face=_mean([f["coherence"].get("face_mean") for f in read]),
        patches=_mean([f["coherence"].get("patch_mean") for f in read]),
        left=_median([f["coherence"].get("left") for f in read]),
        found=sum(h for h, _ in attackers) / max(sum(n for _, n in attackers), 1),
        psnr=_mean([f.get("psnr") for f in figures]),
        psnr_planes=_mean([f.get("psnr_planes") for f in figures]),
    )


def editors_table(results: Sequence[Result], kind: str) -> str:
    rows = []
    for editor in _there(results):
        row = row_of(results, editor, kind)
        cells = [_text(v, f) for v, f in zip(vars(row).values(), _FORMS, strict=True)]
        rows.append([editor, *cells])
    head = ["editor", "error to target (bpm)", "coherence face", "patches", "left", "found"]
    head += ["PSNR RGB", "PSNR YUV"]
    return table(head, rows)


_FORMS = ("{:.2f}", "{:.3f}", "{:.3f}", "{:.2f}", "{:.0%}", "{:.1f}", "{:.1f}")


def _text(value: float, form: str) -> str:
    return form.format(value) if np.isfinite(value) else "–"


def _there(results: Sequence[Result]) -> list[str]:
    return [name for name in EDITORS if any(name in r["editors"] for r in results)]


def misled(results: Sequence[Result]) -> dict[str, tuple[int, int, int]]:
    """By reader: clips it reads; readings of those after our filter (two targets); how many at the target."""
    out: dict[str, tuple[int, int, int]] = {}
    for name in results[0]["learned"]:
        sane, readings, at_target = 0, 0, 0
        for result in results:
            found = result["learned"][name]
            if not _near(found.get("none"), result["true"], SANE_BPM):
                continue
            sane += 1
            for key, target in zip((OURS, f"{OURS}, second"), result["targets"], strict=True):
                readings += 1
                at_target += _near(found.get(key), target, MISLED_BPM)
        out[name] = (sane, readings, at_target)
    return out


def at_target(results: Sequence[Result], name: str) -> tuple[int, int]:
    """Readings of our output at the target, and all of them, whether the reader reads the input or not."""
    pairs = [
        (result["learned"][name].get(key), target)
        for result in results
        for key, target in zip((OURS, f"{OURS}, second"), result["targets"], strict=True)
    ]
    return sum(_near(value, target, MISLED_BPM) for value, target in pairs), len(pairs)


def _near(value: float | None, other: float | None, within: float) -> bool:
    return value is not None and other is not None and abs(value - other) <= within


def learned_table(results: Sequence[Result]) -> str:
    """Each clip and reader: what is read from the input, and after each editor."""
    names = [name for name in _there(results) if name != "none"]
    head = ("clip", "estimator", "true", "input", *(f"{n} → target" for n in names), "streaming → second")
    rows = []
    for result in results:
        first, second = result["targets"]
        for reader, found in result["learned"].items():
            after = [f"{_rate(found.get(n))} → {first:g}" for n in names]
            last = f"{_rate(found.get(f'{OURS}, second'))} → {second:g}"
            true = _rate(result["true"])
            rows.append([result["name"], reader, true, _rate(found.get("none")), *after, last])
    return table(head, rows)


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def bars(results: Sequence[Result]) -> list[tuple[str, str, str, bool]]:
    """What, bar, measured, held."""
    out = []
    counts = misled(results)
    if counts:
        reading = {name: count for name, count in counts.items() if count[0] > 0}
        total, hit = sum(c[1] for c in reading.values()), sum(c[2] for c in reading.values())
        said = f"{hit} of {total} readings by {len(reading)} estimators that read the input"
        out.append(
            (
                "learned estimators misled",
                f"target ± {MISLED_BPM:g} bpm, 3 estimators",
                said,
                hit == total and len(reading) >= 3,
            )
        )
    others = [name for name in _there(results) if name not in ("none", OURS)]
    if not others:
        return out
    for kind in ("planes", "rgb"):
        ours = row_of(results, OURS, kind)
        theirs = {name: row_of(results, name, kind) for name in others}
        for figure in ("face", "patches", "left", "found"):
            best = min(theirs, key=lambda n: getattr(theirs[n], figure))
            own, other = getattr(ours, figure), getattr(theirs[best], figure)
            said = f"{own:.3f}; {best} {other:.3f}"
            out.append((f"leakage, {figure}, read from {kind}", "first", said, own <= other))
        best = min(theirs, key=lambda n: theirs[n].error)
        said = f"{ours.error:.2f}; {best} {theirs[best].error:.2f} bpm"
        held = ours.error <= theirs[best].error + 0.3
        out.append((f"error to target, read from {kind}", "within 0.3 bpm of the best", said, held))
    for figure in ("psnr", "psnr_planes"):
        known = {name: getattr(row_of(results, name, "rgb"), figure) for name in others}
        best = max(known, key=lambda n: known[n])
        own = getattr(row_of(results, OURS, "rgb"), figure)
        said = f"{own:.1f}; {best} {known[best]:.1f} dB"
        out.append(
            (
                figure.replace("psnr_planes", "PSNR YUV").replace("psnr", "PSNR RGB"),
                "within 1 dB of the best",
                said,
                own >= known[best] - 1.0,
            )
        )
    return out


def write(folder: Path, results: Sequence[Result], meta: dict[str, Any]) -> None:
    """Writes rivals.md and rivals.json into ``folder``, each aside and then into place."""
    names = ", ".join(r["name"] for r in results)
    parts = ["# Rivals and learned estimators", INTRO.format(count=len(results), names=names, **meta)]
    if meta["reference"]:
        parts.append(f"- {meta['reference']}\n")
    rows = [(what, bar, said, "pass" if held else "**fail**") for what, bar, said, held in bars(results)]
    parts += ["## Bars", table(("what", "bar", "measured", ""), rows)]
    known = [r for r in results if r["true"] is not None]
    for kind, title in (("planes", "Read from Y, U, V"), ("rgb", "Read from R, G, B")):
        parts += [f"## {title}", editors_table(known, kind)]
    chance = [r["editors"]["none"]["chance_hits"] for r in known if "chance_hits" in r["editors"]["none"]]
    if chance:
        share = sum(chance) / (4 * len(chance))
        parts.append(f"Found in the pulse-free version of the synthetic clips, by chance: {share:.0%}.\n")
    if results[0]["learned"]:
        counts = [
            (n, f"{c[0]} of {len(results)}", f"{c[2]} of {c[1]}", "{} of {}".format(*at_target(results, n)))
            for n, c in misled(results).items()
        ]
        head = (
            "estimator",
            f"clips whose input it reads (± {SANE_BPM:g} bpm)",
            "of their filtered readings at the target",
            "of all filtered readings",
        )
        parts += ["## Learned estimators", meta["estimators"], table(head, counts), learned_table(results)]
    parts += [*(f"Not measured: {note}\n" for note in meta["notes"])]
    write_page(folder, "rivals", "\n".join(parts), {"meta": meta, "results": list(results)})
