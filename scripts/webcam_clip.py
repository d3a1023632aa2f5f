"""A clip as Chromium's fake webcam: uncompressed, every frame numbered, its face found."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from streamfilter.errors import SourceError
from streamfilter.face.detect import FaceDetector
from streamfilter.frame import ColorSpec, Frame

BLOCK = 8  # side of a block of the strip, luma samples
BITS = 12
STRIP = BITS + 2  # blocks: the number, then a white and a black one, which tell a strip from a picture
BOX_SCALE = 1.25  # the detector's box holds the face's features; skin reaches further

Packed = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip written as Chromium's fake webcam wants it, and where its face is (fractions of the picture)."""

    path: Path
    width: int
    height: int
    fps: float
    frames: int
    box: dict[str, float]


def write_webcam(source: Path, target: Path, max_seconds: float, every: int = 1) -> Clip:
    """Write each ``every``-th frame of it as numbered YUV4MPEG2; find its face. Raises SourceError."""
    try:
        container = av.open(str(source))
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"cannot open {source}: {error}; name a video file") from error
    with container, target.open("wb") as out:
        if not container.streams.video:
            raise SourceError(f"{source} holds no video: name a video file")
        rate = container.streams.video[0].average_rate or Fraction(30)
        rate /= every
        width = height = count = 0
        box: dict[str, float] | None = None
        limit = min(2**BITS, int(max_seconds * float(rate)))
        for picture in itertools.islice(container.decode(video=0), None, None, every):
            if count == 0:
                width, height = picture.width & ~1, picture.height & ~1
                header = (
                    f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} Ip A1:1 C420mpeg2"
                )
                out.write(header.encode() + b"\n")
            if count >= limit:
                break
            packed = np.asarray(picture.reformat(width, height, "yuv420p").to_ndarray(), np.uint8)
            if box is None:
                box = _face_box(packed, width, height)
            mark_frame(packed, count)
            out.write(b"FRAME\n" + packed.tobytes())
            count += 1
    if count == 0:
        raise SourceError(f"{source} holds no pictures: name another clip")
    if box is None:
        raise SourceError(f"no face in {source}: this check reads a face")
    return Clip(target, width, height, float(rate), count, box)


def mark_frame(packed: Packed, number: int) -> None:
    """Write ``number`` (below 2**BITS) in Gray code along the top edge of an I420 picture."""
    code = number ^ (number >> 1) | 1 << BITS
    for bit in range(STRIP):
        packed[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 235 if code >> bit & 1 else 16


def frame_number(bits: list[int]) -> int | None:
    """The number of a frame from its strip's bits, least significant first; None where there is no strip."""
    if bits[BITS:] != [1, 0]:
        return None
    number = 0
    for bit in reversed(bits[:BITS]):
        number = number << 1 | (bit ^ (number & 1))
    return number


def _face_box(packed: Packed, width: int, height: int) -> dict[str, float] | None:
    half = (height // 2, width // 2)
    flat, size = packed.reshape(-1), width * height
    y = flat[:size].reshape(height, width)
    u, v = flat[size : size + size // 4].reshape(half), flat[size + size // 4 :].reshape(half)
    found = FaceDetector().detect_frame(Frame(y, u, v, 0, Fraction(1), ColorSpec()))
    if not found:
        return None
    left, top, w, h = max(found, key=lambda f: f.box[2] * f.box[3]).box
    side = BOX_SCALE * max(w, h)
    cx, cy = left + w / 2, top + h / 2
    return {
        "left": (cx - side / 2) / width,
        "right": (cx + side / 2) / width,
        "top": (cy - side / 2) / height,
        "bottom": (cy + side / 2) / height,
    }
