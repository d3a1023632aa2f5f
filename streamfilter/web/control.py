"""What the page may ask of the running filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streamfilter.frame import Frame
from streamfilter.live.status import Status


@dataclass(frozen=True, slots=True)
class Preview:
    """One moment twice: as the camera gave it, and as it left (the edit, or a card)."""

    before: Frame
    after: Frame


class Control(Protocol):
    """The running filter, as the page sees it. Every method may be called from any thread."""

    def status(self) -> Status: ...

    def preview(self) -> Preview | None:
        """The newest moment; None while there is none to show (the camera is closed)."""
        ...

    def set_target(self, text: str) -> None:
        """The heart rate to show: ``72``, ``hide`` or ``scale 0.8``. Raises UsageError for anything else."""
        ...

    def pause(self, on: bool) -> None:
        """Shield the output, or filter again."""
        ...

    def cameras(self) -> Sequence[str]:
        """Names that ``choose_camera`` takes. ``status().camera`` is one of them while it is plugged in."""
        ...

    def choose_camera(self, name: str) -> None:
        """Go on with another camera. Raises UsageError or SourceError where it cannot."""
        ...
