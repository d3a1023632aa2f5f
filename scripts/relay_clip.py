"""What a measuring patient sends: pictures that carry their number, and flashes that go with clicks.

The number stands in a row of black and white blocks at the top, away from the face, so that it outlives the
filter and two encoders.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from aiortc import AudioStreamTrack, VideoStreamTrack
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.audio.frame import AudioFrame
from av.packet import Packet
from av.video.frame import VideoFrame

from streamfilter.doctor.portrait import DRAWN, DrawnScene
from streamfilter.frame import Frame
from streamfilter.relay.media.encoders import PacedEncoder
from streamfilter.sinks.av_pictures import picture_of

WIDTH, HEIGHT = 640, 360
NUMBERS = 3600  # after which numbers begin anew; whole beats at 15 and 30 fps
BEAT = 2.0  # seconds between two flashes, each with a click
RATE, SAMPLES = 48_000, 960  # of sound: Hz, samples of a frame
FRAME_SECONDS = SAMPLES / RATE
CLOCK = 90_000
_BITS, _ROWS = 16, 32  # blocks in a row, their height in pixels
_BLACK, _WHITE = 40, 215
_FLASH_FRAMES, _TONE_SECONDS = 2, 0.06
Luma = npt.NDArray[np.uint8]


def _code(number: int) -> int:
    """12 bits of number and 4 that a picture without one does not have."""
    return number << 4 | ((number ^ number >> 4 ^ number >> 8) & 15 ^ 10)


def stamp(luma: Luma, number: int, flash: bool) -> None:
    """Writes ``number`` (0 to 3599) into the top rows, and whether it flashes into the bottom ones."""
    across = luma.shape[1] // _BITS
    for bit in range(_BITS):
        level = _WHITE if _code(number) >> bit & 1 else _BLACK
        luma[:_ROWS, bit * across : (bit + 1) * across] = level
    luma[-_ROWS:] = _WHITE if flash else _BLACK


def read_number(luma: Luma) -> int | None:
    """The number of a picture; None for one that has none, as a card."""
    across = luma.shape[1] // _BITS
    rows = luma[8 : _ROWS - 8]
    means = np.array([rows[:, bit * across + 10 : (bit + 1) * across - 10].mean() for bit in range(_BITS)])
    if np.abs(means - 128.0).min() < 30.0:
        return None
    code = sum(1 << bit for bit in range(_BITS) if means[bit] > 128.0)
    number = code >> 4
    return number if number < NUMBERS and _code(number) == code else None


def flashes(luma: Luma) -> bool:
    return float(luma[10 - _ROWS : -10].mean()) > 128.0


@dataclass
class Sent:
    """When each number was handed to the patient's encoder (s); numbers come round again."""

    moments: dict[int, list[float]] = field(default_factory=dict)
    count: int = 0

    def add(self, number: int) -> None:
        self.moments.setdefault(number, []).append(time.monotonic())
        self.count += 1

    def before(self, number: int, seen: float) -> float | None:
        """When the number that was seen at ``seen`` was handed over, the last time before that."""
        moments = self.moments.get(number, [])
        place = bisect_right(moments, seen)
        return moments[place - 1] if place else None


class _Paced(MediaStreamTrack):
    """Due at ``start + index / fps``; who asks too late gets the newest."""

    kind = "video"

    def __init__(self, fps: float, start: float) -> None:
        super().__init__()
        self.fps, self.start, self.sent = fps, start, Sent()
        self._index = -1

    async def next_index(self) -> int:
        newest = int((time.monotonic() - self.start) * self.fps)
        self._index = max(self._index + 1, newest)
        await asyncio.sleep(max(self.start + self._index / self.fps - time.monotonic(), 0.0))
        if self.readyState != "live":
            raise MediaStreamError
        return self._index


class NumberedVideo(_Paced, VideoStreamTrack):
    """A drawn face under its number, encoded by aiortc. Flashes at each beat."""

    def __init__(self, fps: float, start: float, width: int = WIDTH, height: int = HEIGHT) -> None:
        super().__init__(fps, start)
        self._scene = DrawnScene(width, height, fps)

    async def recv(self) -> VideoFrame:
        index = await self.next_index()
        picture = picture_of(numbered(self._scene, index))
        picture.pts, picture.time_base = round(index * CLOCK / self.fps), Fraction(1, CLOCK)
        self.sent.add(index % NUMBERS)
        return picture


class EncodedVideo(_Paced):
    """Pictures that were encoded beforehand, round and round: a patient that costs next to nothing."""

    def __init__(self, pictures: Sequence[bytes], fps: float, start: float) -> None:
        super().__init__(fps, start)
        self._pictures = pictures

    async def recv(self) -> Packet:  # type: ignore[type-arg]
        index = await self.next_index()
        packet = Packet(self._pictures[index % len(self._pictures)])
        packet.pts, packet.time_base = round(index * CLOCK / self.fps), Fraction(1, CLOCK)
        self.sent.add(index % len(self._pictures))
        return packet


class Clicks(AudioStreamTrack):
    """A short tone at each beat of the video of the same ``start``; handed over as a microphone does."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self._start = start
        self._index = max(0, int((time.monotonic() - start) / FRAME_SECONDS))

    async def recv(self) -> AudioFrame:
        self._index += 1  # of the frame's end
        await asyncio.sleep(max(self._start + self._index * FRAME_SECONDS - time.monotonic(), 0.0))
        if self.readyState != "live":
            raise MediaStreamError
        times = ((self._index - 1) * SAMPLES + np.arange(SAMPLES)) / RATE
        tone = np.where(times % BEAT < _TONE_SECONDS, 16_000 * np.cos(2 * np.pi * 1000 * times), 0)
        frame = AudioFrame.from_ndarray(np.repeat(tone.astype(np.int16), 2)[None], "s16", "stereo")
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        frame.pts = (self._index - 1) * SAMPLES
        return frame


def numbered(scene: DrawnScene, index: int) -> Frame:
    frame = scene.frame(index)
    luma = frame.y.copy()
    stamp(luma, index % NUMBERS, index % round(BEAT * scene.fps) < _FLASH_FRAMES)
    return frame.with_planes(luma, frame.u, frame.v)


def encode_clip(fps: float, kbps: int, width: int = WIDTH, height: int = HEIGHT) -> list[bytes]:
    """A round of VP8 pictures, about 4 s, that begins with a key frame."""
    scene = DrawnScene(width, height, fps)
    codec = PacedEncoder(False, kbps, lambda pts, now, worked: None)._open(width, height)
    pictures = []
    for index in range(DRAWN * round(4 * fps / DRAWN)):
        picture = picture_of(numbered(scene, index))
        picture.pts, picture.time_base = round(index * CLOCK / fps), Fraction(1, CLOCK)
        pictures.append(b"".join(bytes(packet) for packet in codec.encode(picture)))
    return pictures
