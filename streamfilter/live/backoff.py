"""When to try again: soon at first, then every two seconds, and soon again after a stretch of health."""

from __future__ import annotations

from dataclasses import dataclass, replace

DELAYS = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds; the last one repeats
HEALTHY_AFTER = 10.0  # seconds without a failure; then the schedule starts anew


@dataclass(frozen=True, slots=True)
class Backoff:
    """``failures`` in this row, the time of the last one, and the earliest moment of the next attempt."""

    failures: int = 0
    failed_at: float = float("-inf")
    due: float = float("-inf")

    def failed(self, now: float) -> Backoff:
        """After a failure at ``now`` (s)."""
        row = 0 if now - self.failed_at > HEALTHY_AFTER + self._delay() else self.failures
        row += 1
        return replace(self, failures=row, failed_at=now, due=now + DELAYS[min(row, len(DELAYS)) - 1])

    def ready(self, now: float) -> bool:
        """Whether an attempt is due at ``now``."""
        return now >= self.due

    def _delay(self) -> float:
        return max(self.due - self.failed_at, 0.0) if self.failures else 0.0
