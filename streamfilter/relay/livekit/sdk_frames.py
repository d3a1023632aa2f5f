"""Between the SDK's frames and the relay's: the same 8-bit planes and samples, no colour round trip."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from livekit import rtc

from streamfilter.frame import ColorSpec, Frame
from streamfilter.relay.media.frames import VIDEO_CLOCK, VIDEO_TIME_BASE
from streamfilter.relay.media.sound import RATE, TIME_BASE
from streamfilter.sinks.av_pictures import picture_of

I420 = rtc.VideoBufferType.I420
CHANNELS = 2
_MICRO = 1_000_000


def picture_from_sdk(frame: rtc.VideoFrame, timestamp_us: int) -> VideoFrame:
    """A decoded picture as the lane takes it; the SDK tells no colour, so limited BT.601, as untagged video.

    Raises ValueError for another kind of buffer than I420, or one that is too short.
    """
    if frame.type != I420:
        raise ValueError("the SDK's frame is no I420")
    height, width = frame.height, frame.width
    rows, columns = (height + 1) // 2, (width + 1) // 2
    data = np.frombuffer(frame.data, np.uint8)
    luma, chroma = width * height, columns * rows
    if data.size < luma + 2 * chroma:
        raise ValueError("the SDK's frame is shorter than its size says")
    u, v = data[luma : luma + chroma], data[luma + chroma : luma + 2 * chroma]
    ticks = round(timestamp_us * Fraction(VIDEO_CLOCK, _MICRO))
    planes = (data[:luma].reshape(height, width), u.reshape(rows, columns), v.reshape(rows, columns))
    return picture_of(Frame(*planes, ticks, VIDEO_TIME_BASE, ColorSpec()))


def sdk_from_frame(frame: Frame) -> rtc.VideoFrame:
    """A safe frame as the SDK's source takes it."""
    planes = b"".join(np.ascontiguousarray(plane).tobytes() for plane in (frame.y, frame.u, frame.v))
    return rtc.VideoFrame(frame.width, frame.height, I420, planes)


def sound_from_sdk(frame: rtc.AudioFrame, pts: int) -> AudioFrame:
    """48 kHz stereo of the SDK as the room's line takes it; ``pts`` in samples."""
    if (frame.sample_rate, frame.num_channels) != (RATE, CHANNELS):
        raise ValueError("the SDK's sound is not 48 kHz stereo")
    made = AudioFrame(format="s16", layout="stereo", samples=frame.samples_per_channel)
    made.planes[0].update(bytes(frame.data.cast("B")[: 4 * frame.samples_per_channel]))
    made.sample_rate, made.time_base, made.pts = RATE, TIME_BASE, pts
    return made


def sdk_from_sound(frame: AudioFrame) -> rtc.AudioFrame:
    """The line's sound as the SDK's source takes it."""
    return rtc.AudioFrame(bytes(frame.planes[0])[: 4 * frame.samples], RATE, CHANNELS, frame.samples)
