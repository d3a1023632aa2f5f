"""Filters with no face and no network, for tests of what surrounds the filter."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from streamfilter.frame import Frame


@dataclass(frozen=True)
class Filtered:
    frame: Frame
    faces: int = 1
    shielded: str | None = None


@dataclass
class Recorder:
    """A filter that inverts luma and remembers what it was told. ``fails_at`` raise; ``delay`` in s."""

    fails_at: frozenset[int] = frozenset()
    delay: float = 0.0
    index: int = 0
    targets: list[tuple[int, float]] = field(default_factory=list)
    closed: bool = False

    def process(self, frame: Frame) -> Filtered:
        self.index += 1
        time.sleep(self.delay)
        if self.index - 1 in self.fails_at:
            raise RuntimeError(f"frame {self.index - 1} refused")
        return Filtered(frame.with_planes(inverted(frame), frame.u, frame.v))

    def set_target(self, bpm: float) -> None:
        self.targets.append((self.index, bpm))

    def close(self) -> None:
        self.closed = True


def inverted(frame: Frame) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Luma mirrored within the limited range."""
    return (251 - np.clip(frame.y, 16, 235)).astype(np.uint8)
