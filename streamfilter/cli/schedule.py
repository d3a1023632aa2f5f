"""Reading ``--hr``: one heart rate, or a schedule of changes."""

from __future__ import annotations

import math

from streamfilter.config import MAX_BPM, MIN_BPM
from streamfilter.errors import UsageError
from streamfilter.file_pipeline import TargetChange

_FORM = "Write one rate (70), or a schedule of SECONDS:BPM after it (70,10:90,25:60)."


def parse_schedule(text: str) -> tuple[float, tuple[TargetChange, ...]]:
    """The rate at the start in bpm, and the later changes in rising order of time.

    Raises UsageError if the text has another form, a rate is outside 40..180 bpm, or times do not rise.
    """
    first, *rest = text.split(",")
    if ":" in first:
        seconds, start = _pair(first)
        if seconds != 0:
            raise UsageError(f"--hr {text} says no rate for the start. {_FORM}")
    else:
        start = _rate(first)
    changes: list[TargetChange] = []
    for part in rest:
        seconds, bpm = _pair(part)
        if seconds <= (changes[-1].seconds if changes else 0):
            raise UsageError(f"--hr {text}: the times of the changes do not rise above zero. {_FORM}")
        changes.append(TargetChange(seconds, bpm))
    return start, tuple(changes)


def _pair(part: str) -> tuple[float, float]:
    seconds_text, colon, bpm_text = part.partition(":")
    if not colon:
        raise UsageError(f"--hr: {part!r} is no SECONDS:BPM. {_FORM}")
    return _number(seconds_text), _rate(bpm_text)


def _rate(text: str) -> float:
    bpm = _number(text)
    if not MIN_BPM <= bpm <= MAX_BPM:
        raise UsageError(f"--hr {text.strip()} is out of range: {MIN_BPM:g} to {MAX_BPM:g} beats a minute.")
    return bpm


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"--hr: {text!r} is no number. {_FORM}") from None
    if not math.isfinite(value):
        raise UsageError(f"--hr: {text!r} is no number. {_FORM}")
    return value
