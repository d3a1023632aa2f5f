"""The window filter on scenes with real faces: order, latency, phase over windows, and what never leaves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from streamfilter.config import FilterSettings
from streamfilter.errors import EngineError, UsageError
from streamfilter.face.finder import FaceFinder
from streamfilter.face.track import TrackedFace
from streamfilter.face_filter import FilteredFrame
from streamfilter.frame import Frame
from streamfilter.frame_filter import TOO_MANY
from streamfilter.window.artifact import load_window_artifact
from streamfilter.window.engine import WindowEngine
from streamfilter.window.face_filter import FACE_LOST, WindowFilter, build_window_filter
from tests.face_scene import Place, frame_of, scene
from tests.window_artifact import WINDOW, build_window_artifact

FACE: Place = (100.0, 100.0, 80.0)
SECOND: Place = (300.0, 100.0, 80.0)
CORE = slice(80, 120), slice(80, 120)  # luma within the face, away from the box's rim
Array32 = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_window_artifact(tmp_path_factory.mktemp("window") / "tiny")


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An editor that keeps nothing of what it is given: every crop becomes the same grey."""
    return build_window_artifact(tmp_path_factory.mktemp("window") / "grey", keep=0.0, wave=0.0)


def clip(
    count: int, places: Sequence[Place] = (FACE,), width: int = 200, noise: int = 0, seed: int = 0
) -> list[Frame]:
    """The scene at 30 fps; ``noise``: levels by which every sample of every frame is off."""
    still = frame_of(scene(places, width, 200))
    rng = np.random.default_rng(seed)
    frames = []
    for index in range(count):
        y, u, v = (
            np.clip(plane + rng.integers(-noise, noise + 1, plane.shape), 1, 254).astype(np.uint8)
            for plane in (still.y, still.u, still.v)
        )
        frames.append(Frame(y, u, v, index, Fraction(1, 30), still.color))
    return frames


def make(
    artifact: Path, hop: int | None = None, finder: FaceFinder | None = None, **more: object
) -> WindowFilter:
    values = {"artifact": artifact, "seed": 3, "beyond_face": False, **more}
    settings = FilterSettings.from_mapping(values)
    if finder is None:
        return build_window_filter(settings, hop)
    loaded = load_window_artifact(artifact)
    return WindowFilter(settings, loaded, WindowEngine(loaded), hop, finder)


def whole(video: WindowFilter, frames: Sequence[Frame]) -> list[FilteredFrame]:
    results = [result for frame in frames for result in video.push(frame)]
    results += video.finish()
    video.close()
    return results


@pytest.mark.parametrize(("count", "hop"), [(40, None), (33, 16), (50, 5), (17, 1), (16, 16)])
def test_every_frame_leaves_once_in_order_and_a_window_late(
    artifact: Path, count: int, hop: int | None
) -> None:
    video, frames = make(artifact, hop), clip(count)
    assert video.delay == WINDOW - 1
    left: list[int] = []
    for index, frame in enumerate(frames):
        given = video.push(frame)
        assert [result.frame.pts for result in given] == ([index - WINDOW + 1] if index >= WINDOW - 1 else [])
        left += [result.frame.pts for result in given]
        assert all(result.faces == 1 and result.shielded is None for result in given)
    left += [result.frame.pts for result in video.finish()]
    assert left == list(range(count))
    assert "each frame leaves 15 frames (0.50 s) after it came" in video.notes[0]
    assert not video.finish()
    video.close()


@pytest.mark.parametrize("hop", [1, 3, 8, 12, 15])
def test_windows_join_without_a_seam(artifact: Path, hop: int) -> None:
    """This editor treats each frame by itself: whatever the windows, the cross-fade has to give the same."""
    frames = clip(45)
    ours, alone = (whole(make(artifact, size), frames) for size in (hop, WINDOW))
    for one, other in zip(ours, alone, strict=True):
        difference = one.frame.y.astype(int) - other.frame.y
        assert np.abs(difference).max() <= 1  # rounding, where a level is just met
        assert abs(difference.mean()) < 0.01


def test_the_phase_runs_on_over_the_windows_by_capture_time(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make(artifact, 12, hr_variability=0.0, target_bpm=90.0)
    told: list[Array32] = []
    run = video.engine.run

    def listening(crops: Array32, text: Array32, phase: Array32) -> Array32:
        told.append(phase)
        np.testing.assert_allclose(text, 0.9, atol=1e-6)
        return run(crops, text, phase)

    monkeypatch.setattr(video.engine, "run", listening)
    # Every third frame is missing, as a busy camera leaves them out.
    frames = [frame for index, frame in enumerate(clip(80)) if index % 3]
    whole(video, frames)
    seconds = np.array([frame.seconds for frame in frames])
    starts = [0, 12, 24, 36, len(frames) - WINDOW]
    assert len(told) == len(starts)
    first = math.atan2(told[0][0, 1], told[0][0, 0])
    for start, phase in zip(starts, told, strict=True):
        expected = first + 2.0 * math.pi * 1.5 * (seconds[start : start + WINDOW] - seconds[0])
        np.testing.assert_allclose(phase[:, 0], np.cos(expected), atol=1e-5)
        np.testing.assert_allclose(phase[:, 1], np.sin(expected), atol=1e-5)


def test_a_new_target_is_taken_up_and_one_that_the_editor_cannot_show_is_refused(artifact: Path) -> None:
    video = make(artifact)
    with pytest.raises(UsageError, match="outside"):
        video.set_target(181.0)
    video.set_target(120.0)
    assert len(whole(video, clip(20))) == 20


def test_what_has_left_does_not_depend_on_what_comes_later(artifact: Path) -> None:
    frames = clip(60, noise=2)
    long, short = (make(artifact, 12, seed=5) for _ in range(2))
    ours = [result for frame in frames for result in long.push(frame)]
    theirs = [result for frame in frames[:40] for result in short.push(frame)]
    assert len(theirs) == 25
    for one, other in zip(ours, theirs, strict=False):
        np.testing.assert_array_equal(one.frame.y, other.frame.y)
        np.testing.assert_array_equal(one.frame.u, other.frame.u)
    for video in (long, short):
        video.close()


@pytest.mark.parametrize("count", [1, 5, 15])
def test_a_clip_shorter_than_the_window_leaves_edited_at_its_end(artifact: Path, count: int) -> None:
    video, frames = make(artifact), clip(count)
    assert not [result for frame in frames for result in video.push(frame)]
    results = video.finish()
    assert [result.frame.pts for result in results] == list(range(count))
    assert all(result.faces == 1 for result in results)
    assert not any(np.array_equal(r.frame.y[CORE], f.y[CORE]) for r, f in zip(results, frames, strict=True))
    assert f"the clip has {count}" in video.notes[0]
    video.close()


def test_nothing_of_a_face_leaves_but_what_the_editor_made(grey: Path) -> None:
    """Every source frame carries noise of its own as a mark; neither hop nor end of clip lets it through."""
    for count, hop in ((37, None), (16, 16), (9, None)):
        frames = clip(count, noise=3, seed=count)
        for result, frame in zip(whole(make(grey, hop), frames), frames, strict=True):
            box = next(iter(result.boxes.values()))
            inner = box.size * 9 / 24  # three cells of the rim left out
            rows, columns = (
                slice(round(middle - inner), round(middle + inner)) for middle in (box.cy, box.cx)
            )
            half = (
                slice(rows.start // 2 + 1, rows.stop // 2 - 1),
                slice(columns.start // 2 + 1, columns.stop // 2 - 1),
            )
            assert np.ptp(result.frame.y[rows, columns]) <= 1 < np.ptp(frame.y[rows, columns])
            assert np.ptp(result.frame.u[half]) <= 1 and np.ptp(result.frame.v[half]) <= 1


def test_the_source_is_never_changed(artifact: Path) -> None:
    frames = clip(20)
    before = [(frame.y.copy(), frame.u.copy()) for frame in frames]
    whole(make(artifact, beyond_face=True), frames)
    for frame, (y, u) in zip(frames, before, strict=True):
        np.testing.assert_array_equal(frame.y, y)
        np.testing.assert_array_equal(frame.u, u)


def test_two_faces_are_edited_and_a_third_is_covered(artifact: Path) -> None:
    frames = clip(20, (FACE, SECOND), width=400)
    results = whole(make(artifact), frames)
    assert {result.faces for result in results} == {2}
    results = whole(make(artifact, max_faces=1), frames)
    assert {(result.faces, result.shielded) for result in results} == {(1, TOO_MANY)}
    covered = [np.ptp(r.frame.y[90:110, 290:310]) == 0 or np.ptp(r.frame.y[CORE]) == 0 for r in results]
    assert all(covered)


class LosesOne(FaceFinder):
    """The real finder, which does not see the face it knows least from a frame on."""

    def find(self, frame: Frame) -> list[TrackedFace]:
        found = super().find(frame)
        return found[:1] if frame.pts >= 10 else found


def test_a_covered_face_that_is_lost_stays_covered_while_its_skin_is_there(artifact: Path) -> None:
    results = whole(make(artifact, finder=LosesOne(), max_faces=1), clip(30, (FACE, SECOND), width=400))
    for result in results:
        assert (result.faces, result.shielded) == (1, TOO_MANY)
        assert np.ptp(result.frame.y[90:110, 290:310]) == 0 or np.ptp(result.frame.y[CORE]) == 0


class Blind(FaceFinder):
    """The real finder, but for the frames in which it sees nothing."""

    def __init__(self, blind: range) -> None:
        super().__init__()
        self.blind = blind

    def find(self, frame: Frame) -> list[TrackedFace]:
        return [] if frame.pts in self.blind else super().find(frame)


def test_frames_around_a_face_that_is_not_found_leave_as_cards(artifact: Path) -> None:
    """The face goes behind something at 20 and is not seen again; its skin is gone too."""
    gone = clip(60, ())
    frames = [*clip(20), *gone[20:]]
    results = whole(make(artifact, finder=Blind(range(20, 60))), frames)
    reasons = [result.shielded for result in results]
    assert reasons[:20] == [None] * 20
    assert reasons[20 : 19 + WINDOW] == [FACE_LOST] * (WINDOW - 1)
    assert reasons[19 + WINDOW :] == [None] * (41 - WINDOW)
    assert all((result.frame.u == 128).all() for result in results[20 : 19 + WINDOW])
    np.testing.assert_array_equal(results[-1].frame.y, frames[-1].y)


def test_a_face_found_late_covers_the_frames_before_it(artifact: Path) -> None:
    results = whole(make(artifact, finder=Blind(range(4))), clip(40))
    assert [result.shielded for result in results] == [FACE_LOST] * 4 + [None] * 36


def test_a_face_that_is_lost_while_its_skin_is_there_goes_on_being_edited(artifact: Path) -> None:
    results = whole(make(artifact, finder=Blind(range(10, 14))), clip(30))
    assert {(result.faces, result.shielded) for result in results} == {(1, None)}


def test_a_window_that_fails_takes_its_frames_with_it(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make(artifact)

    def failing(*given: Array32) -> Array32:
        raise EngineError("no")

    with monkeypatch.context() as patch:
        patch.setattr(video.engine, "run", failing)
        frames = clip(60)
        for frame in frames[:15]:
            assert not video.push(frame)
        with pytest.raises(EngineError):
            video.push(frames[15])
    left = whole(video, frames[16:])
    assert [result.frame.pts for result in left] == list(range(16, 60))
    with pytest.raises(EngineError, match="closed"):
        whole(video, frames[:16])


def test_no_thresholds_come_twice_when_the_filter_begins_anew(grey: Path) -> None:
    """Two frames written by the same thresholds tell by their difference where the edits differ."""
    video, frames = make(grey), clip(WINDOW)
    pictures = []
    for _ in range(2):
        left = [result for frame in frames for result in video.push(frame)] + list(video.finish())
        assert len(left) == WINDOW
        pictures.append([result.frame.y[CORE] for result in left])
    video.close()
    first, second = pictures
    assert np.ptp(first[0]) == 1  # a grey between two levels
    assert not any(np.array_equal(*pair) for pair in zip(first, second, strict=True))


def test_a_frame_that_comes_twice_leaves_twice_as_it_was_written(artifact: Path) -> None:
    """Written by two draws of thresholds it would tell where the edit lies."""
    single = clip(24, noise=2)
    frames = [replace(frame, pts=2 * frame.pts + again) for frame in single for again in (0, 1)]
    results = whole(make(artifact, beyond_face=True), frames)
    for first, second, following in zip(results[::2], results[1::2], results[2::2], strict=False):
        for one, other in ((first.frame.y, second.frame.y), (first.frame.v, second.frame.v)):
            np.testing.assert_array_equal(one, other)
        assert second.frame.pts == first.frame.pts + 1 and second.faces == 1
        assert not np.array_equal(second.frame.y[CORE], following.frame.y[CORE])


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"artifact": None}, UsageError, "no packaged editor"),
        ({"engine": "openvino"}, EngineError, "onnxruntime only"),
        ({"strength": 0.5}, UsageError, "in full"),
        ({"pulse": "natural"}, UsageError, "trained to"),
    ],
)
def test_what_a_window_editor_does_not_do_is_refused(
    artifact: Path, values: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_window_filter(FilterSettings.from_mapping({"artifact": artifact, **values}))
