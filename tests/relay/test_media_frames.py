"""Pictures to frames and back: the same bytes; time on the monotonic clock."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.capture.av_frames import planes_of
from streamfilter.frame import ColorSpec, Frame
from streamfilter.relay.media.frames import VIDEO_CLOCK, CaptureTime, frame_of, picture_for_encoder
from streamfilter.sinks.av_pictures import picture_of


def noise(width: int, height: int) -> Frame:
    rng = np.random.default_rng(width * height)
    half = ((height + 1) // 2, (width + 1) // 2)
    y, u, v = (rng.integers(0, 256, shape, np.uint8) for shape in ((height, width), half, half))
    return Frame(y, u, v, 7, Fraction(1, VIDEO_CLOCK), ColorSpec())


@pytest.mark.parametrize(("width", "height"), [(640, 360), (321, 241), (16, 17), (1, 1)])
def test_planes_go_through_untouched(width: int, height: int) -> None:
    sent = noise(width, height)
    taken = frame_of(picture_of(sent), 123)
    assert taken.pts == 123 and taken.time_base == Fraction(1, VIDEO_CLOCK) and taken.color == ColorSpec()
    back = planes_of(picture_for_encoder(taken, 9, even=False), ColorSpec())
    for before, after in zip((sent.y, sent.u, sent.v), back, strict=True):
        assert np.array_equal(before, after)


def test_an_odd_picture_grows_for_a_codec_that_needs_even_sides() -> None:
    sent = noise(321, 241)
    grown = picture_for_encoder(sent, 5, even=True)
    assert (grown.width, grown.height, grown.pts) == (322, 242, 5)
    y = planes_of(grown, ColorSpec()).y
    assert np.array_equal(y[:241, :321], sent.y) and np.array_equal(y[241, :321], sent.y[240])


def test_a_declared_matrix_and_range_are_kept() -> None:
    picture = VideoFrame(64, 64, "yuvj420p")
    picture.colorspace = 1
    assert frame_of(picture, 0).color == ColorSpec("bt709", full_range=True)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=20), st.floats(1, 1e6))
def test_capture_time_rises_and_stays_near_arrival_whatever_a_sender_claims(
    claims: list[int], start: float
) -> None:
    times = CaptureTime()
    last = -1
    for index, pts in enumerate(claims):
        arrived = start + 5.0 * index
        ticks = times.ticks(pts, arrived)
        assert ticks > last
        assert abs(ticks / VIDEO_CLOCK - arrived) < 2.1
        last = ticks


def test_a_senders_intervals_are_kept_to_the_tick() -> None:
    times = CaptureTime()
    jitter = np.random.default_rng(0).uniform(0, 0.03, 50)
    ticks = [times.ticks(3000 * index, 10 + index / 30 + late) for index, late in enumerate(jitter)]
    assert set(np.diff(ticks)) == {3000}
