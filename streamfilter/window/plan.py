"""When a window is due, which frames it settles, and how windows that overlap are cross-faded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamfilter.errors import UsageError


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """Windows of ``window`` frames that begin every ``hop`` frames, 1 to ``window``; frames count from 0.

    A frame leaves ``delay`` frames after it came, whatever the hop: by then every window that covers it has
    run. ``overlap``: frames that a window shares with the next one.
    """

    window: int
    hop: int

    def __post_init__(self) -> None:
        if not 1 <= self.hop <= self.window:
            raise UsageError(
                f"window_hop should be from 1 to {self.window}, the editor's window, it is {self.hop}"
            )

    @property
    def delay(self) -> int:
        return self.window - 1

    @property
    def overlap(self) -> int:
        return self.window - self.hop

    def due(self, seen: int) -> int | None:
        """The first frame of the window that ends with the newest of ``seen`` frames, None: none is due."""
        start = seen - self.window
        return start if start >= 0 and start % self.hop == 0 else None

    def closing(self, seen: int) -> tuple[int, int] | None:
        """The window that ends a clip of ``seen`` frames: its first frame (0 in a clip that is shorter) and
        the first frame that is not settled. None where the last regular window ends with the clip."""
        if seen == 0 or self.due(seen) is not None:
            return None
        runs = (seen - self.window) // self.hop + 1 if seen >= self.window else 0
        return (max(0, seen - self.window), runs * self.hop) if runs * self.hop < seen else None

    def weights(self, start: int, first: int) -> npt.NDArray[np.float32]:
        """(window,) unnormalised weights of the window that begins at ``start``; frames before ``first`` are
        settled and take none.

        They rise over ``overlap`` frames from ``first`` on and fall over as many towards the window's end.
        Divided by their sum over all windows of a frame they are a linear cross-fade.
        """
        frame = start + np.arange(self.window)
        rising = (frame - first + 1) / (self.overlap + 1)
        falling = (start + self.window - frame) / (self.overlap + 1)
        return np.clip(np.minimum(rising, falling), 0.0, 1.0).astype(np.float32)


def default_hop(window: int) -> int:
    """Three quarters of the window: a quarter overlaps."""
    return max(1, window - window // 4)
