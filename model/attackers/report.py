"""docs/evaluation/attackers: results.json, README.md and pictures, from the attackers' figures alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model.attackers import off_skin_report
from model.attackers.chance import in_words
from model.attackers.plots import Bar, draw_gains
from streamfilter.artifact import write_whole

Figures = Mapping[str, Any]

_METHODS = """\
Scenes are generated (model/data) at 176 x 176, 30 frames a second, and go through the runtime's own filter:
detection, tracking, network, masking, dithered Y, U, V planes. True rate and shown rate are drawn apart from
each other, both from 48 to 110 bpm, so that the shown one says nothing of the true one. A reading hits where
it is within 3 bpm. *Chance* is the same attack on the same scenes filtered without a pulse on the skin.
Intervals are of 95 %: shares by Clopper and Pearson, all else by drawing whole subjects again (bootstrap);
one without width means that every clip gave the same, and is no proof that others would.
Only clips whose true rate is 12 bpm or more from the shown one and its multiples count for readings beside
it. Rows named *control* and *raw* have a pulse to be found: where the attack does not work there, its other
rows say nothing. *Met* says that the interval holds chance (readings), or that the figure is within the bar
(learned, detector; *surely*: its whole interval is): with this many clips a gain up to the interval's upper
end remains possible."""


def write(out: Path, meta: Figures, figures: Figures) -> Path:
    """Writes the folder's files, each aside first, and returns README.md's path."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "results.json", json.dumps({"meta": meta, "figures": figures}, indent=1) + "\n")
    gains = _gain_bars(figures)
    draw_gains(out / "gains.png", gains, "Found more often than by chance", "share of readings", 0.0)
    parts = [_head(meta), _bars(figures), _above_chance(figures)]
    parts += ["![Gain of each attacker over chance; controls in grey](gains.png)", _METHODS]
    parts += [
        _readings("(a) Notch", figures["notch"]),
        _inverse(figures["inverse"]),
        _readings("(c) Beside the face", figures["beside"]),
        _beyond(figures["beyond"]),
    ]
    if "learned" in figures:
        draw_gains(
            out / "learned.png",
            _learned_bars(figures["learned"]),
            "Better than the training mean by",
            "share of the mean predictor's error",
            0.05,
        )
        parts += [_learned(figures["learned"]), _detector(figures["detector"])]
    else:
        parts.append("Learned attackers and detector: not run, there are too few faces.")
    parts += [_differencing(figures["differencing"]), off_skin_report.section(figures["off_skin"])]
    write_whole(out / "README.md", "\n\n".join(parts) + "\n")
    return out / "README.md"


def _head(meta: Figures) -> str:
    counts = ", ".join(f"{n} {role} (of {meta['asked'][role]})" for role, n in meta["scenes"].items())
    quick = (
        "\n\n**A quick run: it shows that the program works, its figures mean nothing.**"
        if meta["quick"]
        else ""
    )
    return (
        "# Attackers that know the filter\n\n"
        f"Written by `{meta['command']}` at {meta['commit']}. Artifact: {meta['artifact']}, masking "
        f"{100 * meta['masking']:g} %. Scenes of {meta['seconds']:g} s: {counts}; {meta['subjects']} faces, "
        f"of which {meta['test subjects']} that the filter was never trained on." + quick
    )


def _bars(figures: Figures) -> str:
    """The issue's bars, met or missed."""
    rows = []
    readings = {"notch": figures["notch"]["filtered"]} | {
        f"inverse, {name}": entry
        for name, entry in figures["inverse"].items()
        if name in ("known", "identified")
    }
    readings |= off_skin_report.bars(figures["off_skin"])
    for name, entry in readings.items():
        if entry.get("clips"):
            gain = in_words(entry["gain"], 100, " points")
            rows.append((name, "no more often than without a pulse", gain, _word(entry["met"])))
    for name, entry in figures.get("learned", {}).get("filtered", {}).items():
        if "gain on the mean" in entry:
            gain = in_words(entry["gain on the mean"], 100, " %")
            word = _word(entry["met"], entry["sure"])
            rows.append((f"learned, {name}", "5 % better than the mean at most", gain, word))
    for natural, table in figures.get("detector", {}).items():
        for name, entry in table["detectors"].items():
            word = _word(entry["met"])
            rows.append((f"detector, {name}, against {natural}", "AUC 0.6 at most", in_words(entry), word))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(["## Bars", "", "| attacker | bar | measured (95 %) | |", "|---|---|---|---|", *lines])


def _above_chance(figures: Figures) -> str:
    """What is found surely more often than by chance although no bar asks: the figures' bad news, on top."""
    found = [
        f"{name} {in_words(entry['gain'], 100, ' points')}"
        for name, entry in _beside_the_bars(figures)
        if (entry["gain"]["low"] or 0.0) > 0.0
    ]
    said = "; ".join(found) if found else "none"
    return f"Of the attackers without a bar, those that surely find more than by chance: {said}."


def _beside_the_bars(figures: Figures) -> list[tuple[str, Figures]]:
    beside = [
        (name.removesuffix(", out"), one) for name, one in figures["beside"].items() if "raw" not in name
    ]
    beyond = [("skin beyond the face", one) for way, one in figures["beyond"].items() if way == "beyond"]
    both = [(f"differencing, {name}", one) for name, one in figures["differencing"].items()]
    return [
        (name, one) for name, one in (*beside, *beyond, *both) if isinstance(one, Mapping) and "gain" in one
    ]


def _word(met: bool, sure: bool = False) -> str:
    return "**missed**" if not met else "surely met" if sure else "met"


def _readings(title: str, tables: Figures) -> str:
    lines = [f"## {title}", "", "| | clips | found | chance | gain (points) |", "|---|---|---|---|---|"]
    lines += [_row(name, entry) for name, entry in tables.items()]
    return "\n".join(lines)


def _row(name: str, entry: Figures) -> str:
    if not entry.get("clips"):
        return f"| {name} | 0 | – | – | – |"
    return (
        f"| {name} | {entry['clips']} | {100 * entry['found']:.0f} % | {100 * entry['chance']:.0f} % "
        f"| {in_words(entry['gain'], 100)} |"
    )


def _inverse(tables: Figures) -> str:
    curves = tables["response"]
    rates = list(next(iter(curves.values())))
    lines = ["", "What is left of each rate by the filter's linear part, as the attacker sees it:", ""]
    lines += [f"| | {' | '.join(f'{rate} bpm' for rate in rates)} |", "|---" * (len(rates) + 1) + "|"]
    lines += [
        f"| {name} | {' | '.join(f'{v:.3f}' for v in curve.values())} |" for name, curve in curves.items()
    ]
    entries = {name: entry for name, entry in tables.items() if name != "response"}
    return _readings("(b) Inverse", entries) + "\n" + "\n".join(lines)


def _beyond(tables: Figures) -> str:
    head = "### Neck, chest and hands\n\n"
    if not tables:
        return head + "Not measured: run `python -m model.evaluate.beyond` first."
    lines = ["| | regions | found | chance | gain (points) |", "|---|---|---|---|---|"]
    for way, entry in tables.items():
        found, chance = (in_words(entry[k], 100, " %") for k in ("found", "chance"))
        name = "unfiltered" if way == "before" else "filtered"
        lines.append(
            f"| {name} | {entry['regions']} in {entry['scenes']} scenes | {found} | {chance} "
            f"| {in_words(entry['gain'], 100)} |"
        )
    return head + "From the scenes of `python -m model.evaluate.beyond`.\n\n" + "\n".join(lines)


def _learned(tables: Figures) -> str:
    lines = [
        "## (d) Learned",
        "",
        f"{tables['clips']} clips, {tables['subjects']} faces, each answered by attackers that never saw it. "
        "*Unfiltered* is the control: the same attacker, trained and tried on the camera's clips.",
        "",
        "| clips | attacker | error (bpm) | seeds | within 3 bpm | gain on the mean | gain on the median |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in ("filtered", "unfiltered"):
        for name, entry in tables[kind].items():
            error = in_words(entry["error"])
            if "seeds" not in entry:
                lines.append(f"| {kind} | always the training {name} | {error} | | | | |")
                continue
            gains = [in_words(entry[f"gain on the {c}"], 100, " %") for c in ("mean", "median")]
            seeds = " ".join(f"{value:.1f}" for value in entry["seeds"])
            near = f"{100 * entry['within 3 bpm']:.0f} %"
            lines.append(f"| {kind} | {name} | {error} | {seeds} | {near} | {' | '.join(gains)} |")
    return "\n".join([*lines, "", "![Gain of the learned attackers](learned.png)"])


def _detector(tables: Figures) -> str:
    lines = [
        "## (e) Detector",
        "",
        "Area under the curve, 0.5 is chance. *raw*: natural clips as they left the camera; *painted*: "
        "natural clips whose own pulse the filter's dither wrote. Of the planes as they leave the filter; "
        "after a call's codec, and with a pulse that varies from face to face: [natural.md](natural.md).",
        "",
        "| | raw | painted |",
        "|---|---|---|",
    ]
    for name in next(iter(tables.values()))["detectors"]:
        lines.append(
            f"| {name} | " + " | ".join(in_words(tables[k]["detectors"][name]) for k in tables) + " |"
        )
    for natural, table in tables.items():
        told = ", ".join(f"{name} {value:.2f}" for name, value in table["best marks"].items())
        lines += [
            "",
            f"Marks that alone tell most, against {natural} (below 0.5: smaller where edited): {told}.",
        ]
    return "\n".join(lines)


def _differencing(tables: Figures) -> str:
    lines = [
        "## (f) Differencing",
        "",
        "Two outputs of one scene, with two targets. Chance: the same readings, other clips' true rates.",
        "",
        "| | found | chance | gain (points) | over one output (points) |",
        "|---|---|---|---|---|",
    ]
    for way, entry in tables.items():
        if isinstance(entry, Mapping):
            lines.append(
                f"| {way} | {100 * entry['found']:.0f} % | {100 * entry['chance']:.0f} % "
                f"| {in_words(entry['gain'], 100)} | {in_words(entry['over_one'], 100)} |"
            )
    return "\n".join([*lines, "", f"{tables['clips']} clips clear of both targets."])


def _gain_bars(figures: Figures) -> Sequence[Bar]:
    bars: list[Bar] = []
    for attack in ("notch", "inverse", "beside", "off_skin"):
        for name, entry in figures[attack].items():
            if "gain" in entry and entry.get("clips"):
                control = name.startswith("control") or name.endswith("raw")
                bars.append(_bar(f"{attack}: {name}", entry["gain"], control))
    for name, entry in figures["beyond"].items():
        bars.append(
            _bar(
                f"beyond the face: {'unfiltered' if name == 'before' else 'filtered'}",
                entry["gain"],
                name == "before",
            )
        )
    for name, entry in figures["differencing"].items():
        if isinstance(entry, Mapping):
            bars.append(_bar(f"differencing: {name}", entry["gain"], False))
    return bars


def _learned_bars(tables: Figures) -> Sequence[Bar]:
    return [
        _bar(f"{kind}: {name}", entry["gain on the mean"], kind == "unfiltered")
        for kind in ("filtered", "unfiltered")
        for name, entry in tables[kind].items()
        if "gain on the mean" in entry
    ]


def _bar(name: str, interval: Figures, control: bool) -> Bar:
    value, low, high = (
        float("nan") if interval[k] is None else float(interval[k]) for k in ("value", "low", "high")
    )
    return name, value, low, high, control
