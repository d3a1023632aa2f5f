"""What the live pipeline counts: frames, latency, drops, shields and restarts, in bounded memory.

No clock inside: each event is told its moment (seconds of the monotonic clock), so that tests set time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

RATE_SECONDS = 5.0
LATENCY_SECONDS = 10.0
MAX_EVENTS = 4096  # kept a ring: 10 s at 400 frames a second
MAX_CAUSES = 32  # of drops, and of shields; further ones are counted together
OTHER_CAUSES = "other"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counts at one moment, named as in :class:`streamfilter.live.status.Status`.

    ``fps_in``, ``fps_out``: frames a second over the last 5 s. ``latency_p50``, ``latency_p99``: milliseconds
    from capture to sink over the last 10 s, None where no frame left. ``frames`` left, ``dropped`` did not,
    ``shielded`` left as a card or partly covered, ``restarts``: since the start.
    """

    fps_in: float
    fps_out: float
    latency_p50: float | None
    latency_p99: float | None
    frames: int
    dropped: Mapping[str, int]
    shielded: Mapping[str, int]
    restarts: int


class Metrics:
    """Counts from any thread, read from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in = _Rate()
        self._out = _Rate()
        self._latency: deque[tuple[float, float]] = deque(maxlen=MAX_EVENTS)
        self._frames = 0
        self._dropped: dict[str, int] = {}
        self._shielded: dict[str, int] = {}
        self._restarts = 0

    def frame_in(self, now: float) -> None:
        """A frame came from the camera at ``now``."""
        with self._lock:
            self._in.add(now)

    def frame_out(self, now: float, latency: float | None = None) -> None:
        """A picture went to the sink at ``now``, ``latency`` seconds after its capture (None: a card)."""
        with self._lock:
            self._out.add(now)
            self._frames += 1
            if latency is not None:
                self._latency.append((now, latency))

    def drop(self, cause: str, count: int = 1) -> None:
        """``count`` frames do not leave, because of ``cause`` (a few words from a fixed set)."""
        with self._lock:
            _count(self._dropped, cause, count)

    def shield(self, cause: str, count: int = 1) -> None:
        """``count`` frames left as a card or partly covered, because of ``cause``."""
        with self._lock:
            _count(self._shielded, cause, count)

    def restart(self) -> None:
        """A device or the engine was opened again."""
        with self._lock:
            self._restarts += 1

    def snapshot(self, now: float) -> Snapshot:
        """The counts as they are, rates and latency of the time up to ``now``."""
        with self._lock:
            fps_in, fps_out = self._in.per_second(now), self._out.per_second(now)
            latency = [late for at, late in self._latency if now - LATENCY_SECONDS < at <= now]
            frames, restarts = self._frames, self._restarts
            dropped, shielded = dict(self._dropped), dict(self._shielded)
        p50, p99 = np.percentile(latency, (50.0, 99.0)) * 1e3 if latency else (None, None)
        return Snapshot(
            fps_in=fps_in,
            fps_out=fps_out,
            latency_p50=None if p50 is None else float(p50),
            latency_p99=None if p99 is None else float(p99),
            frames=frames,
            dropped=MappingProxyType(dropped),
            shielded=MappingProxyType(shielded),
            restarts=restarts,
        )


class _Rate:
    """Events a second over the last ``RATE_SECONDS``; right from the second event on, also after a pause."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MAX_EVENTS)
        self._since = 0.0  # the first event after a silence as long as the window

    def add(self, now: float) -> None:
        if not self._times or now - self._times[-1] > RATE_SECONDS:
            self._since = now
        self._times.append(now)

    def per_second(self, now: float) -> float:
        count = sum(now - RATE_SECONDS < at <= now for at in self._times)
        running = now - self._since
        if running >= RATE_SECONDS:
            return count / RATE_SECONDS
        return (count - 1) / running if count > 1 and running > 0 else 0.0


def _count(counts: dict[str, int], cause: str, count: int) -> None:
    if count <= 0:
        return
    if cause not in counts and len(counts) >= MAX_CAUSES:
        cause = OTHER_CAUSES
    counts[cause] = counts.get(cause, 0) + count
