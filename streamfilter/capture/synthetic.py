"""A generated moving card with no face on it: a source that needs no file, for tests and measurements."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Self

import numpy as np

from streamfilter.capture.source import MIN_SIDE, SourceInfo
from streamfilter.errors import SourceError
from streamfilter.frame import ColorSpec, Frame


class SyntheticSource:
    """``count`` frames of a diagonal ramp that slides by two pixels a frame, in legal limited-range levels.

    Raises SourceError if the picture is smaller than 16 x 16 or ``count`` is below 1.
    """

    def __init__(
        self,
        width: int = 64,
        height: int = 48,
        count: int = 10,
        fps: Fraction = Fraction(30),
        color: ColorSpec | None = None,
    ) -> None:
        if width < MIN_SIDE or height < MIN_SIDE or count < 1:
            raise SourceError(
                f"a card of {width}x{height} pixels, {count} frames cannot be: use 16x16 and 1 up."
            )
        self._info = SourceInfo(
            width=width,
            height=height,
            fps=fps,
            frames=count,
            color=ColorSpec() if color is None else color,
            has_audio=False,
            description=f"moving card ({width}x{height}, {count} frames)",
            time_base=1 / fps,
        )
        self._count = count

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    def frames(self) -> Iterator[Frame]:
        """The card's frames; ``pts`` counts them."""
        info = self._info
        rows, columns = np.mgrid[: info.height, : info.width]
        ramp = (rows + columns).astype(np.int64)
        chroma_ramp = ramp[::2, ::2]
        for index in range(self._count):
            y = (16 + (ramp + 2 * index) % 220).astype(np.uint8)
            u = (96 + (chroma_ramp + index) % 64).astype(np.uint8)
            v = (160 - (chroma_ramp + index) % 64).astype(np.uint8)
            yield Frame(y, u, v, index, info.time_base, info.color)

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
