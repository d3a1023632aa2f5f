"""A picture that comes twice is written once: what differed between two writings told where the edit lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamfilter import contract
from streamfilter.config import FilterSettings
from streamfilter.errors import EngineError
from streamfilter.face_filter import VideoFilter, build_filter
from streamfilter.frame import ColorSpec, Frame, Plane
from streamfilter.standing import LONGEST, Standing
from tests.engine_inputs import listen
from tests.face_scene import frame_of, scene

FPS = 15


@pytest.fixture
def video(tiny_artifact: Path) -> Iterator[VideoFilter]:
    made = build_filter(FilterSettings(artifact=tiny_artifact, engine="onnxruntime", seed=1))
    yield made
    made.close()


def pictures(count: int) -> list[Frame]:
    """What a camera of 15 frames a second sees of a face at rest."""
    still, rng = frame_of(scene([(160.0, 120.0, 90.0)], 320, 240)), np.random.default_rng(2)
    taken = []
    for index in range(count):
        noise = rng.integers(-1, 2, still.y.shape, np.int8).view(np.uint8)
        taken.append(later(still.with_planes(still.y + noise, still.u, still.v), index / FPS))
    return taken


def later(frame: Frame, seconds: float) -> Frame:
    """The same picture, in planes of its own, at another moment."""
    return replace(
        frame, y=frame.y.copy(), u=frame.u.copy(), v=frame.v.copy(), pts=round(seconds * 1_000_000)
    )


def twice(frames: list[Frame]) -> list[Frame]:
    return [shown for one in frames for shown in (one, later(one, one.seconds + 0.5 / FPS))]


def planes(frame: Frame) -> tuple[Plane, Plane, Plane]:
    return frame.y, frame.u, frame.v


def same(one: Frame, other: Frame) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(planes(one), planes(other), strict=True))


def test_a_frame_that_comes_twice_leaves_twice_as_it_was_written(video: VideoFilter) -> None:
    given = twice(pictures(8))
    results = [video.process(frame) for frame in given]
    for frame, result in zip(given, results, strict=True):
        assert result.faces == 1 and not same(result.frame, frame)
        assert result.frame.pts == frame.pts
    for first, second, following in zip(results[::2], results[1::2], results[2::2], strict=False):
        assert same(first.frame, second.frame) and first.boxes == second.boxes
        assert not same(second.frame, following.frame)


def test_the_edit_is_that_of_the_stream_without_the_second_ones(
    tiny_artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Estimate, clock and noise step by the camera's own time: nothing is told of a picture twice."""
    settings = FilterSettings(artifact=tiny_artifact, engine="onnxruntime", seed=1)
    single, doubled = build_filter(settings), build_filter(settings)
    told = listen(monkeypatch, doubled.engine, contract.DT)
    given = pictures(20)
    once = [single.process(frame).frame for frame in given]
    again = [doubled.process(frame).frame for frame in twice(given)]
    assert all(same(one, other) for one, other in zip(once, again[::2], strict=True))
    np.testing.assert_allclose(told[1:], 1 / FPS, rtol=1e-3)
    assert len(told) == len(given)
    single.close()
    doubled.close()


def test_what_is_shown_again_is_not_written_over(video: VideoFilter) -> None:
    left = [video.process(frame).frame for frame in twice(pictures(20))]
    kept = [[plane.copy() for plane in planes(frame)] for frame in left]
    for frame in twice(pictures(40))[40:]:
        video.process(frame)
    for frame, before in zip(left, kept, strict=True):
        for plane, was in zip(planes(frame), before, strict=True):
            np.testing.assert_array_equal(plane, was)


def test_a_still_picture_shows_the_pulse_again_before_long(video: VideoFilter) -> None:
    (picture,) = pictures(1)
    made = [video.process(later(picture, index / 30)).frame for index in range(60)]
    whole = round(LONGEST * 30)
    assert all(same(made[0], other) for other in made[1:whole])
    assert all(not same(one, other) for one, other in zip(made[whole + 1 :], made[whole + 2 :], strict=False))


def test_a_new_target_strength_and_face_wait_for_the_next_other_frame_only(
    video: VideoFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[float, float]] = []
    step = video.engine.step

    def listening(inputs: dict[str, np.ndarray], state: object) -> object:
        told.append((float(inputs[contract.TEXT].mean()), float(inputs[contract.STRENGTH][0, 0])))
        return step(inputs, state)  # type: ignore[arg-type]

    monkeypatch.setattr(video.engine, "step", listening)
    first, second = pictures(2)
    video.process(first)
    video.set_target(120)
    video.set_strength(0.0)
    video.process(later(first, 0.03))
    video.process(second)
    assert len(told) == 2 and told[1][0] != told[0][0] and told[1][1] < told[0][1]


def test_after_a_fault_the_same_picture_is_edited(
    video: VideoFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise EngineError("the engine failed, as this test wants")

    first, second = pictures(2)
    video.process(first)
    with monkeypatch.context() as patch:
        patch.setattr(video.engine, "step", fails)
        with pytest.raises(EngineError):
            video.process(second)
    result = video.process(later(second, second.seconds + 0.03))
    assert result.faces == 1 and not same(result.frame, second)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_one_sample_makes_another_picture(number: int) -> None:
    (picture,) = pictures(1)
    changed = [plane.copy() for plane in planes(picture)]
    changed[number][-1, -2] ^= 1
    standing = Standing()
    assert not standing.again(picture)
    assert standing.again(later(picture, 0.1))
    assert not standing.again(picture.with_planes(*changed))
    assert not standing.again(picture)


def test_another_size_or_colour_is_another_picture() -> None:
    (picture,) = pictures(1)
    standing = Standing()
    standing.again(picture)
    assert not standing.again(replace(picture, color=ColorSpec("bt709")))
    assert not standing.again(picture)
    assert not standing.again(picture.with_planes(picture.y[:-2], picture.u[:-1], picture.v[:-1]))


def test_a_picture_of_one_row_can_be_compared() -> None:
    y, u = np.zeros((1, 6), np.uint8), np.zeros((1, 3), np.uint8)
    frame = replace(pictures(1)[0], y=y, u=u, v=u)
    standing = Standing()
    assert not standing.again(frame)
    assert standing.again(frame)
