"""A progress bar of one line."""

from __future__ import annotations

import time
from typing import TextIO

from streamfilter.file_pipeline import Progress

_BAR = 30  # characters
_INTERVAL = 0.1  # seconds between two drawings


class ProgressBar:
    """Draws on ``stream`` if that is a terminal; silent otherwise."""

    def __init__(self, stream: TextIO, quiet: bool) -> None:
        self._stream = stream
        self._shown = stream.isatty() and not quiet
        self._last = float("-inf")
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Draws, at most ten times a second."""
        now = time.monotonic()
        if not self._shown or now - self._last < _INTERVAL:
            return
        self._last = now
        line = progress_line(progress)
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)

    def clear(self) -> None:
        """Wipes the line, so that what is said next stands alone."""
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0


def progress_line(progress: Progress) -> str:
    """One line of text: bar and share where the total is known, frames, rate, shielded frames."""
    rate = progress.done / progress.elapsed if progress.elapsed > 0 else 0.0
    line = f"{progress.done}/{progress.total or '?'} frames, {rate:.1f} fps"
    if progress.total:
        share = min(1.0, progress.done / progress.total)
        filled = round(_BAR * share)
        line = f"[{'#' * filled}{'.' * (_BAR - filled)}] {share:4.0%}  {line}"
    return line + (f", {progress.shielded} shielded" if progress.shielded else "")
