"""The face's place in the picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A square in full-resolution pixels: centre and side. It may overhang the picture."""

    cx: float
    cy: float
    size: float
