"""Faces of one picture by BlazeFace (Bazarevsky et al. 2019, arXiv 1907.05047), run by ONNX Runtime.

The graph looks at a picture whose longer side is 256; published for 256 x 256, it takes any size here
(scripts/free_detector_size.py), so that no time goes into the bars above and below a wide picture. Its
anchors are the centres of two grids, one every 16 pixels (2 each) and one every 32 (6 each), all of unit size
(section 3.3); a raw box is an offset from its anchor in pixels. Overlapping answers are blended by score
instead of suppressed (section 3.4): less jitter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from streamfilter.errors import EngineError
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.frame import Frame
from streamfilter.workspace import Workspace

Rgb = npt.NDArray[np.uint8]

INPUT_SIZE = 256  # of the longer side
_COARSEST = 32  # the input's sides are multiples of the wider grid's spacing
WEIGHTS = "blazeface.onnx"
_LIKELY_LOGIT = 80.0  # sigmoid saturates long before; keeps exp() from overflowing


@dataclass(frozen=True, slots=True)
class Detection:
    """One face. ``box`` is (left, top, width, height), brow to chin, in pixels of the searched picture.

    ``score`` is 0..1. ``keypoints`` are six (x, y): right eye, left eye (of the person), nose tip, mouth,
    right ear, left ear.
    """

    box: tuple[float, float, float, float]
    score: float
    keypoints: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """``min_score``: answers below it are dropped. ``blend_iou``: answers that overlap more are one face."""

    min_score: float = 0.4
    blend_iou: float = 0.3


DEFAULTS = DetectorSettings()


class FaceDetector:
    """The detector's session; no result depends on pictures before. For one thread, about 4 ms a picture."""

    def __init__(self, settings: DetectorSettings = DEFAULTS) -> None:
        """Load the weights that ship with the package. Raises EngineError when they cannot be loaded."""
        self.settings = settings
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # the converted graph has unused constants: a warning for each
        try:
            weights = files("streamfilter.face").joinpath("weights", WEIGHTS).read_bytes()
            self._session = ort.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises its own classes and plain RuntimeError
            raise EngineError(
                f"the face detector's weights cannot be loaded ({error}): reinstall physio-cam"
            ) from error
        self._input = self._session.get_inputs()[0].name
        self._work = Workspace()

    def detect(self, rgb: Rgb) -> list[Detection]:
        """Faces of an (H, W, 3) uint8 picture of any size, best first, in that picture's pixels."""
        height, width = rgb.shape[:2]
        shape = _fitted(width, height)
        small = cv2.resize(rgb, shape, interpolation=cv2.INTER_AREA).astype(np.float32) * np.float32(1 / 255)
        return self._search(small, width / shape[0], height / shape[1])

    def detect_frame(self, frame: Frame) -> list[Detection]:
        """Faces of a frame, best first, in pixels of its luma plane. Only a small copy becomes RGB."""
        small = small_rgb(frame, self._work)
        return self._search(small, frame.width / small.shape[1], frame.height / small.shape[0])

    def _search(self, small: npt.NDArray[np.float32], scale_x: float, scale_y: float) -> list[Detection]:
        height, width = small.shape[:2]
        tall, wide = (-(-side // _COARSEST) * _COARSEST for side in (height, width))
        left, top = (wide - width) // 2, (tall - height) // 2
        padded = self._work.floats("detect.padded", 1, tall, wide, 3)
        padded.fill(0.0)
        inner = padded[0, top : top + height, left : left + width]
        np.multiply(small, 2.0, out=inner)
        inner -= 1.0
        score_16, score_8, raw_16, raw_8 = self._session.run(None, {self._input: padded})
        logits = np.concatenate([score_16[0, :, 0], score_8[0, :, 0]]).astype(np.float64)
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits, -_LIKELY_LOGIT, _LIKELY_LOGIT)))
        kept = scores >= self.settings.min_score
        if not kept.any():
            return []
        raw = np.concatenate([raw_16[0], raw_8[0]])[kept].astype(np.float64)
        points = raw.reshape(-1, 8, 2)
        points[:, 1] = np.abs(points[:, 1])  # width and height are no positions: no anchor is added
        points[:, (0, 2, 3, 4, 5, 6, 7)] += _anchors(tall, wide)[kept][:, None] - (left, top)
        points *= (scale_x, scale_y)
        return _blend(points, scores[kept], self.settings.blend_iou)


def small_rgb(frame: Frame, work: Workspace) -> npt.NDArray[np.float32]:
    """The frame as a small (h, w, 3) float32 RGB picture in 0..1 that just fits the detector's square, in
    ``work``.

    The planes are shrunk first, so that the conversion costs nothing.
    """
    shape = _fitted(frame.width, frame.height)
    yuv, rgb = (work.floats(f"detect.{name}", shape[1], shape[0], 3) for name in ("yuv", "rgb"))
    for number, plane in enumerate((frame.y, frame.u, frame.v)):
        yuv[..., number] = cv2.resize(plane, shape, interpolation=cv2.INTER_AREA)
    matrix, offset = yuv_to_rgb_matrix(frame.color)
    cv2.transform(yuv, np.column_stack([matrix, offset]), dst=rgb)
    return np.clip(rgb, 0.0, 1.0, out=rgb)


def _fitted(width: int, height: int) -> tuple[int, int]:
    scale = INPUT_SIZE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


@cache
def _anchors(tall: int, wide: int) -> npt.NDArray[np.float64]:
    """Centres (N, 2) of x, y in pixels of an input of that size, in the graph's order."""
    grids = []
    for spacing, repeats in ((16, 2), (32, 6)):
        columns = wide // spacing
        y, x = np.divmod(np.arange(tall // spacing * columns), columns)
        grids.append(np.repeat((np.stack([x, y], axis=1) + 0.5) * spacing, repeats, axis=0))
    anchors = np.concatenate(grids)
    anchors.setflags(write=False)
    return anchors


def _blend(points: npt.NDArray[np.float64], scores: npt.NDArray[np.float64], iou: float) -> list[Detection]:
    """Weighted non-maximum suppression: each best answer is averaged with those it overlaps."""
    low, high = points[:, 0] - points[:, 1] / 2, points[:, 0] + points[:, 1] / 2
    area = np.prod(points[:, 1], axis=1)
    found = []
    left = np.argsort(-scores, kind="stable")
    while left.size:
        best = left[0]
        shared = np.prod(
            np.maximum(np.minimum(high[left], high[best]) - np.maximum(low[left], low[best]), 0), axis=1
        )
        union = area[left] + area[best] - shared
        same = shared > iou * union
        same[0] = True  # also where the box is empty
        group = left[same]
        mean = np.average(points[group], axis=0, weights=scores[group])
        (cx, cy), (width, height) = mean[0], mean[1]
        box = (float(cx - width / 2), float(cy - height / 2), float(width), float(height))
        keypoints = tuple((float(x), float(y)) for x, y in mean[2:])
        found.append(Detection(box, float(scores[best]), keypoints))
        left = left[~same]
    return found
