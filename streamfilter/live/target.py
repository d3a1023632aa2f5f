"""What the live filter shows: a heart rate, none, a share of the true one, or a course over time.

:func:`parse_target` reads the one form that settings, command line and page share; :func:`shown` says what a
target asks for at a moment. The phase of the wanted pulse is no concern here: it runs on in
:class:`streamfilter.clock.PulseClock`, which glides to each new rate.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from streamfilter.config import MAX_BPM, MIN_BPM
from streamfilter.errors import UsageError

DEFAULT_BPM = 70.0  # shown by ``scale`` until the true rate has been read
MIN_SHARE, MAX_SHARE = 0.3, 3.0
MAX_SCALE_SLOPE = 2.0  # bpm a second: how fast ``scale`` follows, as a heart does, whatever a reading jumps
LONGEST_GAP = 1.0  # seconds; a longer one (suspend) counts as this much, so that nothing jumps after it
MAX_FILE_BYTES = 4_000_000
HIDE = "hide"
SCALE = "scale"
FORMS = (
    f"Write a rate of {MIN_BPM:g} to {MAX_BPM:g} beats a minute (70), changes over time (70,10:90,25:60), "
    "hide, a share of the true rate (scale 0.8), or a file (day.csv)."
)


class RatePoint(NamedTuple):
    """``bpm`` beats a minute at ``seconds`` after the start."""

    seconds: float
    bpm: float


@dataclass(frozen=True, slots=True)
class FixedRate:
    """One heart rate, 40 to 180 bpm."""

    bpm: float

    def __str__(self) -> str:
        return number_text(self.bpm)


@dataclass(frozen=True, slots=True)
class Hidden:
    """No pulse at all; the true one is still removed."""

    def __str__(self) -> str:
        return HIDE


@dataclass(frozen=True, slots=True)
class Scaled:
    """A share of the true heart rate, 0.3 to 3. Whoever knows the share knows the true rate."""

    share: float

    def __str__(self) -> str:
        return f"{SCALE} {number_text(self.share)}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps: each point's rate holds until the next one. The first point is at 0 s, times rise."""

    points: tuple[RatePoint, ...]

    def __str__(self) -> str:
        first, *rest = self.points
        changes = (f",{number_text(point.seconds)}:{number_text(point.bpm)}" for point in rest)
        return number_text(first.bpm) + "".join(changes)


@dataclass(frozen=True, slots=True)
class Curve:
    """A file's points as they were when it was read; straight lines between them. Times rise."""

    path: Path
    points: tuple[RatePoint, ...]

    def __str__(self) -> str:
        return str(self.path)


Target = FixedRate | Hidden | Scaled | Schedule | Curve


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown at a moment, and all that the next moment has to know.

    ``bpm`` is 40 to 180, ``strength`` 1 or 0 (no pulse). ``seconds`` is the moment, ``reading`` the last true
    rate that was read since the start, None before the first.
    """

    bpm: float
    strength: float
    seconds: float
    reading: float | None = None


def shown(target: Target, seconds: float, true_bpm: float | None, before: Shown | None = None) -> Shown:
    """What ``target`` asks for at ``seconds`` after its start.

    ``true_bpm`` is the latest reading of the true rate, None while there is none: ``scale`` then holds on to
    the last one, or shows DEFAULT_BPM where there never was one. ``before`` is what this function returned
    last, for another target too; with it ``scale`` moves by at most MAX_SCALE_SLOPE, from whatever was shown.
    """
    reading = true_bpm if true_bpm is not None and math.isfinite(true_bpm) else None
    if reading is None and before is not None:
        reading = before.reading
    strength = 1.0
    match target:
        case FixedRate(bpm):
            pass
        case Hidden():
            bpm, strength = (before.bpm if before is not None else DEFAULT_BPM), 0.0
        case Scaled(share):
            bpm = DEFAULT_BPM if reading is None else min(max(share * reading, MIN_BPM), MAX_BPM)
            if before is not None:
                step = MAX_SCALE_SLOPE * min(max(seconds - before.seconds, 0.0), LONGEST_GAP)
                bpm = min(max(bpm, before.bpm - step), before.bpm + step)
        case Schedule(points):
            bpm = points[max(_following(points, seconds) - 1, 0)].bpm
        case Curve(points=points):
            bpm = _interpolate(points, seconds)
    return Shown(bpm, strength, seconds, reading)


def parse_target(text: str) -> Target:
    """The target that ``text`` asks for; a ``.csv`` is read at once. Raises UsageError for anything else."""
    stripped = text.strip()
    words = stripped.split()
    if stripped.lower().endswith(".csv"):
        return read_curve(user_path(stripped))
    if stripped == HIDE:
        return Hidden()
    if words and words[0] == SCALE:
        return _scaled(text, words[1:])
    if "," in stripped or ":" in stripped:
        return _schedule(stripped)
    bpm = _float(stripped)
    if bpm is None:
        raise UsageError(f"heart rate {text!r} is unknown. {FORMS}")
    if not MIN_BPM <= bpm <= MAX_BPM:
        raise UsageError(f"heart rate {stripped} is out of range: {MIN_BPM:g} to {MAX_BPM:g} beats a minute.")
    return FixedRate(bpm)


def anchored(text: str, folder: Path) -> str:
    """``text`` with the path of a file made absolute, from ``folder`` on; other targets as they are."""
    stripped = text.strip()
    return str(folder / user_path(stripped)) if stripped.lower().endswith(".csv") else text


def read_curve(path: Path) -> Curve:
    """Reads ``seconds,bpm`` rows, at least one; a first row of those names is skipped, empty rows too.

    Raises UsageError, naming file and line, where the file cannot be read or times do not rise from 0 on.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}: check the path of the CSV.")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{path} is larger than {MAX_FILE_BYTES // 1_000_000} MB: give fewer rows.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): check the path of the CSV.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8: save it as CSV again.") from error
    points: list[RatePoint] = []
    for line, row in _rows(path, text):
        if not points and [cell.lower() for cell in row] in (["seconds", "bpm"], ["time", "bpm"]):
            continue
        points.append(_point(f"{path}:{line}", row, points[-1].seconds if points else None))
    if not points:
        raise UsageError(f"{path} holds no rows: write seconds,bpm in each, as in 0,70.")
    return Curve(path, tuple(points))


def user_path(text: str) -> Path:
    """The path ``text``, with ``~`` read as the home directory. Raises UsageError for an unknown user's."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"the home directory of {text} is unknown: write the whole path.") from error


def number_text(value: float) -> str:
    """The shortest text that reads back as ``value``, without ``.0``."""
    return repr(float(value)).removesuffix(".0")


def _rows(path: Path, text: str) -> Iterable[tuple[int, list[str]]]:
    reader = csv.reader(text.splitlines())
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: {error}. Write seconds,bpm in each row.") from error


def _point(place: str, row: list[str], earlier: float | None) -> RatePoint:
    if len(row) != 2:
        raise UsageError(f"{place}: {len(row)} columns instead of 2: write seconds,bpm, as in 0,70.")
    seconds, bpm = (_float(cell) for cell in row)
    if seconds is None or bpm is None:
        raise UsageError(f"{place}: {','.join(row)!r} are no two numbers: write seconds,bpm, as in 0,70.")
    if not MIN_BPM <= bpm <= MAX_BPM:
        raise UsageError(f"{place}: {bpm:g} bpm is out of range: {MIN_BPM:g} to {MAX_BPM:g}.")
    if seconds < 0 or (earlier is not None and seconds <= earlier):
        raise UsageError(f"{place}: times should rise, from 0 on; {seconds:g} s does not: sort the rows.")
    return RatePoint(seconds, bpm)


def _scaled(text: str, shares: list[str]) -> Scaled:
    share = _float(shares[0]) if len(shares) == 1 else None
    if share is None or not MIN_SHARE <= share <= MAX_SHARE:
        raise UsageError(
            f"heart rate {text!r}: after {SCALE} comes one share of the true rate, from {MIN_SHARE:g} to "
            f"{MAX_SHARE:g}, in quotes on the command line: '{SCALE} 0.8'."
        )
    return Scaled(share)


def _schedule(text: str) -> Schedule:
    from streamfilter.cli.schedule import parse_schedule  # brings the file pipeline along: only where needed

    start, changes = parse_schedule(text)
    return Schedule((RatePoint(0.0, start), *(RatePoint(change.seconds, change.bpm) for change in changes)))


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _following(points: tuple[RatePoint, ...], seconds: float) -> int:
    """Index of the first point after ``seconds``."""
    return bisect_right(points, seconds, key=lambda point: point.seconds)


def _interpolate(points: tuple[RatePoint, ...], seconds: float) -> float:
    after = _following(points, seconds)
    if after == 0 or after == len(points):
        return points[max(after - 1, 0)].bpm
    left, right = points[after - 1], points[after]
    share = (seconds - left.seconds) / (right.seconds - left.seconds)
    return left.bpm + share * (right.bpm - left.bpm)
