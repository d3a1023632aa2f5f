"""The rivals do what they are said to do. MediaPipe is no dependency: its models are stood in for."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from streamfilter.artifact import load_artifact
from streamfilter.bench.footage import SIZES, Size, footage, frame_of
from streamfilter.bench.mediapipe_worker import (
    LEFT_EYE,
    MOUTH,
    RIGHT_EYE,
    WINDOW,
    BackgroundBlur,
    LeanBackgroundBlur,
    SlidingMean,
)
from streamfilter.bench.rivals import (
    BACKGROUND,
    BACKGROUND_LEAN,
    SLIDING_MEAN,
    BandStop,
    RivalAbsentError,
    Worker,
)

SMALL = Size("320x180", 320, 180)
LANDMARKS = 478

STAND_IN = """
import numpy as np
from types import SimpleNamespace

__version__ = "stand-in"

class Segmentation:
    def __init__(self, model_selection):
        assert model_selection == 1
    def process(self, rgb):
        mask = np.zeros(rgb.shape[:2], np.float32)
        mask[:, : rgb.shape[1] // 2] = 1.0
        return SimpleNamespace(segmentation_mask=mask)

class Mesh:
    def __init__(self, **settings):
        pass
    def process(self, rgb):
        return SimpleNamespace(multi_face_landmarks=None)

solutions = SimpleNamespace(
    selfie_segmentation=SimpleNamespace(SelfieSegmentation=Segmentation),
    face_mesh=SimpleNamespace(FaceMesh=Mesh),
)
"""


def python_with(folder: Path, module: str) -> str:
    """A Python whose ``mediapipe`` is this."""
    (folder / "mediapipe.py").write_text(module, encoding="utf-8")
    starter = folder / "python.sh"
    starter.write_text(f'#!/bin/sh\nPYTHONPATH={folder} exec {sys.executable} "$@"\n', encoding="utf-8")
    starter.chmod(0o755)
    return str(starter)


@pytest.mark.parametrize("name", [BACKGROUND, BACKGROUND_LEAN, SLIDING_MEAN])
def test_a_worker_answers_frame_by_frame_and_ends(name: str, tmp_path: Path) -> None:
    shown = footage(SMALL, 1, "yu12")
    worker = Worker(name, shown, python_with(tmp_path, STAND_IN))
    try:
        taken = [worker.take(index) for index in (0, 1, 20)]
    finally:
        worker.close()
    for one in taken:
        assert sum(one.stages.values()) == pytest.approx(one.filter)
        assert one.filter > 0 and one.cpu >= 0
        assert one.faces == (0 if name == SLIDING_MEAN else None)
    with pytest.raises(RivalAbsentError, match="closed"):
        worker.take(0)
    worker.close()


def test_a_rival_whose_python_is_absent_or_breaks_says_why(tmp_path: Path) -> None:
    shown = footage(SMALL, 1, "yu12")
    with pytest.raises(RivalAbsentError, match="No such file"):
        Worker(BACKGROUND, shown, str(tmp_path / "python"))
    with pytest.raises(RivalAbsentError, match="out of order"):
        Worker(BACKGROUND, shown, python_with(tmp_path, "raise SystemError('out of order')\n"))
    with pytest.raises(RivalAbsentError, match="no MediaPipe with its solutions"):
        Worker(BACKGROUND, shown, python_with(tmp_path, "__version__ = 'without solutions'\n"))


def i420(rgb: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420))


def noise(seed: int) -> np.ndarray[Any, Any]:
    small = np.random.default_rng(seed).integers(40, 200, (24, 32, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (128, 96), interpolation=cv2.INTER_CUBIC))


@pytest.mark.parametrize("kind", [BackgroundBlur, LeanBackgroundBlur])
def test_the_background_is_blurred_and_the_person_is_not(
    kind: type[BackgroundBlur] | type[LeanBackgroundBlur],
) -> None:
    mask = np.zeros((96, 128), np.float32)
    mask[:, :64] = 1.0
    model = SimpleNamespace(process=lambda rgb: SimpleNamespace(segmentation_mask=mask))
    solutions = SimpleNamespace(
        selfie_segmentation=SimpleNamespace(SelfieSegmentation=lambda model_selection: model)
    )
    picture = i420(noise(0))
    stages, faces, made = kind(solutions).take(picture)
    assert min(stages.values()) > 0
    before, after = (part[:96].astype(float) for part in (picture, np.asarray(made)))
    assert faces is None and made.shape == picture.shape
    assert np.abs(after - before)[:, :60].mean() < 1.5
    assert after[:, 70:].std() < 0.6 * before[:, 70:].std()


def test_the_sliding_mean_is_that_of_the_last_frames_on_skin_only() -> None:
    corners = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
    points = [SimpleNamespace(x=0.3, y=0.7)] * LANDMARKS
    for index, (x, y) in zip((1, 2, 3, 4), corners, strict=True):
        points[index] = SimpleNamespace(x=x, y=y)
    for part in (MOUTH, LEFT_EYE, RIGHT_EYE):
        for index in part:
            points[index] = SimpleNamespace(x=0.3, y=0.7)
    face = SimpleNamespace(landmark=points)
    mesh = SimpleNamespace(process=lambda rgb: SimpleNamespace(multi_face_landmarks=[face]))
    rival = SlidingMean(SimpleNamespace(face_mesh=SimpleNamespace(FaceMesh=lambda **settings: mesh)))
    levels = [100, 110, 120, 130, 140, 150, 160]
    for level in levels:
        _, faces, made = rival.take(i420(np.full((96, 128, 3), level, np.uint8)))
        assert faces == 1
    luma = cv2.cvtColor(np.asarray(made), cv2.COLOR_YUV2RGB_I420)[..., 1].astype(float)
    assert luma[40:56, 56:72] == pytest.approx(np.mean(levels[-WINDOW:]), abs=2)
    assert luma[:10] == pytest.approx(levels[-1], abs=2)


def test_the_band_stop_baseline_edits_the_face_and_nothing_else() -> None:
    shown = footage(SIZES["360p"], 1, "yu12")
    rival = BandStop(load_artifact(), shown)
    taken = [rival.take(index) for index in range(6)]
    assert all(one.faces == 1 and one.filter > 0 for one in taken)
    frame = frame_of(shown.decoder().decode(shown.buffer(0)), 0)
    edited = rival.edit(frame)
    assert (edited.y != frame.y).any() and (edited.y[:20] == frame.y[:20]).all()
