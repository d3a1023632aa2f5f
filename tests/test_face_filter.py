"""VideoFilter: each face has its own state, is edited or covered, and is held while its skin is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamfilter import contract
from streamfilter.config import FilterSettings
from streamfilter.errors import EngineError, UsageError
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import crop_rgb
from streamfilter.face.finder import FaceFinder
from streamfilter.face.track import TrackedFace
from streamfilter.face_filter import VideoFilter, build_filter
from streamfilter.frame import Frame
from streamfilter.frame_filter import TOO_MANY
from streamfilter.skin import shows_skin, skin_tone
from tests.engine_inputs import listen
from tests.face_scene import Place, frame_of, scene


def frames(places: list[Place], count: int, start: float = 0.0, width: int = 640) -> list[Frame]:
    """Faces at rest before a camera, whose noise makes each frame another."""
    still, rng = scene(places, width, 240), np.random.default_rng(count)
    moments = [frame_of(still, start + index / 30) for index in range(count)]
    return [with_noise(frame, rng) for frame in moments]


def with_noise(frame: Frame, rng: np.random.Generator) -> Frame:
    noise = rng.integers(-1, 2, frame.y.shape, np.int8).view(np.uint8)
    return frame.with_planes(frame.y + noise, frame.u, frame.v)  # no level of a scene is at either end


def make(artifact: Path, **changes: object) -> VideoFilter:
    values = {"artifact": artifact, "engine": "onnxruntime", "seed": 1, **changes}
    return build_filter(FilterSettings.from_mapping(values))


def differs(ours: Frame, given: Frame, place: Place) -> bool:
    x, y = int(place[0]), int(place[1])
    core = (slice(y - 15, y + 15), slice(x - 15, x + 15))
    return not np.array_equal(ours.y[core], given.y[core])


def covered(frame: Frame, place: Place) -> bool:
    x, y = int(place[0]), int(place[1])
    return len(np.unique(frame.y[y - 15 : y + 15, x - 15 : x + 15])) == 1


LEFT, RIGHT = (160.0, 120.0, 90.0), (480.0, 120.0, 90.0)


def test_the_source_frame_is_never_changed(tiny_artifact: Path) -> None:
    video = make(tiny_artifact)
    frame = frames([LEFT], 1)[0]
    before = frame.y.copy(), frame.u.copy(), frame.v.copy()
    result = video.process(frame)
    assert result.faces == 1 and result.shielded is None
    assert differs(result.frame, frame, LEFT)
    for plane, kept in zip((frame.y, frame.u, frame.v), before, strict=True):
        np.testing.assert_array_equal(plane, kept)
    video.close()


def test_faces_have_pulses_of_their_own(tiny_artifact: Path) -> None:
    """Two people whose hearts beat in step would give the filter away."""
    video = make(tiny_artifact)
    traces = []
    for frame in frames([LEFT, RIGHT], 45):
        edited = video.process(frame).frame.y.astype(float) - frame.y
        traces.append([edited[105:135, x - 15 : x + 15].mean() for x in (160, 480)])
    left, right = np.diff(np.array(traces), axis=0).T
    assert left.std() > 0 and right.std() > 0
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.99
    video.close()


def test_a_new_face_is_covered_while_it_settles_when_asked(tiny_artifact: Path) -> None:
    video = make(tiny_artifact, settle_seconds=0.3)
    results = [video.process(frame) for frame in frames([LEFT], 15)]
    assert results[0].shielded == "settling" and covered(results[0].frame, LEFT)
    assert results[-1].shielded is None and not covered(results[-1].frame, LEFT)
    video.close()


def test_more_faces_than_allowed_are_covered(tiny_artifact: Path) -> None:
    video = make(tiny_artifact, max_faces=1)
    result = video.process(frames([LEFT, RIGHT], 1)[0])
    assert result.faces == 1 and result.shielded is not None
    assert [covered(result.frame, place) for place in (LEFT, RIGHT)].count(True) == 1
    video.close()


def test_after_an_engine_fault_the_face_starts_afresh_and_is_edited(
    tiny_artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make(tiny_artifact)
    first, second, third = frames([LEFT], 3)
    video.process(first)
    with monkeypatch.context() as patch:
        patch.setattr(video.engine, "step", _fails)
        with pytest.raises(EngineError):
            video.process(second)
    result = video.process(third)
    assert result.faces == 1 and differs(result.frame, third, LEFT)
    video.close()


def _fails(*_: object) -> None:
    raise EngineError("the engine failed, as this test wants")


class BlindFrom(FaceFinder):
    """The real finder, which sees nothing from a moment on: the detector and tracker have lost the face."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.blind_from = seconds

    def find(self, frame: Frame) -> list[TrackedFace]:
        return [] if frame.seconds >= self.blind_from else super().find(frame)


def test_a_lost_face_is_edited_while_its_skin_is_there_and_let_go_after(tiny_artifact: Path) -> None:
    video = make(tiny_artifact)
    video = VideoFilter(
        FilterSettings(artifact=tiny_artifact, engine="onnxruntime", seed=1),
        video._artifact,
        video.engine,
        BlindFrom(0.15),
    )
    for frame in frames([LEFT], 12):
        result = video.process(frame)
        assert result.faces == 1
        assert differs(result.frame, frame, LEFT)
    empty = frames([RIGHT], 1, start=1.0)[0]
    assert video.process(empty).faces == 0
    video.close()


class LosesOne(FaceFinder):
    """The real finder, which does not see the face it knows least from a moment on."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.loses_from = seconds

    def find(self, frame: Frame) -> list[TrackedFace]:
        found = super().find(frame)
        return found[:1] if frame.seconds >= self.loses_from else found


def test_a_covered_face_that_is_lost_stays_covered_while_its_skin_is_there(tiny_artifact: Path) -> None:
    video = make(tiny_artifact, max_faces=1)
    video._finder = LosesOne(0.1)
    for frame in frames([LEFT, RIGHT], 60):
        result = video.process(frame)
        assert result.faces == 1 and result.shielded == TOO_MANY
        assert sorted([covered(result.frame, place) for place in (LEFT, RIGHT)]) == [False, True]
        assert all(differs(result.frame, frame, place) for place in (LEFT, RIGHT))
    shown = LEFT if differs(result.frame, frame, LEFT) and not covered(result.frame, LEFT) else RIGHT
    alone = video.process(frames([shown], 1, start=2.0)[0])
    assert alone.faces == 1 and alone.shielded is None
    video.close()


def test_a_lost_face_is_held_over_a_fault_of_the_engine(
    tiny_artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make(tiny_artifact)
    video._finder = BlindFrom(0.1)
    given = frames([LEFT], 8)
    for frame in given[:5]:
        video.process(frame)
    with monkeypatch.context() as patch:
        patch.setattr(video.engine, "step", _fails)
        with pytest.raises(EngineError):
            video.process(given[5])
    for frame in given[6:]:
        result = video.process(frame)
        assert result.faces == 1 and differs(result.frame, frame, LEFT)
    video.close()


def test_it_says_for_how_long_no_face_was_detected(tiny_artifact: Path) -> None:
    video = make(tiny_artifact)
    video._finder = BlindFrom(1.0)
    unseen = [video.process(frame).unseen for frame in frames([LEFT], 120)]
    assert max(unseen[:30]) == 0.0  # looked for every 0.2 s, and found each time
    np.testing.assert_allclose(unseen[30:], np.arange(1, 91) / 30, atol=1e-4)
    assert video.process(frames([], 1, start=4.0)[0]).unseen == 0.0
    video.close()


def test_one_face_that_is_detected_is_enough(tiny_artifact: Path) -> None:
    video = make(tiny_artifact)
    video._finder = LosesOne(0.1)
    for frame in frames([LEFT, RIGHT], 30):
        result = video.process(frame)
        assert result.faces == 2 and result.unseen == 0.0
    video.close()


def test_target_changes_are_checked_and_taken_up(tiny_artifact: Path) -> None:
    video = make(tiny_artifact)
    with pytest.raises(UsageError):
        video.set_target(500)
    video.set_target(120)
    assert video.process(frames([LEFT], 1)[0]).faces == 1
    video.close()


def test_strength_glides_to_nothing_and_back_within_a_second(
    tiny_artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make(tiny_artifact)
    told = listen(monkeypatch, video.engine, contract.STRENGTH)
    with pytest.raises(UsageError):
        video.set_strength(1.5)
    for index, frame in enumerate(frames([LEFT], 100)):
        if index in (10, 60):
            video.set_strength(0.0 if index == 10 else 1.0)
        video.process(frame)
    assert told[:10] == [1.0] * 10
    assert told[41:60] == [0.0] * 19
    assert told[91:] == [1.0] * 9
    assert max(abs(np.diff(told))) < 0.04
    video.close()


def test_the_boxes_of_the_edited_faces_are_told(tiny_artifact: Path) -> None:
    video = make(tiny_artifact)
    result = video.process(frames([LEFT, RIGHT], 1)[0])
    assert len(result.boxes) == result.faces == 2
    centres = sorted(box.cx for box in result.boxes.values())
    assert abs(centres[0] - LEFT[0]) < 20 and abs(centres[1] - RIGHT[0]) < 20
    video.close()


def test_skin_is_told_from_a_wall() -> None:
    face = frame_of(scene([LEFT], 640, 240))
    box = FaceBox(160.0, 120.0, 108.0)
    tone = skin_tone(crop_rgb(face, box))
    assert shows_skin(crop_rgb(face, box), tone)
    assert not shows_skin(crop_rgb(face, FaceBox(480.0, 120.0, 108.0)), tone)
