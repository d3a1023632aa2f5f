"""The live status in the terminal: up to three lines, redrawn in place; plain lines where there is none."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from streamfilter.live.status import State, Status

_INTERVAL = 0.5  # seconds between two drawings
_GAP = "   "
_LEAST_WIDTH = 10  # columns; a narrower terminal is written for as if it had these
_HELD_STATES = frozenset({State.STARTING, State.WAITING, State.STOPPED})  # no picture passes through


class LiveStatus:
    """Draws on ``stream``. Not for use by several threads at once.

    A terminal that takes escape codes gets the lines of :func:`status_lines`, twice a second at most;
    anything else (a file, a pipe, a journal) one plain line a change of state; ``quiet`` nothing.
    """

    def __init__(self, stream: TextIO, quiet: bool = False, columns: Callable[[], int] | None = None) -> None:
        """``columns`` tells the terminal's width; by default the system is asked each time."""
        self._stream = stream
        self._quiet = quiet
        self._drawing = not quiet and takes_escapes(stream)
        self._columns = columns or _terminal_columns
        self._last = float("-inf")
        self._drawn: Sequence[str] = ()
        self._said = ""

    def update(self, status: Status, now: float) -> None:
        """Show ``status``, unless the last drawing was less than half a second before ``now``."""
        if self._quiet or now - self._last < _INTERVAL:
            return
        self._last = now
        if self._drawing:
            self._redraw(status_lines(status, self._columns() - 1))
        elif (line := state_text(status)) != self._said:
            self._said = line
            self._write(line + "\n")

    def say(self, message: str) -> None:
        """A line that stays, above the status."""
        if not self._quiet:
            self.clear()
            self._write(printable(message) + "\n")

    def clear(self) -> None:
        """Wipe the status, so that what is said next stands alone. The next update draws it again."""
        if self._drawn:
            self._write(self._to_top() + "\x1b[J")
            self._drawn = ()
            self._last = float("-inf")

    def _redraw(self, lines: Sequence[str]) -> None:
        rows = "\n".join(line + "\x1b[K" for line in lines)
        self._write(self._to_top() + rows + "\x1b[J")
        self._drawn = lines

    def _to_top(self) -> str:
        """To the start of the first row of what is drawn, also where a narrower window has wrapped it."""
        columns = max(1, self._columns())
        rows = sum(max(1, -(-text_width(line) // columns)) for line in self._drawn)
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "")

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "ascii"
        self._stream.write(text.encode(encoding, "replace").decode(encoding))
        self._stream.flush()


def status_lines(status: Status, width: int) -> list[str]:
    """The status in one to three lines of at most ``width`` columns (10 at least).

    State and reason, camera and output; then rates, latency and drops; then the heart rates and watchers.
    Where the room is short, the less important parts go first, from the right.
    """
    width = max(width, _LEAST_WIDTH)
    first = [state_text(status)]
    if status.camera or status.output:
        first.append(printable(" > ".join(name for name in (status.camera, status.output) if name)))
    if status.state in _HELD_STATES:
        return [_fitted(first, width)]
    numbers = [f"{status.fps_in:.1f} > {status.fps_out:.1f} fps"]
    if status.latency_p50 is not None and status.latency_p99 is not None:
        numbers.append(f"latency {status.latency_p50:.0f} / {status.latency_p99:.0f} ms")
    numbers.append(_counts("dropped", status.dropped))
    if status.shielded:
        numbers.append(_counts("shielded", status.shielded))
    if status.restarts:
        numbers.append(f"restarts {status.restarts}")
    return [_fitted(first, width), _fitted(numbers, width), _fitted(_pulse_parts(status), width)]


def state_text(status: Status) -> str:
    """State and reason in one line, without numbers: what a log may hold."""
    text = status.state.value
    return printable(f"{text}: {status.reason}" if status.reason else text)


def _pulse_parts(status: Status) -> list[str]:
    pulse = status.pulse
    parts = [f"your heart rate {_bpm(pulse.true)}", f"others read {_bpm(pulse.shown)}"]
    parts.append(f"asked for {'none' if pulse.wanted is None else f'{pulse.wanted:.0f}'}")
    if status.watchers is not None:
        parts.append(f"{status.watchers} watching")
    return parts


def _bpm(rate: float | None) -> str:
    return "--" if rate is None else f"{rate:.0f} bpm"


def _counts(name: str, counts: Mapping[str, int]) -> str:
    """``name 7 (late 4, full 3)``: the sum, and the causes, most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    causes = ", ".join(f"{cause} {count}" for cause, count in ordered)
    return printable(f"{name} {sum(counts.values())}" + (f" ({causes})" if causes else ""))


def _fitted(parts: Sequence[str], width: int) -> str:
    """The first parts that fit side by side; the first one is cut where it alone is too wide."""
    line = cut(parts[0], width)
    for part in parts[1:]:
        room = width - text_width(line) - len(_GAP)
        if text_width(part) > room:
            part = part.partition(" (")[0]  # a sum without its causes
        if text_width(part) > room:
            break
        line += _GAP + part
    return line


def cut(text: str, width: int) -> str:
    """``text``, ended by dots where it takes more than ``width`` columns (3 at least)."""
    if text_width(text) <= width:
        return text
    kept, used = "", 0
    for character in text:
        used += text_width(character)
        if used > width - 3:
            break
        kept += character
    return kept + "..."


def text_width(text: str) -> int:
    """Columns that ``text`` takes in a terminal: two for wide characters, none for combining ones."""
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def printable(text: str) -> str:
    """``text`` without control characters: a device's name must not steer the terminal."""
    return "".join(c if unicodedata.category(c)[0] != "C" else "?" for c in text)


def takes_escapes(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal that moves its cursor on escape codes."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return False
    # The old Windows console prints them unless it is told otherwise; Windows Terminal says its name.
    return sys.platform != "win32" or "WT_SESSION" in os.environ


def _terminal_columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns
