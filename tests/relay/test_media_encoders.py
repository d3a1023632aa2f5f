"""The relay's encoders keep to the bit rate that is asked for, at any frame rate."""

from __future__ import annotations

import numpy as np
import pytest
from av.video.frame import VideoFrame

from streamfilter.relay.media.encoders import PacedEncoder
from streamfilter.relay.media.frames import VIDEO_CLOCK, VIDEO_TIME_BASE

SECONDS = 8


@pytest.mark.parametrize("fps", [10, 15, 30])
@pytest.mark.parametrize("h264", [False, True])
def test_the_bit_rate_is_what_was_asked_for(h264: bool, fps: int) -> None:
    encoder = PacedEncoder(h264, 300, lambda pts, now, worked: None)
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 255, (30, 40), np.uint8).repeat(8, 0).repeat(8, 1)
    sizes = []
    for index in range(SECONDS * fps):
        luma = np.roll(smooth, 3 * index, 1) // 2 + rng.integers(0, 40, smooth.shape, np.uint8)
        grey = np.full((120, 320), 128, np.uint8)
        picture = VideoFrame.from_ndarray(np.concatenate([luma, grey.reshape(-1, 320)]), format="yuv420p")
        picture.pts, picture.time_base = index * VIDEO_CLOCK // fps, VIDEO_TIME_BASE
        sizes.append(sum(map(len, encoder.encode(picture)[0])))
    assert all(sizes), "a picture was held back"
    second_half = sizes[len(sizes) // 2 :]
    assert 8 * sum(second_half) / (SECONDS / 2) == pytest.approx(300_000, rel=0.2)
