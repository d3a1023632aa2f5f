"""Whether the camera should be open: while somebody watches, and a little longer."""

from __future__ import annotations

from dataclasses import dataclass

LINGER = 3.0  # seconds after the last watcher: programs close and open a camera while they set up


@dataclass(frozen=True, slots=True)
class Demand:
    """``seen``: when somebody last watched (s)."""

    seen: float

    def after(self, watchers: int | None, now: float, *, always: bool) -> Demand:
        """The demand once ``watchers`` are known; None, where the system does not say, counts as somebody."""
        return Demand(now) if always or watchers is None or watchers > 0 else self

    def wants_camera(self, now: float) -> bool:
        """Whether the camera should be open at ``now``."""
        return now < self.seen + LINGER
