"""One picture of the video: 8-bit Y, U, V planes (4:2:0) and its place in time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]
Matrix = Literal["bt601", "bt709"]


@dataclass(frozen=True, slots=True)
class ColorSpec:
    """How Y, U, V relate to R, G, B: the matrix, and whether luma spans 16..235 or 0..255."""

    matrix: Matrix = "bt601"
    full_range: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture in the planes that the source delivers and the sink takes.

    ``y`` is (height, width); ``u`` and ``v`` are (ceil(height / 2), ceil(width / 2)), chroma sited left
    as in MPEG-2 and H.264. Planes are read-only by convention: an edit makes new ones.
    """

    y: Plane
    u: Plane
    v: Plane
    pts: int
    time_base: Fraction
    color: ColorSpec

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        return int(self.y.shape[0])

    @property
    def seconds(self) -> float:
        """Capture time in seconds."""
        # As exact as float(pts * time_base), without making a fraction.
        return self.pts * self.time_base.numerator / self.time_base.denominator

    def with_planes(self, y: Plane, u: Plane, v: Plane) -> Frame:
        """The same moment with other pixels."""
        return replace(self, y=y, u=u, v=v)
