"""The report: README.md for people, results.json for programs; written aside, then moved into place."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model.evaluate.aggregate import Result, conditions, editors_of, select, summary
from model.evaluate.bars import Bar, evaluate_bars
from streamfilter.artifact import write_whole

COLUMNS = (
    ("clips", "clips", "{:.0f}"),
    ("error_mean", "error to target, mean of 7 (bpm)", "{:.2f}"),
    ("error_worst", "worst of 7", "{:.2f}"),
    ("face", "coherence face", "{:.3f}"),
    ("face_max", "face, strongest", "{:.3f}"),
    ("patches", "patches", "{:.3f}"),
    ("patches_p90", "patches, 90th pct", "{:.3f}"),
    ("left", "pulse left in GREEN", "{:.3f}"),
    ("hits", "found after notch", "{:.0%}"),
    ("early_hits", "notch first", "{:.0%}"),
    ("psnr", "PSNR as R, G, B (dB)", "{:.1f}"),
    ("psnr_planes", "PSNR in Y, U, V (dB)", "{:.1f}"),
    ("ssim_face", "SSIM face", "{:.4f}"),
    ("ssim_frame", "SSIM frame", "{:.4f}"),
    ("flicker", "flicker", "{:.2f}"),
)
SHORT = ("error_mean", "face", "patches", "hits", "psnr")
FIGURES = (
    ("motion.png", "Leak, attack and fidelity by motion"),
    ("leak_map.png", "Where on the face the true pulse is still found"),
    ("spectra.png", "Spectra before and after"),
    ("traces.png", "Pulse waveforms before and after"),
)


READ_ME = """The editors: *none*; *band-stop*, a causal order-2 Butterworth band-stop (0.65 to 3.6 Hz) on the
skin's mean colour, which is told where the skin is; *artifact*, the trained network in the very runtime
(detection, tracking, masking, composite in Y, U, V); *oracle*, which knows the true pulse of every cell. All
write through the same composite, dithered, in 8-bit planes, and are read in the same places.

Coherence is squared, 0 to 1, within 0.2 Hz of the true rate (`streamfilter/rppg/coherence.py`); unrelated
noise gives about 0.1 on 30 s. *Pulse left in GREEN* is the amplitude that still follows the true pulse, over
the pulse's own. *Found after notch*: share of POS, CHROM, GREEN, PCA that read the true rate (± 3 bpm) once
the target and its harmonics are taken out of the waveform; *notch first*: taken out of R, G, B before the
estimator. *Flicker*: mean change from frame to frame over the face, 1 is the input's.
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def write_page(folder: Path, name: str, page: str, figures: Mapping[str, Any]) -> Path:
    """Writes ``name``.md and ``name``.json into ``folder``, each whole or not at all; the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{name}.md", page)
    write_whole(folder / f"{name}.json", json.dumps(figures, indent=1) + "\n")
    return folder / f"{name}.md"


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _bars(bars: Sequence[Bar]) -> str:
    mark = {True: "pass", False: "**fail**", None: "not measured"}
    return table(("what", "bar", "measured", ""), [(b.what, b.bar, b.value, mark[b.passed]) for b in bars])


def _overall(results: Sequence[Result], sources: Sequence[str]) -> str:
    clips = select(results, *sources)
    if not clips:
        return "No clips.\n"
    rows = []
    for editor in editors_of(clips):
        figures = summary(clips, editor)
        rows.append([editor, *(_cell(figures[key], form) for key, _, form in COLUMNS)])
    lucky = summary(clips, "none")["chance"]
    note = ""
    if lucky is not None:
        note = f"\nFound after the notch in the pulse-free version of the same clips: {lucky:.0%}.\n"
    return table(("editor", *(name for _, name, _ in COLUMNS)), rows) + note


def _by_condition(results: Sequence[Result]) -> str:
    editors = [name for name in editors_of(results) if name != "none"]
    chosen = [(key, name, form) for key, name, form in COLUMNS if key in SHORT]
    rows = []
    for factor, level, clips in conditions(results):
        row = [f"{factor} {level:g}" if isinstance(level, float) else f"{factor} {level}", str(len(clips))]
        for key, _, form in chosen:
            row.append(" / ".join(_cell(summary(clips, editor)[key], form) for editor in editors))
        rows.append(row)
    names = " / ".join(editors)
    return f"Each cell: {names}.\n\n" + table(("condition", "clips", *(n for _, n, _ in chosen)), rows)


def _known_clip(results: Sequence[Result]) -> str:
    """The table of the design page for the clip whose own pulse is known."""
    rows = []
    for r in results:
        if not r["name"].startswith("evm_face"):
            continue
        seed = r["name"].removeprefix("evm_face").replace("-seed", ", seed ")
        for editor, figures in r["editors"].items():
            ways = figures.get("codecs") or {"yuv420p": figures}
            for way, after in ways.items():
                read = [_cell(after["hr"].get(n), "{:.1f}") for n in ("POS", "CHROM", "GREEN", "PCA")]
                left = [_cell(after["notch"].get(n), "{:.1f}") for n in ("POS", "CHROM", "GREEN", "PCA")]
                rows.append((editor + seed, way, " / ".join(read), " / ".join(left)))
    if not rows:
        return "Not run.\n"
    head = ("editor", "received as", "POS / CHROM / GREEN / PCA", "after the target is notched out")
    return table(head, rows)


def _clips(results: Sequence[Result]) -> str:
    rows = []
    for r in results:
        for editor, f in r["editors"].items():
            if editor != "artifact":
                continue
            seven = [v for n, v in f["error"].items() if n != "PCA" and v is not None]
            worst = max(seven) if len(seven) == 7 else None
            leak = f.get("coherence", {})
            rows.append(
                (
                    r["name"],
                    _cell(r["true"], "{:.1f}"),
                    f"{r['target']:g}",
                    _cell(worst, "{:.2f}"),
                    _cell(leak.get("face_mean"), "{:.3f}"),
                    _cell(leak.get("patch_mean"), "{:.3f}"),
                    " / ".join(_cell(v, "{:.0f}") for v in f["notch"].values()),
                    _cell(f.get("psnr"), "{:.1f}"),
                    str(f.get("shielded", 0)),
                )
            )
    head = (
        "clip",
        "true",
        "target",
        "worst error",
        "coherence face",
        "patches",
        "after notch: POS / CHROM / GREEN / PCA",
        "PSNR",
        "shielded frames",
    )
    return table(head, rows) if rows else ""


def render(results: Sequence[Result], meta: dict[str, Any], figures: Sequence[str]) -> str:
    """README.md."""
    bars = evaluate_bars(results)
    parts = [
        "# Evaluation\n",
        "This page is written by `python -m model.evaluate`; do not edit it.\n",
        f"- command: `{meta['command']}`\n- commit: {meta['commit']}\n- artifact: {meta['artifact']}\n"
        f"- clips: {len(results)}, read after the first {meta['skip_seconds']:g} s of face\n",
        READ_ME,
        "## Bars\n",
        _bars(bars) if bars else "The artifact was not run.\n",
        "## Held-out synthetic clips\n",
        _overall(results, ["synthetic"]),
        "## By condition (synthetic)\n",
        _by_condition(results),
        "## Real clips with a planted pulse\n",
        _overall(results, ["planted"]),
        "## Real clips as they are\n",
        _overall(results, ["real"]),
        "## evm_face.mp4 (true rate 53, target 90)\n",
        _known_clip(results),
    ]
    parts += [f"## {title}\n\n![{title}]({name})\n" for name, title in FIGURES if name in figures]
    parts += ["## Each clip (artifact)\n", _clips(results)]
    for key, title in (("skipped", "Not measured"), ("failed", "Failed")):
        if meta[key]:
            parts.append(f"## {title}\n")
            parts.append("\n".join(f"- {name}: {why}" for name, why in meta[key].items()) + "\n")
    return "\n".join(parts)


def write_report(
    out: Path,
    results: Sequence[Result],
    meta: dict[str, Any],
    draw: Callable[[Path], Sequence[str]],
) -> None:
    """Writes README.md, results.json and what ``draw`` puts in a folder aside, then moves all to ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    bars = [vars(bar) for bar in evaluate_bars(results)]
    groups = {
        f"{factor} {level}": {name: summary(clips, name) for name in editors_of(clips)}
        for factor, level, clips in conditions(results)
    }
    overall = {
        source: {name: summary(select(results, source), name) for name in editors_of(results)}
        for source in ("synthetic", "planted", "real")
    }
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as place:
        aside = Path(place)
        figures = draw(aside)
        everything: dict[str, Any] = {"meta": meta, "bars": bars, "overall": overall, "conditions": groups}
        everything["clips"] = list(results)
        (aside / "results.json").write_text(json.dumps(everything, indent=1, allow_nan=False) + "\n")
        (aside / "README.md").write_text(render(results, meta, figures))
        for path in sorted(aside.iterdir()):
            path.replace(out / path.name)
