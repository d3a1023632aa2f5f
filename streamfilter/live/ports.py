"""What the live pipeline asks of the devices at its two ends, and of time.

Every moment is in seconds of the system's monotonic clock. A live frame's ``seconds`` is its capture time on
that clock: the driver's own where it gives one, else the time of arrival.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from streamfilter.frame import Frame

LIVE_TIME_BASE = Fraction(1, 1_000_000)  # of a live frame's ``pts``: microseconds


@dataclass(frozen=True, slots=True)
class Picture:
    """Size in pixels and frames a second of a device."""

    width: int
    height: int
    fps: float

    def __str__(self) -> str:
        return f"{self.width}x{self.height} at {self.fps:g} fps"


class Camera(Protocol):
    """An open camera. ``close`` may be called from another thread than ``read``, and twice."""

    @property
    def name(self) -> str:
        """What the user knows it by."""
        ...

    @property
    def picture(self) -> Picture:
        """What it was opened with; frames of another size may come later."""
        ...

    @property
    def pixel_format(self) -> str:
        """What it delivers: ``MJPG``, ``YUYV``, ``NV12``, ..."""
        ...

    def read(self, timeout: float) -> Frame | None:
        """The next frame, limited range; None where none came within ``timeout`` seconds.

        Raises SourceError where the device has gone or gives what cannot be decoded for good.
        """
        ...

    def close(self) -> None: ...


class VideoOutput(Protocol):
    """An open virtual camera. Used by one thread at a time."""

    @property
    def name(self) -> str: ...

    @property
    def picture(self) -> Picture: ...

    def write(self, frame: Frame) -> None:
        """Show a frame of this output's size. Raises SinkError where the device has gone."""
        ...

    def watchers(self) -> int | None:
        """How many programs have it open to read; None where the system does not say."""
        ...

    def close(self) -> None: ...


class Clock(Protocol):
    """Time, so that tests can set it."""

    def now(self) -> float:
        """Seconds of the monotonic clock; it stands still in the machine's sleep."""
        ...

    def since_boot(self) -> float:
        """As ``now``, but counts the sleep too, where the system has such a clock."""
        ...


class SystemClock:
    """The system's clocks."""

    def now(self) -> float:
        return time.monotonic()

    def since_boot(self) -> float:
        boot = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if boot is None else time.clock_gettime(boot)
