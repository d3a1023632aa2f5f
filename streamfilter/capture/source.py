"""The protocol of every source of frames, and what a source says about itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from streamfilter.frame import ColorSpec, Frame

MIN_SIDE = 16  # pixels; a smaller picture holds no face that could be edited

UNSPECIFIED = 2  # ITU-T H.273, code points of primaries, transfer and matrix: "unspecified"


@dataclass(frozen=True, slots=True)
class ColorTags:
    """The colour description that the file itself carries, to be written again as it was.

    ``primaries``, ``transfer`` and ``matrix`` are code points of ITU-T H.273 (2 = unspecified).
    ``video_range`` is 0 unspecified, 1 limited (16..235), 2 full (0..255).
    """

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    video_range: int = 0


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known before the first frame is asked for.

    ``width`` and ``height`` are of the upright picture, in pixels. ``fps`` is the mean rate, ``frames``
    the number that the file declares (None: unknown). ``pixel_aspect`` is the width of a pixel divided by
    its height. ``media`` is the file that sound can be copied from, None where there is none.
    """

    width: int
    height: int
    fps: Fraction
    frames: int | None
    color: ColorSpec
    has_audio: bool
    description: str
    time_base: Fraction = Fraction(1, 90000)
    tags: ColorTags = ColorTags()
    pixel_aspect: Fraction = Fraction(1)
    media: Path | None = None


class Source(Protocol):
    """A stream of frames. Use it as a context manager, or call ``close``."""

    @property
    def info(self) -> SourceInfo: ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know: conversions at once, damage once the frames have been read."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Every frame once, in order of display, with rising ``pts``. Raises SourceError."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
