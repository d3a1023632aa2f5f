"""natural.md: what detectors and readers make of the variants, call by call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.attackers.calls import CALLS, FACE_SHARE, PICTURE, PLANES
from model.attackers.chance import in_words
from model.evaluate.report import table


def markdown(meta: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """The page, from the figures of each call."""
    calls = [name for name in figures if name != PLANES]
    parts = [
        "# A natural pulse against the detector",
        f"Written by `{meta['command']}` at {meta['commit']}: artifact {meta['artifact']}, "
        f"{meta['scenes']} scenes of {meta['seconds']:g} s, {meta['subjects']} faces. The "
        "detectors, marks and natural clips are those of [the attackers' report](README.md); "
        "area under the curve with its interval of 95 %, "
        "0.5 is chance.",
    ]
    if calls:
        parts.append(_about_calls(calls))
    parts.append(_strongest(figures))
    for call, found in figures.items():
        parts += [f"## {_title(call)}", _detectors(found), _readings(found), _marks(found)]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _about_calls(calls: list[str]) -> str:
    told = ", ".join(f"{name} ({CALLS[name].encoder}, {CALLS[name].megabits:g} Mbit/s)" for name in calls)
    return (
        "Whoever looks on sees not the planes but what a call's codec leaves of them. Filtered and natural "
        f"clips go alike through {told}: real encoders, VP8 as WebRTC sets it with its denoiser in time, bit "
        f"rates those of a call of {PICTURE // 720} x 720, of which a picture that the face fills is given "
        f"{FACE_SHARE:g} times its share (model/attackers/calls.py). The detectors are trained and tried on "
        "what comes out."
    )


def _title(call: str) -> str:
    return "The planes as they leave the filter" if call == PLANES else f"After {call}"


def _strongest(figures: Mapping[str, Any]) -> str:
    """For each variant and call the detector that tells it best from raw clips."""
    rows = []
    for words in next(iter(figures.values()))["variants"]:
        cells = []
        for found in figures.values():
            detectors = found["variants"][words]["detector"]["raw"]["detectors"]
            name, one = max(detectors.items(), key=lambda item: item[1]["value"])
            cells.append(f"{one['value']:.2f}, {name} ({one['low']:.2f} to {one['high']:.2f})")
        rows.append((words, *cells))
    text = (
        "The strongest of the four detectors against raw clips (the best of four lies above 0.5 by chance):"
    )
    head = ("shown pulse", *("the planes" if call == PLANES else call for call in figures))
    return f"{text}\n\n{table(head, rows)}"


def _detectors(found: Mapping[str, Any]) -> str:
    variants = found["variants"]
    naturals = list(found["natural"])
    names = list(next(iter(variants.values()))["detector"][naturals[0]]["detectors"])
    rows = []
    for words, one in variants.items():
        entries = [one["detector"][natural]["detectors"][name] for natural in naturals for name in names]
        rows.append((words, *(f"{e['value']:.2f} ({e['low']:.2f} to {e['high']:.2f})" for e in entries)))
    return table(("shown pulse", *(f"{name}, against {n}" for n in naturals for name in names)), rows)


def _readings(found: Mapping[str, Any]) -> str:
    head = ("clips", "median error (bpm)", "at the target", "at the true rate", "after the notch", "chance")
    rows: list[tuple[str, ...]] = [
        (
            f"*{name}*, to the true rate",
            f"{read['error']:g}",
            "",
            f"{read['at the true rate']:.0%}",
            *[""] * 3,
        )
        for name, read in found["natural"].items()
    ]
    for words, one in found["variants"].items():
        read = one["readings"]
        row: tuple[str, ...] = (words, f"{read['error']:g}", f"{read['at the target']:.0%}")
        if "gain" in read:
            gain = read["gain"]
            row += (
                f"{read['at the true rate']:.0%}",
                f"{read['found after the notch']:.0%}",
                f"{read['chance']:.0%}",
                in_words(gain, 100),
            )
        else:
            row += ("",) * 4
        rows.append(row)
    text = "Readings by POS, CHROM, GREEN, PCA within 3 bpm; after the notch as in the report, chance by the "
    text += "true rates of the other clips.\n\n"
    return text + table((*head, "gain (points)"), rows)


def _marks(found: Mapping[str, Any]) -> str:
    lines = ["Marks that alone tell most, against raw (below 0.5: smaller where edited):", ""]
    for words, one in found["variants"].items():
        best = one["detector"]["raw"]["best marks"]
        lines.append(f"- {words}: " + ", ".join(f"{name} {value:.2f}" for name, value in best.items()))
    return "\n".join(lines)
