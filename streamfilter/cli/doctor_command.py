"""``physio-cam doctor``: is everything here that the live filter needs, and what to do where it is not."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TextIO

from streamfilter import __version__
from streamfilter.cli.command_parser import CommandParser
from streamfilter.cli.text import printable
from streamfilter.doctor.check import Check, Verdict
from streamfilter.errors import UsageError

_COLOURS = {Verdict.OK: "32", Verdict.WARN: "33", Verdict.FAIL: "31"}
_NAMES = 14  # characters: the longest name of a check
_WORDS = 4
_LONGEST_TRIAL = 60.0  # seconds
_INDENT = " " * (_WORDS + _NAMES + 4)
_SETTINGS = {
    "size": "WIDTHxHEIGHT",
    "fps": "RATE",
    "camera": "NAME",
    "output": "NAME",
    "engine": "NAME",
    "artifact": "DIR",
}


def run(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Prints every check; returns 0 where none failed, else 1. ``environ`` None: the process's.

    Raises UsageError for an unknown option or a trial out of range.
    """
    parser = CommandParser("doctor", "Examines what the live filter needs, and says what to do.")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    for word, form in _SETTINGS.items():
        parser.add_argument(f"--{word}", metavar=form, help="examine with this setting")
    parser.add_argument("--trial", type=float, default=2.0, metavar="SECONDS", help="of speed (default: 2)")
    options = parser.parse_args(arguments)
    from streamfilter.doctor.examine import Request, examine

    if not 0.1 <= options.trial <= _LONGEST_TRIAL:
        raise UsageError(f"--trial should be from 0.1 to {_LONGEST_TRIAL:g} seconds, not {options.trial:g}")
    flags = {word: getattr(options, word) for word in _SETTINGS if getattr(options, word) is not None}
    request = Request(os.environ if environ is None else environ, flags, options.trial)
    checks: list[Check] = []
    output = sys.stdout
    coloured = is_coloured(output, request.environ)
    with contextlib.redirect_stdout(sys.stderr):  # packages that do not load print, OpenCV for one
        for check in examine(request):
            checks.append(check)
            if not options.json:
                print(line(check, coloured), file=output, flush=True)
    failed = sum(check.verdict is Verdict.FAIL for check in checks)
    if options.json:
        found = {"version": __version__, "failed": failed, "checks": [asdict(check) for check in checks]}
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print(f"\n{_closing(failed, sum(check.verdict is Verdict.WARN for check in checks))}")
    return 1 if failed else 0


def line(check: Check, coloured: bool) -> str:
    """The check in one line, what to do below it, indented; commands stand alone, to be copied."""
    word = f"{check.verdict:<{_WORDS}}"
    if coloured:
        word = f"\x1b[{_COLOURS[check.verdict]}m{word}\x1b[0m"
    lines = [f"{word}  {check.name:<{_NAMES}}  {printable(check.what)}"]
    lines += [f"{_INDENT}{printable(step)}" for step in check.what_to_do.splitlines()]
    return "\n".join(lines)


def is_coloured(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Colour belongs on a terminal that has it, and where NO_COLOR is not set (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _closing(failed: int, warned: int) -> str:
    if failed:
        return f"{failed} of these {'has' if failed == 1 else 'have'} to be put right first."
    if warned:
        return "It works; what is marked could be better."
    return "All is well: physio-cam --hr 70"
