"""The square around a face that is cropped and edited."""

from __future__ import annotations

from dataclasses import dataclass

from streamfilter.face.detect import Detection

MARGIN = (
    1.5  # box size over the detection's height (brow line to chin): hairline, ears and upper neck lie inside
)


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A square in full-resolution pixels: centre (cx, cy) and side ``size``. It may overhang the picture.

    Coordinates run along pixel edges: the picture spans 0..width and 0..height, pixel i covers i..i + 1.
    """

    cx: float
    cy: float
    size: float

    @property
    def left(self) -> float:
        return self.cx - self.size / 2

    @property
    def top(self) -> float:
        return self.cy - self.size / 2


def box_of(detection: Detection) -> FaceBox:
    """The crop's box: centred on the detection, MARGIN times its height (its width at least)."""
    left, top, width, height = detection.box
    return FaceBox(left + width / 2, top + height / 2, MARGIN * max(width, height))


def overlap(a: FaceBox, b: FaceBox) -> float:
    """Intersection over union of two boxes, 0..1."""
    reach = (a.size + b.size) / 2
    across = min(reach - abs(a.cx - b.cx), a.size, b.size)
    along = min(reach - abs(a.cy - b.cy), a.size, b.size)
    if across <= 0 or along <= 0:
        return 0.0
    shared = across * along
    return shared / (a.size**2 + b.size**2 - shared)
