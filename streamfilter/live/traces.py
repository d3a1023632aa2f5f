"""What the meter reads: the mean colour of the edited face's skin, before and after the filter."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamfilter.errors import UsageError
from streamfilter.face.box import FaceBox
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.face.crop import CHROMA_SHIFT
from streamfilter.frame import Frame, Plane

Floats = npt.NDArray[np.float64]

KEPT_SECONDS = 20.0
LONGEST_GAP = 1.0  # seconds: over a longer one no line is drawn, a beat or two would be made up
MAX_SAMPLES = 4096  # 20 s at 200 frames a second
_REACH = (0.36, 0.46)  # of the bell across and along, relative to the box: half of it at half as far


@dataclass(frozen=True, slots=True)
class Traces:
    """Mean R, G, B of one face's skin: ``seconds`` (T,) of capture, strictly increasing, at most 20 s;
    ``before`` and ``after`` (T, 3) of the filter, 0..1, unrounded. T may be 0."""

    seconds: Floats
    before: Floats
    after: Floats


class FaceTraces:
    """The last 20 s of one face. Written by one thread, read by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._face: int | None = None
        self._samples: deque[tuple[float, Floats, Floats]] = deque(maxlen=MAX_SAMPLES)

    def add(self, face: int, seconds: float, before: Floats, after: Floats) -> None:
        """``skin_mean`` (3,) of a frame captured at ``seconds``, as it came and as it leaves.

        ``face`` is the tracker's number of it. Another face, a gap of more than 1 s, or a time that goes back
        starts the traces anew; a second frame of the same moment is left out.
        """
        with self._lock:
            gap = seconds - self._samples[-1][0] if self._samples else 0.0
            if face != self._face or not 0.0 <= gap <= LONGEST_GAP:
                self._samples.clear()
            elif self._samples and gap == 0.0:
                return
            self._face = face
            self._samples.append((seconds, before, after))
            while seconds - self._samples[0][0] > KEPT_SECONDS:
                self._samples.popleft()

    def clear(self) -> None:
        """Forget the face, as when nothing of it leaves any more."""
        with self._lock:
            self._samples.clear()
            self._face = None

    def read(self) -> Traces:
        """A copy of what is there."""
        with self._lock:
            samples = list(self._samples)
        return Traces(
            np.array([seconds for seconds, _, _ in samples], np.float64),
            np.array([before for _, before, _ in samples], np.float64).reshape(-1, 3),
            np.array([after for _, _, after in samples], np.float64).reshape(-1, 3),
        )


def skin_mean(frame: Frame, box: FaceBox) -> Floats:
    """Mean R, G, B (3,) of where the skin lies in a face's box, 0..1, unrounded, straight from the planes.

    Weighted by a bell that fades out before the box's edges and glides with it: a sharp edge, or a mask by
    colour that flickers with the camera's noise, would move the mean like a pulse. 0.3 ms for two frames of a
    face of 350 pixels. Raises UsageError for a box without area or outside the picture.
    """
    if not (np.isfinite((box.cx, box.cy)).all() and 0 < box.size < np.inf):
        raise UsageError(f"cannot read {box}: a box needs a finite, positive size")
    across, along = _REACH[0] * box.size, _REACH[1] * box.size
    chroma = ((box.cx + CHROMA_SHIFT) / 2, box.cy / 2, across / 2, along / 2)
    means = np.array(
        [
            _bell_mean(frame.y, box.cx, box.cy, across, along),
            _bell_mean(frame.u, *chroma),
            _bell_mean(frame.v, *chroma),
        ]
    )
    matrix, offset = yuv_to_rgb_matrix(frame.color)
    rgb: Floats = matrix @ means + offset
    return rgb


def _bell_mean(plane: Plane, cx: float, cy: float, across: float, along: float) -> float:
    rows, down = _bell(cy, along, plane.shape[0])
    columns, right = _bell(cx, across, plane.shape[1])
    part = plane[rows, columns].astype(np.float32)
    return float((down @ part).astype(np.float64) @ right)


def _bell(centre: float, reach: float, length: int) -> tuple[slice, npt.NDArray[np.float32]]:
    """The pixels within ``reach`` of ``centre``, and their weights: a squared cosine, of sum 1."""
    first = max(0, math.ceil(centre - reach - 0.5))
    last = min(length - 1, math.floor(centre + reach - 0.5))
    weights = np.cos((np.arange(first, last + 1) + 0.5 - centre) * (0.5 * math.pi / reach)) ** 2
    total = float(weights.sum())
    if not total > 0:
        raise UsageError("the middle of the face's box lies outside the picture: there is no skin to read")
    return slice(first, last + 1), (weights / total).astype(np.float32)
