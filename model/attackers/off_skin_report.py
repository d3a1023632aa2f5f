"""What non-skin gave away: a section of the attackers' page, with each reader of the filtered clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.attackers.calls import PLANES
from model.evaluate.report import table

Figures = Mapping[str, Any]

ABOUT = """\
Masks are the generator's own, frame by frame, without the pixels near an edge: an attacker can tell hair and
wall from skin. *Alone*: non-skin is read as if it were skin. *Skin less*: the skin's wave less its best fit
by that of non-skin (*fit*), the skin over as much of non-skin as cancels the shown pulse (*null*), or over
non-skin as it is (*ratio*). *Raw* is the same attack on the camera's clips, where non-skin alone has no
pulse to be found."""


def section(figures: Figures, call: str = PLANES) -> str:
    """Markdown: the table of attacks, and below it that of readers."""
    head = "## (g) Non-skin as a reference" + ("" if call == PLANES else f", after {call}")
    rows, readers = [], []
    for name, entry in figures.items():
        if not entry["clips"]:
            rows.append((name, "0", "–", "–", "–"))
            continue
        shares = (_percent(entry["found"]), _percent(entry["chance"]))
        rows.append((name, str(entry["clips"]), *shares, _points(entry["gain"])))
        for reader, one in entry["readers"].items() if name.endswith("out") else ():
            parts = (_percent(one["found"]["value"]), _percent(one["chance"]["value"]), _points(one["gain"]))
            readers.append((name.removesuffix(", out"), reader, *parts))
    tables = (
        table(("", "clips", "found", "chance", "gain (points)"), rows),
        table(("filtered", "reader", "found", "chance", "gain (points)"), readers),
    )
    return "\n\n".join([head, ABOUT, *tables])


def bars(figures: Figures) -> dict[str, Figures]:
    """The attacks that have a bar, by name: those on what was filtered."""
    return {
        f"off skin, {name.removesuffix(', out')}": entry
        for name, entry in figures.items()
        if name.endswith("out")
    }


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _points(gain: Figures) -> str:
    value, low, high = (100.0 * gain[key] for key in ("value", "low", "high"))
    return f"{value:.1f} ({low:.1f} to {high:.1f})"
