"""index.md: every report with what is in it, the command that writes it, and whether it is there."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from model.evaluate.pages.parts import PARTS, Part
from model.evaluate.report import table
from streamfilter.artifact import write_whole

INTRO = """# Evaluation: all reports

`make report` writes them all but the one of real calls (hours on two cores; what is absent is left out and
named here), and this page. Each names the artifact and the very command that it was written by. What fell
short stands in each of them, and the worst clips have a page of their own.
"""


QUICK = """**A quick run, of a few short clips a report: it shows that all of them are made, no more.**
"""


def write_index(docs: Path, states: Mapping[str, str], quick: bool = False) -> Path:
    """Writes the page into ``docs``. ``states``: what became of the parts that were run just now, by name;
    ``quick``: they were short ones."""
    rows = [_row(part, docs, states) for part in PARTS]
    head = ("report", "what", "written by", "state")
    pictures = [f"[{name}]({name})" for part in PARTS for name in part.pictures if (docs / name).is_file()]
    parts = [INTRO, *([QUICK] if quick else []), table(head, rows)]
    if pictures:
        parts.append(f"Plots of the first one (heat map of the leak: leak_map.png): {', '.join(pictures)}.\n")
    path = docs / "index.md"
    write_whole(path, "\n".join(parts))
    return path


def _row(part: Part, docs: Path, states: Mapping[str, str]) -> tuple[str, str, str, str]:
    there = (docs / part.page).is_file()
    name = f"[{part.page}]({part.page})" if there else part.page
    commands = "; ".join(f"`python {shlex.join(words)}`" for words in part.commands)
    earlier = "there, from an earlier run" if part.commands else "there, written by hand"
    state = states.get(part.name) or (earlier if there else "not run yet")
    return name, part.about, commands or part.by, state
