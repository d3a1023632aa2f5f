"""A further face is found in the frame in which it comes in, and a quiet picture costs no search."""

from __future__ import annotations

import numpy as np

from streamfilter.face.change import changed, thumbnail
from streamfilter.face.detect import Detection, FaceDetector
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import Frame
from tests.face_scene import Place, frame_of, luma_of, scene

ONE: Place = (160.0, 180.0, 110.0)
OTHER: Place = (470.0, 180.0, 110.0)


class CountingDetector(FaceDetector):
    """The real detector, and how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.searches = 0

    def detect_frame(self, frame: Frame) -> list[Detection]:
        self.searches += 1
        return super().detect_frame(frame)


def test_a_second_face_is_found_in_its_first_frame_at_every_moment_between_two_searches() -> None:
    alone, both = scene([ONE]), scene([ONE, OTHER])
    for before in range(1, 7):
        finder = FaceFinder()
        for index in range(before):
            assert len(finder.find(frame_of(alone, index / 60))) == 1
        assert len(finder.find(frame_of(both, before / 60))) == 2


def test_a_quiet_picture_with_noise_and_changing_light_is_searched_ten_times_a_second() -> None:
    detector = CountingDetector()
    finder = FaceFinder(detector)
    picture = scene([ONE]).astype(np.float64)
    for index in range(30):
        noisy = picture * (1 + 0.05 * np.sin(index)) + np.random.default_rng(index).normal(
            0, 3, picture.shape
        )
        finder.find(frame_of(noisy.clip(0, 255).astype(np.uint8), index / 30))
    assert detector.searches <= 11


def test_a_head_that_sways_a_little_is_not_searched_for_in_every_frame() -> None:
    detector = CountingDetector()
    finder = FaceFinder(detector)
    for index in range(30):
        sway = 4.0 * np.sin(2 * np.pi * index / 30)
        finder.find(frame_of(scene([(160.0 + sway, 180.0, 110.0)]), index / 30))
    assert detector.searches <= 18


def test_what_happens_within_a_followed_box_is_no_change() -> None:
    finder = FaceFinder()
    (face,) = finder.find(frame_of(scene([ONE])))
    gone = thumbnail(luma_of(scene([])))
    before = thumbnail(luma_of(scene([ONE])))
    assert changed(gone, before, 640, [])
    shown = scene([ONE])
    top, left = int(face.box.top) + 20, int(face.box.left) + 20
    shown[top : top + 60, left : left + 60] = 0
    assert not changed(thumbnail(luma_of(shown)), before, 640, [face.box])


def test_a_picture_of_another_size_has_changed() -> None:
    small, wide = thumbnail(np.zeros((360, 640), np.uint8)), thumbnail(np.zeros((480, 640), np.uint8))
    assert changed(small, wide, 640, [])
