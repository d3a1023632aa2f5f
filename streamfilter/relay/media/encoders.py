"""Encoders of the video to a viewer: at the relay's bit rates, without what would smooth the edit away.

aiortc's VP8 encoder denoises over time and skips blocks that hardly change: both take away a change of less
than a grey level, which is what the shown pulse is. These keep its packets and set the encoder themselves.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from av import CodecContext
from av.frame import Frame
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

from streamfilter.relay.media.frames import VIDEO_CLOCK, VIDEO_TIME_BASE

LEAST_BPS = 150_000
RESTART_SHARE = 0.15  # change of the bit rate for which an encoder is opened anew
RESTART_SECONDS = 2.0  # between two openings for a rate's sake: each costs a key frame
RESTART_FPS_SHARE = 0.25  # change of the frame rate for which H.264's encoder is opened anew
NOMINAL_FPS = 30.0
LEAST_FPS, MOST_FPS = 1.0, 60.0
_SMOOTH = 0.1  # weight of the newest interval between pictures
Encoded = Callable[[int, float, float], None]


class PacedEncoder:
    """An encoder of either codec: opened for a size and a bit rate, opened anew for others.

    ``on_encoded`` is told of each picture, from the thread that encoded it: its pts, the moment (s), and the
    processor seconds it took.
    """

    def __init__(self, h264: bool, kbps: int, on_encoded: Encoded) -> None:
        self._h264 = h264
        self._most = 1000 * kbps
        self._target = self._most
        self._on_encoded = on_encoded
        self._codec: VideoCodecContext | None = None
        self._opened = 0.0
        self._rate = 0
        self._fps = self._opened_fps = NOMINAL_FPS
        self._last: float | None = None
        self._vp8 = Vp8Encoder()

    @property
    def target_bitrate(self) -> int:
        """Bits a second; aiortc sets it to what the receiver says it can take (REMB)."""
        return self._target

    @target_bitrate.setter
    def target_bitrate(self, rate: int) -> None:
        self._target = max(min(LEAST_BPS, self._most), min(rate, self._most))

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        """RTP payloads and RTP time of a yuv420p picture."""
        if not isinstance(frame, VideoFrame) or frame.pts is None:
            raise TypeError("the relay's encoder takes pictures that have a time")
        worked = time.thread_time()
        now = float(frame.pts / VIDEO_CLOCK)
        self._count(now)
        codec = self._codec
        if codec is None or self._outdated(codec, frame, now):
            codec = self._codec = self._open(frame.width, frame.height)
            self._opened, self._rate, self._opened_fps = now, self._target, self._fps
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        data = b"".join(bytes(packet) for packet in codec.encode(frame))
        payloads = self._packets(data)
        self._on_encoded(frame.pts, time.monotonic(), time.thread_time() - worked)
        return payloads, frame.pts

    def pack(self, packet: Packet[Any]) -> tuple[list[bytes], int]:
        """What is encoded already is not taken: only the relay's own pictures go out."""
        raise TypeError("the relay's encoder takes pictures only")

    def _outdated(self, codec: VideoCodecContext, frame: VideoFrame, now: float) -> bool:
        if (codec.width, codec.height) != (frame.width, frame.height):
            return True
        changed = abs(self._target - self._rate) > RESTART_SHARE * self._rate
        # x264 counts frames, not time, unless it may hold one back: it has to be told how many come.
        paced = self._h264 and abs(self._fps - self._opened_fps) > RESTART_FPS_SHARE * self._opened_fps
        return (changed or paced) and now - self._opened > RESTART_SECONDS

    def _count(self, now: float) -> None:
        if self._last is not None and now > self._last:
            interval = min(max(now - self._last, 1.0 / MOST_FPS), 1.0 / LEAST_FPS)
            self._fps = 1.0 / (1.0 / self._fps + _SMOOTH * (interval - 1.0 / self._fps))
        self._last = now

    def _open(self, width: int, height: int) -> VideoCodecContext:
        codec = CodecContext.create("libx264" if self._h264 else "libvpx", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.bit_rate = self._target
        codec.time_base, codec.framerate = VIDEO_TIME_BASE, Fraction(round(self._fps))
        codec.gop_size = 3000  # key frames where a receiver asks for one
        rate = str(self._target)
        if self._h264:
            codec.profile = "Baseline"
            codec.thread_count = 1
            codec.options = {
                "preset": "veryfast",
                "tune": "zerolatency",
                "maxrate": rate,
                "bufsize": rate,
                "forced-idr": "1",
            }
        else:
            codec.qmin, codec.qmax = 2, 56
            codec.thread_count = 1 if width * height <= 640 * 480 else min(2, os.cpu_count() or 1)
            codec.options = {
                "bufsize": rate,
                "minrate": rate,
                "maxrate": rate,
                "cpu-used": "-6",
                "deadline": "realtime",
                "lag-in-frames": "0",
                "noise-sensitivity": "0",
                "static-thresh": "0",
                "overshoot-pct": "15",
                "undershoot-pct": "100",
                "partitions": "0",
            }
        return codec

    def _packets(self, data: bytes) -> list[bytes]:
        if self._h264:
            return H264Encoder._packetize(H264Encoder._split_bitstream(data))
        payloads = Vp8Encoder._packetize(data, self._vp8.picture_id)
        self._vp8.picture_id = (self._vp8.picture_id + 1) % (1 << 15)
        return payloads
