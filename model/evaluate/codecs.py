"""What lies between sender and receiver: encoders and decoders, frame by frame, on the planes themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from streamfilter.capture.av_frames import planes_of
from streamfilter.frame import ColorSpec, Frame
from streamfilter.sinks.codec_settings import CodecSettings

_DECODERS = {"libx264": "h264", "libvpx": "vp8", "mjpeg": "mjpeg"}


@dataclass(frozen=True)
class Codec:
    """An encoder by FFmpeg's name, its options, and its bit rate (bit/s; None: by quality)."""

    encoder: str
    options: tuple[tuple[str, str], ...]
    bit_rate: int | None = None


def _call(encoder: str, megabits: float) -> Codec:
    """A codec as a call sets it: constant bit rate, no look-ahead, fast."""
    rate = round(megabits * 1e6)
    held = (("maxrate", str(rate)), ("bufsize", str(rate // 2)))
    own: tuple[tuple[str, str], ...]
    if encoder == "libx264":
        own = (("preset", "veryfast"), ("tune", "zerolatency"), ("profile", "baseline"))
    else:
        own = (("deadline", "realtime"), ("cpu-used", "-6"), ("lag-in-frames", "0"), ("minrate", str(rate)))
    return Codec(encoder, (*own, *held, ("g", "300"), ("threads", "1")), rate)


def _default_file() -> Codec:
    options = CodecSettings().options("libx264")
    return Codec("libx264", (*options.items(), ("threads", "1")))


CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        "file": _default_file(),
        "H.264 4": _call("libx264", 4.0),
        "H.264 1.5": _call("libx264", 1.5),
        "H.264 0.5": _call("libx264", 0.5),
        "VP8 4": _call("libvpx", 4.0),
        "VP8 1.5": _call("libvpx", 1.5),
        "VP8 0.5": _call("libvpx", 0.5),
    }
)
PLAIN = "yuv420p"  # the 8-bit planes as they are
# No B-frames: a camera sends none, and libx264 with them does not give the same pictures every time.
CAMERAS: Mapping[str, Codec] = MappingProxyType(
    {
        "mjpeg": Codec("mjpeg", (("qmin", "4"), ("qmax", "4"))),
        "h264": Codec("libx264", (("preset", "veryfast"), ("crf", "21"), ("bf", "0"), ("threads", "1"))),
    }
)


class Channel:
    """One encoder and its decoder. Frames come out in order, perhaps some calls after they went in."""

    def __init__(self, codec: Codec, width: int, height: int, fps: float) -> None:
        rate = Fraction(fps).limit_denominator(1000)
        self._encoder = cast(VideoCodecContext, VideoCodecContext.create(codec.encoder, "w"))
        self._encoder.width, self._encoder.height = width, height
        self._encoder.pix_fmt = "yuvj420p" if codec.encoder == "mjpeg" else "yuv420p"
        self._encoder.framerate = rate
        self._encoder.time_base = 1 / rate
        self._encoder.options = dict(codec.options)
        if codec.bit_rate is not None:
            self._encoder.bit_rate = codec.bit_rate
        self._decoder = cast(VideoCodecContext, VideoCodecContext.create(_DECODERS[codec.encoder], "r"))
        self._sent = 0
        self._color = ColorSpec()
        self.bytes = 0

    def send(self, frame: Frame) -> list[Frame]:
        """Puts a frame in; returns those that have come out."""
        picture = VideoFrame(frame.width, frame.height, self._encoder.pix_fmt or "yuv420p")
        for plane, pixels in zip(picture.planes, (frame.y, frame.u, frame.v), strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            rows[: pixels.shape[0], : pixels.shape[1]] = pixels
        picture.pts = self._sent
        picture.time_base = self._encoder.time_base
        self._sent += 1
        self._color = frame.color
        return self._through(picture)

    def finish(self) -> list[Frame]:
        """The frames that are still inside."""
        return [*self._through(None), *self._frames(self._decoder.decode(None))]

    def _through(self, picture: VideoFrame | None) -> list[Frame]:
        out: list[Frame] = []
        for packet in self._encoder.encode(picture):
            self.bytes += packet.size
            out.extend(self._frames(self._decoder.decode(packet)))
        return out

    def _frames(self, pictures: list[VideoFrame]) -> list[Frame]:
        base = self._encoder.time_base
        return [Frame(*planes_of(p, self._color), int(p.pts or 0), base, self._color) for p in pictures]


def open_channel(name: str, width: int, height: int, fps: float) -> Channel:
    """A channel of ``CODECS`` or ``CAMERAS`` by its name."""
    codec = CODECS[name] if name in CODECS else CAMERAS[name]
    # FFmpeg's own level: with PyAV's Python callback a codec's thread that logs waits for the interpreter
    # while the interpreter waits for the thread.
    av.logging.set_libav_level(av.logging.ERROR)
    return Channel(codec, width, height, fps)
