"""What a call leaves of a picture: the encoder that a sender's browser would use, and its decoder.

Nobody at the other end of a call sees the planes as they leave the filter; he sees them after one of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import av

from model.evaluate.codecs import Channel, Codec
from streamfilter.errors import UsageError
from streamfilter.frame import Frame

PLANES = "none"  # no call: the planes as they are
PICTURE = 1280 * 720  # pixels of the call that a rate belongs to
# A face takes more than its share of a picture's bits, the room behind it less: alone, at this many times its
# share, a scene comes out about as sharp as in the middle of a still room (tests/test_attackers_calls.py).
FACE_SHARE = 2.0


@dataclass(frozen=True)
class CallCodec:
    """An encoder of FFmpeg as a call sets it, and the bit rate (Mbit/s) of a call of 1280 x 720."""

    encoder: str
    megabits: float
    options: tuple[tuple[str, str], ...]

    def of(self, pixels: int, share: float = FACE_SHARE) -> Codec:
        """The encoder for a picture of ``pixels``, with ``share`` times their part of the call's bits."""
        rate = round(self.megabits * 1e6 * share * pixels / PICTURE)
        held: tuple[tuple[str, str], ...] = (("maxrate", str(rate)), ("bufsize", str(rate)))
        if self.encoder == "libvpx":
            held = (*held, ("minrate", str(rate)))  # both alike: constant bit rate
        return Codec(self.encoder, (*self.options, *held, ("threads", "1")), rate)


# As WebRTC sets libvpx (modules/video_coding/codecs/vp8/libvpx_vp8_encoder.cc), with its temporal denoiser.
_VP8 = (
    *(("deadline", "realtime"), ("cpu-used", "-6"), ("lag-in-frames", "0"), ("g", "3000")),
    *(("qmin", "2"), ("qmax", "56"), ("overshoot-pct", "15"), ("undershoot-pct", "100")),
    *(("static-thresh", "1"), ("noise-sensitivity", "4")),
)
_H264 = (("preset", "veryfast"), ("tune", "zerolatency"), ("profile", "baseline"), ("g", "3000"))

CALLS: Mapping[str, CallCodec] = MappingProxyType(
    {
        "vp8-1.5": CallCodec("libvpx", 1.5, _VP8),
        "vp8-0.5": CallCodec("libvpx", 0.5, _VP8),
        "h264-1.5": CallCodec("libx264", 1.5, _H264),
        "h264-0.5": CallCodec("libx264", 0.5, _H264),
    }
)


class Call:
    """One sender and receiver of square pictures; every frame comes out as it goes in."""

    def __init__(self, name: str, size: int, fps: float) -> None:
        # FFmpeg's own level, as in `model.evaluate.codecs`: PyAV's callback waits for the interpreter.
        av.logging.set_libav_level(av.logging.ERROR)
        self._name = name
        self._channel = Channel(CALLS[name].of(size * size), size, size, fps)

    @property
    def bytes(self) -> int:
        """What was sent up to now."""
        return self._channel.bytes

    def through(self, frame: Frame) -> Frame:
        """The frame as the receiver sees it. Raises RuntimeError where the codec held it back."""
        received = self._channel.send(frame)
        if len(received) != 1:
            raise RuntimeError(f"{self._name}: {len(received)} frames came out for one that went in")
        return received[0]


def call_names(text: str) -> tuple[str, ...]:
    """The names of a list such as "none,vp8-1.5", each once. Raises UsageError."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    unknown = [name for name in names if name not in (PLANES, *CALLS)]
    if unknown:
        raise UsageError(f"unknown codec {unknown[0]!r}; there are {', '.join((PLANES, *CALLS))}")
    return names


def after(version: str, call: str) -> str:
    """The name of a scene's version once it has gone through a call."""
    return version if call == PLANES else f"{version} after {call}"
