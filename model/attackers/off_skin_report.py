"""What non-skin and the skin's rim gave away: a section of the attackers' page, with each reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.attackers.calls import PLANES
from model.attackers.chance import in_words
from model.attackers.regions import REGIONS
from model.evaluate.report import table

Figures = Mapping[str, Any]

ABOUT = """\
Masks are the generator's own, frame by frame, without the pixels near an edge: an attacker can tell hair and
wall from skin. Traces follow the change of those pixels that stay in the mask. *Skin-toned*: wall and clothes
whose colour passes for the face's. Below the chin that colour does not count at all: it looks like a neck,
which in these scenes has no pulse and in truth has one. *Alone*: non-skin is read as if it were skin. *Skin
less*: the skin's wave less its best fit by that of non-skin (*fit*), the skin over as much of non-skin as
cancels the shown pulse (*null*), or over non-skin as it is (*ratio*). *Raw* is the same attack on the
camera's clips, where non-skin alone has no pulse to be found. *Rim*: sure skin 3 to 6 pixels from the mask's
end, by the hair, the ears and the jaw, where an edit that ends softly takes less away; read alone as a face
is, and held against the face."""


def section(figures: Figures, call: str = PLANES) -> str:
    """Markdown: the table of attacks, and below it that of readers, of what was filtered."""
    head = "## (g) Non-skin and the skin's rim" + ("" if call == PLANES else f", after {call}")
    rows: list[tuple[str, ...]] = []
    for name, entry in figures.items():
        if not entry["clips"]:
            rows.append((name, "0", "–", "–", "–"))
            continue
        shares = (f"{100 * entry[kind]:.0f} %" for kind in ("found", "chance"))
        rows.append((name, str(entry["clips"]), *shares, in_words(entry["gain"], 100)))
    summary = table(("", "clips", "found", "chance", "gain (points)"), rows)
    parts = (head, ABOUT, summary, "Found, and by chance, by reader:", _readers(figures))
    return "\n\n".join(part.rstrip() for part in parts)


def _readers(figures: Figures) -> str:
    """A reader a row, a region a column."""
    rows = []
    for before in ("{} alone", "skin less {}"):
        entries = [figures[f"{before.format(name)}, out"].get("readers", {}) for name in REGIONS[1:]]
        names = dict.fromkeys(reader for entry in entries for reader in entry)
        rows += [
            (f"{before.format('it')}, {reader}", *(_share(entry.get(reader)) for entry in entries))
            for reader in names
        ]
    return table(("", *REGIONS[1:]), rows)


def _share(reader: Figures | None) -> str:
    if reader is None:
        return "–"
    found, chance = (100.0 * reader[kind]["value"] for kind in ("found", "chance"))
    return f"{found:.0f} %, {chance:.0f} %"


def bars(figures: Figures) -> dict[str, Figures]:
    """The attacks that have a bar, by name: those on what was filtered."""
    return {
        f"off skin, {name.removesuffix(', out')}": entry
        for name, entry in figures.items()
        if name.endswith("out")
    }
