"""How a face has moved since a reference moment, to a small part of a pixel.

Points on the upper face (the mouth talks, the brow and nose do not) are followed by pyramidal Lucas-Kanade
flow (Bouguet 2001) from a reference patch to the present one; a similarity transform is fitted to them with
Tukey's weights, so that blinking eyes and passing hands count little. The reference is kept as long as it
fits: errors do not add up over frames, which is what makes the box of a still head stand still.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter.face.box import FaceBox
from streamfilter.frame import Plane
from streamfilter.median import median

Points = npt.NDArray[np.float32]

REACH = 1.25  # side of the patch over the box's size: room to move within
_DETAIL = 100  # the picture is shrunk a whole number of times, so that a box spans about this many pixels
_MEAN = 110.0  # patches are brought to this mean luma: exposure changes would read as motion
_MAX_GAIN = 8.0
_UPPER_FACE = (0.26, 0.26, -0.06)  # half axes and rise of the oval that points are taken from, over box size
_MAX_POINTS, _MIN_POINTS = 80, 8
_TUKEY = 1.5  # pixels of the patch: residuals beyond it have no weight


@dataclass(frozen=True, slots=True)
class Reference:
    """A face as it looked when ``box`` was right: the patch and the points in it that are followed."""

    box: FaceBox
    patch: Plane
    corner: tuple[int, int]
    unit: int
    points: Points


@dataclass(frozen=True, slots=True)
class Motion:
    """From the reference to now: x' = scale * R(turn) * (x - box centre) + box centre + shift, in pixels.

    ``trust`` is the share of the points that agree, 0..1. ``noise`` is the standard error of shift (pixels)
    and of log scale, as the points scatter.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    turn: float = 0.0
    trust: float = 1.0
    noise: tuple[float, float] = (0.0, 0.0)

    def moved(self, box: FaceBox) -> FaceBox:
        """The reference's box, now."""
        return FaceBox(box.cx + self.shift[0], box.cy + self.shift[1], box.size * self.scale)


def reference(luma: Plane, box: FaceBox) -> Reference:
    """Remember the face inside ``box`` of a luma plane (H, W)."""
    unit = max(1, round(box.size / _DETAIL))
    cells = max(16, round(box.size * REACH / unit))
    corner = _corner(box, cells * unit)
    patch = _patch(luma, corner, cells, unit)
    mask = _point_mask(luma.shape, box, corner, cells, unit)
    points = cv2.goodFeaturesToTrack(patch, _MAX_POINTS, 0.01, 3, mask=mask)
    found = np.zeros((0, 2), np.float32) if points is None else points.reshape(-1, 2)
    return Reference(box, patch, corner, unit, found.astype(np.float32))


def register(past: Reference, luma: Plane, guess: Motion) -> Motion | None:
    """The motion from ``past`` to the present luma plane; None when too few points can be followed."""
    if len(past.points) < _MIN_POINTS:
        return None
    unit, cells = past.unit, past.patch.shape[0]
    corner = _corner(guess.moved(past.box), cells * unit)
    patch = _patch(luma, corner, cells, unit)
    before = (past.points - _inside(past.box, past.corner, unit)) * unit  # pixels from the box's centre
    offset = _inside(past.box, corner, unit)
    expected = (_turned(before, guess) + guess.shift) / unit + offset
    after, status, _ = cv2.calcOpticalFlowPyrLK(
        past.patch,
        patch,
        past.points.reshape(-1, 1, 2),
        expected.astype(np.float32).reshape(-1, 1, 2),
        winSize=(13, 13),
        maxLevel=2,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.005),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        minEigThreshold=1e-3,
    )
    now = after.reshape(-1, 2).astype(np.float64)
    followed = (status.ravel() == 1) & ((now > 1) & (now < cells - 2)).all(axis=1)
    if np.count_nonzero(followed) < _MIN_POINTS:
        return None
    motion = _fit(before[followed].astype(np.float64), (now[followed] - offset) * unit, _TUKEY * unit)
    return None if motion is None else replace(motion, trust=motion.trust * float(followed.mean()))


def _fit(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64], reach: float) -> Motion | None:
    """Similarity by iteratively reweighted least squares (Tukey's biweight), begun at the median."""
    p, q = before @ (1, 1j), after @ (1, 1j)  # the plane as complex numbers: q = a p + b
    a: complex = 1.0
    moved = q - p
    b = complex(median(moved.real), median(moved.imag))
    width = 3 * reach  # the first pass knows no turn or scale yet
    for _ in range(6):
        apart = np.abs(q - a * p - b)
        weight = np.where(apart < width, (1 - (apart / width) ** 2) ** 2, 0.0)
        total = weight.sum()
        if np.count_nonzero(weight) < _MIN_POINTS // 2 or total < 1e-6:
            return None
        p0, q0 = (weight * p).sum() / total, (weight * q).sum() / total
        spread = (weight * np.abs(p - p0) ** 2).sum()
        if spread < 1e-9:
            return None
        a = complex((weight * np.conj(p - p0) * (q - q0)).sum() / spread)
        b = complex(q0 - a * p0)
        width = reach
    if not 0.5 < abs(a) < 2.0:
        return None
    apart = np.abs(q - a * p - b)
    scatter = (weight * apart**2).sum() / total / 2  # variance of one point along one axis
    noise = (float(np.sqrt(scatter / total)), float(np.sqrt(scatter / spread)))
    return Motion((b.real, b.imag), abs(a), float(np.angle(a)), float(np.mean(apart < reach)), noise)


def _turned(points: npt.NDArray[np.floating], motion: Motion) -> npt.NDArray[np.floating]:
    cos, sin = motion.scale * np.cos(motion.turn), motion.scale * np.sin(motion.turn)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]))


def _inside(box: FaceBox, corner: tuple[int, int], unit: int) -> npt.NDArray[np.float64]:
    """The box's centre in the patch's pixels (point 0 is the centre of pixel 0)."""
    return np.array([(box.cx - corner[0]) / unit - 0.5, (box.cy - corner[1]) / unit - 0.5])


def _corner(box: FaceBox, side: int) -> tuple[int, int]:
    return round(box.cx - side / 2), round(box.cy - side / 2)


def _patch(luma: Plane, corner: tuple[int, int], cells: int, unit: int) -> Plane:
    """The square at ``corner``, edges replicated, shrunk to (cells, cells) uint8, of even exposure."""
    height, width = luma.shape
    left, top = corner
    side = cells * unit
    x0, x1 = np.clip((left, left + side), 0, width)
    y0, y1 = np.clip((top, top + side), 0, height)
    part = luma[y0:y1, x0:x1]
    if part.size == 0:
        return np.zeros((cells, cells), np.uint8)
    if part.shape != (side, side):
        part = cv2.copyMakeBorder(
            part, y0 - top, top + side - y1, x0 - left, left + side - x1, cv2.BORDER_REPLICATE
        ).astype(np.uint8)
    shrunk = cv2.resize(part, (cells, cells), interpolation=cv2.INTER_AREA)
    inner = shrunk[cells // 4 : -cells // 4, cells // 4 : -cells // 4]
    gain = min(_MAX_GAIN, _MEAN / max(float(inner.mean()), 1.0))
    return np.asarray(cv2.convertScaleAbs(shrunk, alpha=gain), dtype=np.uint8)


def _point_mask(
    shape: tuple[int, ...], box: FaceBox, corner: tuple[int, int], cells: int, unit: int
) -> Plane:
    """Where points may be taken: the upper face, inside the picture."""
    height, width = shape
    at = (np.arange(cells) + 0.5) * unit
    x, y = at + corner[0], at + corner[1]
    half_x, half_y, rise = _UPPER_FACE
    oval = np.hypot(
        (x[None, :] - box.cx) / (half_x * box.size),
        (y[:, None] - box.cy - rise * box.size) / (half_y * box.size),
    )
    rim = 3 * unit
    seen = ((x > rim) & (x < width - rim))[None, :] & ((y > rim) & (y < height - rim))[:, None]
    return np.asarray((oval < 1) & seen, dtype=np.uint8)
