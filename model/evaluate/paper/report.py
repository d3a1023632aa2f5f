"""The table as README.md for people, table.csv and results.json for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from model.evaluate.paper.measure import CLASSICAL
from model.evaluate.paper.published import ESTIMATOR, NAMES, NOTE, ROWS, Published
from model.evaluate.paper.table import Result, Row, estimators_of, rows_of
from model.evaluate.report import table
from streamfilter.artifact import write_whole

HEAD = (
    "method",
    "dataset",
    "target (bpm)",
    "PSNR ↑ (dB)",
    "SSIM ↑",
    "LPIPS ↓",
    "input MAE (bpm)",
    "output MAE ↓ (bpm)",
    "output MAPE ↓ (%)",
    "coherence ↓",
    "found ↓",
    "",
)
INTRO = """Written by `{command}` at {commit}; artifact {artifact}. {count} clips of {subjects} subjects,
dataset `{dataset}`{title}.

Every method gets the same frames and shows the same rate. *streaming* is the runtime with its artifact,
live and without look-ahead, *band-stop* a causal filter, *oracle* knows the contact wave and takes its
best fit out: these write 8-bit Y, U, V planes. *pulse-edit* (after Chen, Liao and Wu 2022), *region-edit*
(the same idea made strict, our own), *privacy-phys* (after Sun and Li 2022), both written from what is known
of their papers (`model/rivals` says where they differ), and *reference* (the paper's recipe, trained here,
around the VAE that is named below) see the whole clip and write 8-bit R, G, B. PSNR, SSIM and LPIPS are of
R, G, B over the face's box, against the same frames before the edit. Input and output MAE are the
estimator's distance from the *target* before and after; one that reads nothing counts as 60 bpm off. Further
than the paper: *coherence* is squared, of POS, CHROM and GREEN with the contact wave within 0.2 Hz of its
rate; *found* is the share of POS, CHROM, GREEN and PCA that read the true rate (± 3 bpm) once the target is
notched out of their wave. Below 20 s or so coherence is coarse, since it averages few stretches of a clip.
"""


def write(
    folder: Path, results: Sequence[Result], meta: dict[str, Any], targets: Sequence[float]
) -> list[Row]:
    """Writes the three files into ``folder``, each aside and then into place; returns the rows."""
    rows = rows_of(results, meta["dataset"], targets)
    folder.mkdir(parents=True, exist_ok=True)
    everything = {
        "meta": meta,
        "rows": [asdict(row) for row in rows],
        "published": [asdict(row) for row in ROWS],
        "clips": list(results),
    }
    write_whole(folder / "results.json", json.dumps(everything, indent=1, allow_nan=False) + "\n")
    write_whole(folder / "table.csv", as_csv(rows))
    write_whole(folder / "README.md", render(results, rows, meta))
    return rows


def as_csv(rows: Sequence[Row]) -> str:
    """One line a row, ours and then the published ones; ``source`` tells them apart, unknown is empty."""
    names = [field.name for field in fields(Row)]
    text = io.StringIO()
    lines = csv.DictWriter(text, [*names, "source"], lineterminator="\n")
    lines.writeheader()
    for row in rows:
        told = {name: _plain(value) for name, value in asdict(row).items()}
        lines.writerow(told | {"target": _target(row.target), "source": "measured"})
    for known in ROWS:
        told = {name: _plain(value) for name, value in asdict(known).items() if name in names}
        told |= {"target": _target(known.target), "estimator": ESTIMATOR, "source": _source(known)}
        lines.writerow(told)
    return text.getvalue()


def _plain(value: Any) -> Any:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value


def _target(target: float | None) -> str:
    return "average" if target is None else f"{target:g}"


def _source(row: Published) -> str:
    return "published" if row.confirmed else "published, unconfirmed"


def render(results: Sequence[Result], rows: Sequence[Row], meta: dict[str, Any]) -> str:
    """README.md."""
    subjects = len({result["subject"] for result in results})
    title = f", {meta['title']}" if meta["title"] else ""
    about = {key: meta[key] for key in ("command", "commit", "artifact", "dataset")}
    parts = [
        "# The paper's table\n",
        INTRO.format(count=len(results), subjects=subjects, title=title, **about),
        "\n".join(f"- {note}" for note in meta["notes"]) + "\n",
        f"## Read by {ESTIMATOR}, as in the paper\n",
        "As each method writes it.\n",
        _main(rows, meta["dataset"], len(results)),
        NOTE,
        "## Read from the Y, U, V that a call takes\n",
        f"{ESTIMATOR}. What R, G, B editors write is rounded to 4:2:0 planes first.\n",
        table(HEAD, _own(rows, "call", len(results))),
        "## By estimator, average over the targets\n",
        "Each cell: output MAE (bpm) / output MAPE (%), as written; *input* is the MAE before any edit.\n",
        _by_estimator(results, rows),
        "## Other estimators, by target\n",
        *(_other(name, rows) for name in estimators_of(results) if name != ESTIMATOR),
        "## Clips\n",
        _clips(results),
    ]
    for key, what in (("skipped", "Not measured"), ("failed", "Failed")):
        if meta[key]:
            parts.append(f"## {what}\n")
            parts.append("\n".join(f"- {name}: {why}" for name, why in meta[key].items()) + "\n")
    return "\n".join(parts)


def _main(rows: Sequence[Row], dataset: str, clips: int) -> str:
    mine = NAMES.get(dataset)
    known = [_known(row) for row in sorted(ROWS, key=lambda row: row.dataset != mine)]
    return table(HEAD, [*_own(rows, "written", clips), *known])


def _own(rows: Sequence[Row], read: str, clips: int) -> list[list[str]]:
    return [_cells(row, clips) for row in rows if row.estimator == ESTIMATOR and row.read == read]


def _cells(row: Row, clips: int) -> list[str]:
    bold = "**{}**" if row.target is None else "{}"
    figures = (
        (row.psnr, "{:.2f}"),
        (row.ssim, "{:.4f}"),
        (row.lpips, "{:.4f}"),
        (row.input_mae, "{:.2f}"),
        (row.output_mae, "{:.2f}"),
        (row.output_mape, "{:.2f}"),
        (row.coherence, "{:.3f}"),
        (row.found, "{:.0%}"),
    )
    notes = [_fewer(row, clips), f"read nothing {row.unread} ×" if row.unread else ""]
    note = "; ".join(one for one in notes if one)
    said = [row.method, row.dataset, _target(row.target), *(_text(value, form) for value, form in figures)]
    return [*(bold.format(cell) for cell in said), note]


def _fewer(row: Row, clips: int) -> str:
    """Where a method could not run on every clip (the oracle needs a contact wave), on how many it did."""
    return f"{row.clips} of {clips} clips" if row.clips < clips else ""


def _known(row: Published) -> list[str]:
    figures = ((row.psnr, "{:.2f}"), (row.ssim, "{:.4f}" if row.target == 120 else "{:.2f}"), (None, ""))
    more = ((row.input_mae, "{:.2f}"), (row.output_mae, "{:.2f}"), (row.output_mape, "{:.2f}"))
    said = [_text(value, form) for value, form in (*figures, *more)]
    return [row.method, row.dataset, _target(row.target), *said, "–", "–", f"*{_source(row)}*"]


def _text(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _by_estimator(results: Sequence[Result], rows: Sequence[Row]) -> str:
    """Methods by estimators; *input* is over all clips, as are the methods that ran on all."""
    names = estimators_of(results)
    average = [row for row in rows if row.target is None and row.read == "written"]
    lines, before = [], {}
    for method in dict.fromkeys(row.method for row in average):
        found = {row.estimator: row for row in average if row.method == method}
        cells = [f"{found[name].output_mae:.2f} / {found[name].output_mape:.2f}" for name in names]
        fewer = _fewer(found[names[0]], len(results))
        lines.append([f"{method} ({fewer})" if fewer else method, *cells])
        if not fewer:
            before = {name: f"{found[name].input_mae:.2f}" for name in names}
    if before:
        lines.insert(0, ["input", *(before[name] for name in names)])
    return table(("method", *names), lines)


def _other(estimator: str, rows: Sequence[Row]) -> str:
    chosen = [row for row in rows if row.estimator == estimator and row.read == "written"]
    kind = "" if estimator in CLASSICAL else " (learned; sees R, G, B)"
    lines = [
        [
            row.method,
            _target(row.target),
            f"{row.input_mae:.2f}",
            f"{row.output_mae:.2f}",
            f"{row.output_mape:.2f}",
            str(row.unread),
        ]
        for row in chosen
    ]
    head = ("method", "target (bpm)", "input MAE", "output MAE", "output MAPE (%)", "read nothing")
    return f"### {estimator}{kind}\n\n" + table(head, lines)


def _clips(results: Sequence[Result]) -> str:
    """Each clip: the true rate and what is read of it before any edit, where an error may come from."""
    names = estimators_of(results)
    lines = [
        [
            result["name"],
            result["subject"],
            f"{result['seconds']:.1f}",
            _text(result["true"], "{:.1f}"),
            *(_text(result["input"]["hr"].get(name), "{:.1f}") for name in names),
            ", ".join(f"{key} {value}" for key, value in result["attributes"].items()),
        ]
        for result in results
    ]
    return table(("clip", "subject", "seconds", "true", *(f"{name}, input" for name in names), ""), lines)
