"""MediaPipe's side of the comparison, run by file in a Python that has MediaPipe, not this package.

mediapipe_worker.py background-blur|background-blur-lean|sliding-mean FRAMES WIDTH HEIGHT COUNT

FRAMES holds COUNT pictures in I420. Each line with an index is answered with the times of that frame as JSON.
Both are written to be quick: I420 in and out, OpenCV's own routines, one model that stays loaded.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

# The ends of the lips and of either eye, and points around them (Face Mesh's numbers).
MOUTH = (61, 185, 40, 39, 37, 0, 267, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
LEFT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173)
RIGHT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398)
WINDOW = 5  # frames of the sliding mean: the published default
SHRINK = 4  # of the background before it is blurred
SEEN = 256  # width of the picture that the lean one shows the model: what the model works on
BLUR = 4.0  # standard deviation in shrunken pixels


class Rival(Protocol):
    def take(self, picture: Any) -> tuple[dict[str, float], int | None, Any]:
        """Seconds of each stage, faces found (None: it does not look for any), and the new picture."""
        ...


class BackgroundBlur:
    """Who is in front stays, the room behind is blurred."""

    def __init__(self, solutions: Any) -> None:
        self._model = solutions.selfie_segmentation.SelfieSegmentation(model_selection=1)

    def take(self, picture: Any) -> tuple[dict[str, float], int | None, Any]:
        import cv2

        start = time.perf_counter()
        rgb = cv2.cvtColor(picture, cv2.COLOR_YUV2RGB_I420)
        converted = time.perf_counter()
        person = self._model.process(rgb).segmentation_mask
        segmented = time.perf_counter()
        height, width = rgb.shape[:2]
        small = cv2.resize(rgb, (width // SHRINK, height // SHRINK), interpolation=cv2.INTER_AREA)
        room = cv2.resize(cv2.GaussianBlur(small, (0, 0), BLUR), (width, height))
        shown = cv2.blendLinear(rgb, room, person, 1.0 - person)
        blurred = time.perf_counter()
        packed = cv2.cvtColor(shown, cv2.COLOR_RGB2YUV_I420)
        done = time.perf_counter()
        stages = {
            "to RGB": converted - start,
            "segment": segmented - converted,
            "blur": blurred - segmented,
            "to I420": done - blurred,
        }
        return stages, None, packed


class LeanBackgroundBlur:
    """The same with all that saves time: a small picture for the model, the frame's own planes blended."""

    def __init__(self, solutions: Any) -> None:
        self._model = solutions.selfie_segmentation.SelfieSegmentation(model_selection=1)

    def take(self, picture: Any) -> tuple[dict[str, float], int | None, Any]:
        import cv2
        import numpy as np

        start = time.perf_counter()
        tall, width = picture.shape
        height = tall * 2 // 3
        half = (2, height // 2, width // 2)
        y, (u, v) = picture[:height], picture[height:].reshape(half)
        small = (min(width, SEEN), min(width, SEEN) * height // width)
        seen = cv2.merge([cv2.resize(plane, small, interpolation=cv2.INTER_AREA) for plane in (y, u, v)])
        # OpenCV's order is Y, V, U.
        rgb = cv2.cvtColor(seen[..., [0, 2, 1]], cv2.COLOR_YCrCb2RGB)
        converted = time.perf_counter()
        person = self._model.process(rgb).segmentation_mask
        segmented = time.perf_counter()
        made = np.empty_like(picture)
        new = (made[:height], *made[height:].reshape(half))
        weights: dict[Any, Any] = {}
        for plane, out in zip((y, u, v), new, strict=True):
            size = plane.shape[1], plane.shape[0]
            if size not in weights:
                front = cv2.resize(person, size)
                weights[size] = front, 1.0 - front
            shrunk = cv2.resize(plane, (size[0] // SHRINK, size[1] // SHRINK), interpolation=cv2.INTER_AREA)
            room = cv2.resize(cv2.GaussianBlur(shrunk, (0, 0), BLUR), size)
            out[:] = cv2.blendLinear(plane, room, *weights[size])
        blurred = time.perf_counter()
        stages = {
            "to small RGB": converted - start,
            "segment": segmented - converted,
            "blur": blurred - segmented,
        }
        return stages, None, made


class SlidingMean:
    """Skin becomes the mean of the last frames; the mesh's hull less eyes and mouth is skin."""

    def __init__(self, solutions: Any) -> None:
        self._mesh = solutions.face_mesh.FaceMesh(
            max_num_faces=4, refine_landmarks=True, min_detection_confidence=0.5
        )
        self._past: deque[Any] = deque(maxlen=WINDOW)

    def take(self, picture: Any) -> tuple[dict[str, float], int | None, Any]:
        import cv2
        import numpy as np

        start = time.perf_counter()
        rgb = cv2.cvtColor(picture, cv2.COLOR_YUV2RGB_I420)
        converted = time.perf_counter()
        height, width = rgb.shape[:2]
        found = self._mesh.process(rgb).multi_face_landmarks or []
        skin = np.zeros((height, width), np.uint8)
        for face in found:
            points = np.array([(mark.x * width, mark.y * height) for mark in face.landmark], np.int32)
            cv2.fillConvexPoly(skin, cv2.convexHull(points), 255)
            for part in (MOUTH, LEFT_EYE, RIGHT_EYE):
                cv2.fillConvexPoly(skin, cv2.convexHull(points[list(part)]), 0)
        meshed = time.perf_counter()
        self._past.append(rgb)
        if found:
            left, top, wide, tall = cv2.boundingRect(skin)
            place = (slice(top, top + tall), slice(left, left + wide))
            total = np.zeros((tall, wide, 3), np.float32)
            for former in self._past:
                cv2.accumulate(np.ascontiguousarray(former[place]), total)
            mean = cv2.convertScaleAbs(total, alpha=1.0 / len(self._past))
            rgb = rgb.copy()
            cv2.copyTo(mean, skin[place], rgb[place])
        averaged = time.perf_counter()
        packed = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
        done = time.perf_counter()
        stages = {
            "to RGB": converted - start,
            "face mesh": meshed - converted,
            "mean": averaged - meshed,
            "to I420": done - averaged,
        }
        return stages, len(found), packed


RIVALS: dict[str, Callable[[Any], Rival]] = {
    "background-blur": BackgroundBlur,
    "background-blur-lean": LeanBackgroundBlur,
    "sliding-mean": SlidingMean,
}


def main(arguments: list[str]) -> int:
    name, path, width, height, count = arguments[0], arguments[1], *map(int, arguments[2:5])
    try:
        import mediapipe
        import numpy as np

        solutions = mediapipe.solutions
        rival: Rival = RIVALS[name](solutions)
    except (ImportError, AttributeError) as error:
        why = f"no MediaPipe with its solutions in that Python ({error}): pip install mediapipe==0.10.14"
        print(json.dumps({"absent": why}), flush=True)
        return 0
    pictures = np.fromfile(path, np.uint8).reshape(count, height * 3 // 2, width)
    print(json.dumps({"ready": mediapipe.__version__}), flush=True)
    for line in sys.stdin:
        picture = pictures[int(line) % count]
        worked = time.process_time()
        stages, faces, _ = rival.take(picture)
        told = {
            "stages": {stage: 1000 * seconds for stage, seconds in stages.items()},
            "cpu": 1000 * (time.process_time() - worked),
            "faces": faces,
        }
        print(json.dumps(told), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
