"""The traces that the meter reads: the skin's mean colour, and which moments belong together."""

from __future__ import annotations

import threading
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.errors import UsageError
from streamfilter.face.box import FaceBox
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.frame import ColorSpec, Frame
from streamfilter.live.traces import KEPT_SECONDS, LONGEST_GAP, MAX_SAMPLES, FaceTraces, skin_mean

WIDTH, HEIGHT = 160, 120
COLOR = ColorSpec()


def picture(y: npt.ArrayLike, u: npt.ArrayLike, v: npt.ArrayLike) -> Frame:
    half = (HEIGHT // 2, WIDTH // 2)
    planes = [
        np.broadcast_to(np.asarray(plane, np.uint8), shape).copy()
        for plane, shape in ((y, (HEIGHT, WIDTH)), (u, half), (v, half))
    ]
    return Frame(planes[0], planes[1], planes[2], 0, Fraction(1, 30), COLOR)


def noise(seed: int) -> Frame:
    rng = np.random.default_rng(seed)
    half = (HEIGHT // 2, WIDTH // 2)
    return picture(
        rng.integers(60, 200, (HEIGHT, WIDTH)), rng.integers(100, 120, half), rng.integers(135, 160, half)
    )


@given(
    y=st.integers(40, 220),
    u=st.integers(90, 130),
    v=st.integers(125, 170),
    cx=st.floats(0.0, WIDTH),
    cy=st.floats(0.0, HEIGHT),
    size=st.floats(8.0, 300.0),
)
def test_an_even_picture_has_its_own_colour_everywhere(
    y: int, u: int, v: int, cx: float, cy: float, size: float
) -> None:
    matrix, offset = yuv_to_rgb_matrix(COLOR)
    seen = skin_mean(picture(y, u, v), FaceBox(cx, cy, size))
    np.testing.assert_allclose(seen, matrix @ np.array([y, u, v]) + offset, atol=1e-5)


def test_a_change_of_a_fraction_of_a_level_is_seen() -> None:
    frame = noise(1)
    down, right = np.mgrid[:HEIGHT, :WIDTH]
    brighter = frame.y + ((right + 3 * down) % 10 == 0).astype(np.uint8)  # 0.1 levels on average
    box = FaceBox(80.0, 60.0, 90.0)
    change = skin_mean(frame.with_planes(brighter, frame.u, frame.v), box) - skin_mean(frame, box)
    np.testing.assert_allclose(change, 0.1 / 219.0, rtol=0.02)


def test_pixels_outside_the_box_do_not_count() -> None:
    box = FaceBox(80.0, 60.0, 60.0)
    frame = picture(120, 110, 150)
    around = frame.y.copy()
    around[:, :50] = around[:, 111:] = 16
    around[:30], around[91:] = 235, 235
    np.testing.assert_array_equal(
        skin_mean(frame.with_planes(around, frame.u, frame.v), box), skin_mean(frame, box)
    )


def test_the_mean_glides_with_the_box() -> None:
    frame = noise(3)
    path = [skin_mean(frame, FaceBox(70.0 + step / 50, 60.0, 80.0)) for step in range(101)]
    steps = np.abs(np.diff(np.array(path), axis=0))
    assert (
        steps.max() < 5e-4
    )  # white noise of 40 levels: a whole pixel in or out at once would be 2e-3 and more
    assert np.ptp(np.array(path), axis=0).max() > 0.0


@pytest.mark.parametrize("box", [FaceBox(80, 60, 0), FaceBox(float("nan"), 60, 50), FaceBox(-500, 60, 50)])
def test_a_box_without_skin_is_refused(box: FaceBox) -> None:
    with pytest.raises(UsageError):
        skin_mean(noise(4), box)


def add(traces: FaceTraces, seconds: float, face: int = 1) -> None:
    traces.add(face, seconds, np.full(3, seconds), np.full(3, -seconds))


@given(gaps=st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=80))
def test_what_is_kept_is_one_stretch(gaps: list[float]) -> None:
    traces = FaceTraces()
    times = np.cumsum(gaps) + 1000.0
    for at in times:
        add(traces, float(at))
    kept = traces.read()
    steps = np.diff(kept.seconds)
    assert (steps > 0).all() and (steps <= LONGEST_GAP).all()
    assert kept.seconds[-1] == times[-1]
    assert kept.seconds[-1] - kept.seconds[0] <= KEPT_SECONDS
    np.testing.assert_array_equal(kept.before, np.tile(kept.seconds[:, None], 3))
    np.testing.assert_array_equal(kept.after, -kept.before)


def test_the_last_twenty_seconds_are_kept() -> None:
    traces = FaceTraces()
    for index in range(1501):
        add(traces, index / 30)
    kept = traces.read().seconds
    assert kept[-1] == 50.0 and kept[0] == pytest.approx(30.0) and kept.size == 601


@pytest.mark.parametrize(("seconds", "face"), [(2.01, 1), (0.5, 1), (1.03, 2)])
def test_a_gap_a_jump_back_or_another_face_starts_anew(seconds: float, face: int) -> None:
    traces = FaceTraces()
    add(traces, 0.5)
    add(traces, 1.0)
    add(traces, seconds, face)
    assert traces.read().seconds.tolist() == [seconds]


def test_a_short_gap_is_bridged_and_a_repeated_moment_left_out() -> None:
    traces = FaceTraces()
    for at in (0.0, 0.9, 0.9, 1.0):
        add(traces, at)
    assert traces.read().seconds.tolist() == [0.0, 0.9, 1.0]
    traces.clear()
    empty = traces.read()
    assert empty.seconds.shape == (0,) and empty.before.shape == empty.after.shape == (0, 3)


def test_memory_is_bounded_at_any_rate() -> None:
    traces = FaceTraces()
    for index in range(MAX_SAMPLES + 500):
        add(traces, index / 1000)
    assert traces.read().seconds.size == MAX_SAMPLES


def test_a_reader_sees_whole_samples_while_another_thread_writes() -> None:
    traces, done = FaceTraces(), threading.Event()

    def write() -> None:
        for index in range(4000):
            add(traces, index / 100, face=index // 700)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while not done.is_set() or reads == 0:
        kept = traces.read()
        reads += 1
        assert (np.diff(kept.seconds) > 0).all()
        np.testing.assert_array_equal(kept.before[:, 0], kept.seconds)
        np.testing.assert_array_equal(kept.after, -kept.before)
    writer.join()
