from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from streamfilter.face.finder import FaceFinder
from streamfilter.face.track import TrackedFace, TrackSettings, TrackState, detection_due, track
from tests.face_scene import Place, detection_at, frame_of, luma_of, scene

STILL: Place = (320.0, 180.0, 120.0)
SIZE = 1.5 * STILL[2]


def follow(
    at: Callable[[float], Place], fps: float, seconds: float, wobble: float = 0.0, noise: float = 0.0
) -> list[TrackedFace]:
    """Follow one moving face with a detector whose boxes tremble by ``wobble`` of their height."""
    rng = np.random.default_rng(3)
    state, out = TrackState(), []
    for index in range(round(fps * seconds)):
        now = index / fps
        cx, cy, tall = place = at(now)
        dx, dy, ds = rng.normal(0, wobble, 3) * tall
        seen = [detection_at((cx + dx, cy + dy, tall + ds))] if detection_due(state, now) else None
        state, (face,) = track(state, seen, luma_of(scene([place]), noise, index), now)
        out.append(face)
    return out


def test_a_still_head_has_a_still_box_under_a_trembling_detector() -> None:
    faces = follow(lambda _: STILL, 30, 1.5, wobble=0.02, noise=2.0)
    places = np.array([(f.box.cx, f.box.cy, f.box.size) for f in faces])
    assert (np.abs(np.diff(places, axis=0)) / SIZE).max() < 0.003
    assert np.median(np.abs(np.diff(places, axis=0)) / SIZE) < 0.0003
    assert {f.id for f in faces} == {0}


@pytest.mark.parametrize("fps", [15, 30, 60])
def test_sub_pixel_motion_is_followed_to_a_fraction_of_a_pixel(fps: int) -> None:
    faces = follow(lambda now: (320 + 12 * now, 180 - 6 * now, 120), fps, 0.6)
    for index, face in enumerate(faces):
        now = index / fps
        assert face.box.cx - faces[0].box.cx == pytest.approx(12 * now, abs=0.35)
        assert face.box.cy - faces[0].box.cy == pytest.approx(-6 * now, abs=0.35)


def test_a_nod_is_followed_at_once() -> None:
    def nod(now: float) -> Place:
        return (320, 180 + 25 * math.sin(2 * math.pi * 1.5 * now), 120)

    faces = follow(nod, 30, 1.0, wobble=0.01)
    late = [abs(face.box.cy - nod(index / 30)[1]) / SIZE for index, face in enumerate(faces)]
    # At 1.5 Hz the head covers 13 % of the box in 100 ms.
    assert max(late) < 0.03


def test_a_face_that_comes_closer_is_followed_in_size() -> None:
    faces = follow(lambda now: (320, 180, 100 + 40 * now), 30, 1.0)
    assert faces[-1].box.size == pytest.approx(1.5 * (100 + 40 * 29 / 30), rel=0.05)


def test_a_change_of_exposure_does_not_move_the_box() -> None:
    picture = scene([STILL])
    state, _ = track(TrackState(), [detection_at(STILL)], luma_of(picture), 0.0)
    darker = (picture * 0.6).astype(np.uint8)
    _, (face,) = track(state, None, luma_of(darker), 1 / 30)
    assert math.hypot(face.box.cx - STILL[0], face.box.cy - STILL[1]) < 0.003 * SIZE


def test_the_pull_towards_the_detector_takes_the_same_time_at_every_frame_rate() -> None:
    picture = luma_of(scene([STILL]))
    found = [detection_at((STILL[0] + 25, STILL[1], STILL[2]))]

    def after(fps: int) -> float:
        state, _ = track(TrackState(), [detection_at(STILL)], picture, 0.0)
        face = None
        for index in range(1, fps + 1):
            now = index / fps
            state, (face,) = track(state, found if detection_due(state, now) else None, picture, now)
        assert face is not None
        return face.box.cx - STILL[0]

    reached = [after(fps) for fps in (15, 30, 60)]
    assert 6 < reached[0] < 16  # one time constant on the way from 0 to 25 less the dead zone of 9
    assert max(reached) - min(reached) < 1.0


def test_uneven_time_stamps_are_taken_as_they_are() -> None:
    picture = luma_of(scene([STILL]))
    found = [detection_at((STILL[0] + 25, STILL[1], STILL[2]))]

    def after(times: list[float]) -> float:
        state, _ = track(TrackState(), [detection_at(STILL)], picture, 0.0)
        faces: list[TrackedFace] = []
        for now in times:
            state, faces = track(state, found, picture, now)
        return faces[0].box.cx

    assert after([0.03, 0.05, 0.2, 0.21, 0.4]) == pytest.approx(after([0.1, 0.2, 0.3, 0.4]), abs=1.0)


def test_a_second_face_is_there_from_its_first_detection_and_ids_stay() -> None:
    first, second = (170.0, 180.0, 100.0), (460.0, 190.0, 110.0)
    state, faces = track(TrackState(), [detection_at(first)], luma_of(scene([first])), 0.0)
    assert [face.id for face in faces] == [0]
    both = luma_of(scene([first, second]))
    state, faces = track(state, [detection_at(second), detection_at(first)], both, 0.1)
    assert [face.id for face in faces] == [0, 1]
    for step in range(2, 6):
        order = [detection_at(first), detection_at(second)][:: -1 if step % 2 else 1]
        state, faces = track(state, order, both, step / 10)
        assert [round(face.box.cx, -1) for face in faces] == [170, 460]
        assert [face.id for face in faces] == [0, 1]


def lose(settings: TrackSettings) -> tuple[TrackState, list[list[TrackedFace]]]:
    """One second of a face, then two seconds of the empty scene."""
    state, out = TrackState(), []
    there, gone = luma_of(scene([STILL])), luma_of(scene([]))
    for step in range(31):
        here = step <= 10
        state, faces = track(
            state, [detection_at(STILL)] if here else [], there if here else gone, step / 10, settings
        )
        out.append(faces)
    return state, out


def test_a_lost_face_keeps_its_box_for_the_grace_time_and_its_id_is_not_reused() -> None:
    state, out = lose(TrackSettings(grace=0.9))
    for step, faces in enumerate(out[:11]):
        assert [face.lost_for for face in faces] == [0.0], step
    for step in range(11, 20):
        (face,) = out[step]
        assert face.lost_for == pytest.approx((step - 10) / 10)
        assert face.box == out[10][0].box
    assert all(faces == [] for faces in out[20:])
    _, (back,) = track(state, [detection_at(STILL)], luma_of(scene([STILL])), 3.2)
    assert back.id == 1
    assert back.lost_for == 0


def test_a_face_that_returns_within_the_grace_time_is_the_same() -> None:
    picture = luma_of(scene([STILL]))
    state = TrackState()
    faces: list[TrackedFace] = []
    for step in range(12):
        state, faces = track(state, [] if 6 <= step < 9 else [detection_at(STILL)], picture, step / 10)
    assert [(face.id, face.lost_for) for face in faces] == [(0, 0.0)]


def test_a_false_alarm_goes_soon_and_a_weak_one_never_starts() -> None:
    picture = luma_of(scene([STILL]))
    state, faces = track(TrackState(), [detection_at(STILL, 0.45)], picture, 0.0)
    assert faces == []
    state, faces = track(state, [detection_at(STILL, 0.55)], picture, 0.1)
    assert len(faces) == 1
    for step in range(2, 6):
        state, faces = track(state, [], picture, step / 10)
    assert faces == []


def test_a_cut_moves_the_box_at_once() -> None:
    there: Place = (360.0, 210.0, 150.0)
    state, _ = track(TrackState(), [detection_at(STILL)], luma_of(scene([STILL])), 0.0)
    _, (face,) = track(state, [detection_at(there)], luma_of(scene([there])[:, ::-1].copy()), 0.1)
    assert abs(face.box.cx - there[0]) < 0.15 * face.box.size


def test_when_to_detect() -> None:
    picture = luma_of(scene([STILL]))
    assert detection_due(TrackState(), 5.0)
    state, _ = track(TrackState(), [detection_at(STILL)], picture, 5.0)
    assert [detection_due(state, 5 + step / 30) for step in (1, 5, 6)] == [False, False, True]
    assert [detection_due(state, 5 + step / 60) for step in (6, 11, 12)] == [False, False, True]
    assert detection_due(state, 4.0)  # the clock was turned back: a loop or a seek
    missed, _ = track(state, [], picture, 5.1)
    assert detection_due(missed, 5.11)


def test_state_goes_in_and_comes_out() -> None:
    picture = luma_of(scene([STILL]), 2.0)
    state, _ = track(TrackState(), [detection_at(STILL)], picture, 0.0)
    moved = luma_of(scene([(323.0, 181.0, 120.0)]), 2.0, 1)
    once, faces = track(state, None, moved, 0.05)
    again, same = track(state, None, moved, 0.05)
    assert faces == same
    assert once.seconds == again.seconds == 0.05
    assert state.seconds == 0.0


def test_the_finder_follows_a_face_through_frames() -> None:
    finder = FaceFinder()
    for index in range(8):
        faces = finder.find(frame_of(scene([(300 + 2 * index, 180, 120)]), index / 30))
        assert len(faces) == 1
        assert faces[0].box.cx == pytest.approx(300 + 2 * index, abs=12)
        assert faces[0].confidence > 0.5
    assert faces[0].id == 0
