"""The frames that are filtered: one to four drawn faces that sway, or a clip, as a camera delivers them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from streamfilter.capture import open_source
from streamfilter.capture.av_frames import Planes
from streamfilter.capture.pixel_formats import Decoder, Layout, decoder_for
from streamfilter.doctor.portrait import DrawnScene
from streamfilter.errors import SourceError, UsageError
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.frame import ColorSpec, Frame, Plane
from streamfilter.live.fit import fit

FPS = 30.0
MAX_FACES = 4
DISTINCT = 16  # frames, shown round and round; a clip's are shown forth and back
FORMATS = {"mjpg": "MJPG", "nv12": "NV12", "yu12": "YU12", "yuyv": "YUYV"}
_CLOCK = 1_000_000  # ticks a second
_JPEG_QUALITY = 90  # about what webcams send at 720p


@dataclass(frozen=True, slots=True)
class Size:
    """A picture's size, and what people call it."""

    name: str
    width: int
    height: int


SIZES = {
    size.name: size
    for size in (
        Size("360p", 640, 360),
        Size("720p", 1280, 720),
        Size("1080p", 1920, 1080),
        Size("4K", 3840, 2160),
    )
}


def size_named(text: str) -> Size:
    """``720p`` or ``640x480``. Raises UsageError."""
    for size in SIZES.values():
        if size.name.lower() == text.lower():
            return size
    width, cross, height = text.lower().partition("x")
    if cross and width.isdecimal() and height.isdecimal():
        size = Size(f"{int(width)}x{int(height)}", int(width), int(height))
        if min(size.width, size.height) >= 64 and max(size.width, size.height) <= 8192:
            if size.width % 2 == 0 and size.height % 2 == 0:
                return size
            raise UsageError(f"a picture of {text}: width and height should be even")
    raise UsageError(
        f"there is no size {text!r}: take one of {', '.join(SIZES)}, or WIDTHxHEIGHT from 64 to 8192 pixels"
    )


class Footage:
    """A few pictures as a camera's buffers, shown on and on at 30 frames a second."""

    def __init__(self, size: Size, pictures: Sequence[Planes], camera: str, *, there_and_back: bool) -> None:
        """``camera`` is one of ``FORMATS``."""
        self.size = size
        self._buffers = [_buffer(planes, camera) for planes in pictures]
        self._layout = Layout(FORMATS[camera], size.width, size.height)
        count = len(pictures)
        self._order = [*range(count), *range(count - 2, 0, -1)] if there_and_back else [*range(count)]

    @property
    def distinct(self) -> int:
        return len(self._buffers)

    def buffer(self, index: int) -> bytes:
        """What the camera's driver hands over for frame ``index``."""
        data: bytes = self._buffers[self._order[index % len(self._order)]]
        return data

    def decoder(self) -> Decoder:
        """Makes planes of the buffers, as the live camera's does."""
        return decoder_for(self._layout)

    def frames(self) -> list[Frame]:
        """One round of frames, as planes."""
        decoder = self.decoder()
        return [frame_of(decoder.decode(self.buffer(index)), index) for index in range(len(self._order))]


def frame_of(planes: Planes, index: int) -> Frame:
    """Frame ``index`` of a stream of 30 frames a second."""
    return Frame(planes.y, planes.u, planes.v, round(index * _CLOCK / FPS), Fraction(1, _CLOCK), ColorSpec())


def footage(size: Size, faces: int, camera: str = "mjpg", clip: Path | None = None) -> Footage:
    """``faces`` tiles with a drawn face each, or with the clip in each.

    Raises UsageError for a count of faces or a format that cannot be, SourceError where the clip cannot be
    read.
    """
    if not 1 <= faces <= MAX_FACES:
        raise UsageError(f"the number of faces should be from 1 to {MAX_FACES}, it is {faces}")
    if camera not in FORMATS:
        raise UsageError(f"there is no camera format {camera!r}: take one of {', '.join(FORMATS)}")
    across, down = 1 if faces == 1 else 2, 1 if faces <= 2 else 2
    width, height = size.width // across, size.height // down
    width, height = width - width % 2, height - height % 2
    tiles = [_drawn(width, height, 5 * k) for k in range(faces)] if clip is None else None
    if tiles is None:
        assert clip is not None
        tiles = [_filmed(clip, width, height)] * faces
    pictures = [_tiled([tile[k] for tile in tiles], size, across) for k in range(len(tiles[0]))]
    return Footage(size, pictures, camera, there_and_back=clip is not None)


def _drawn(width: int, height: int, ahead: int) -> list[Planes]:
    """A drawn face with neck and chest; ``ahead`` frames further on in its swaying."""
    scene = DrawnScene(width, height, FPS)
    return [_with_neck(scene.frame(index + ahead), height) for index in range(DISTINCT)]


def _with_neck(frame: Frame, height: int) -> Planes:
    """The chin's skin, repeated below it: the filter has skin beyond the face to look after, as in life."""
    tall, cx, cy = 0.42 * height, frame.width / 2, height / 2
    planes = []
    for plane, scale in ((frame.y, 1), (frame.u, 2), (frame.v, 2)):
        drawn = plane.copy()
        chin = plane[
            _rows(cy + 0.42 * tall, cy + 0.62 * tall, scale), _rows(cx - 0.16 * tall, cx + 0.16 * tall, scale)
        ]
        for top, bottom, half in ((0.66, 0.98, 0.26), (0.98, 1.25, 0.8)):
            rows = _rows(cy + top * tall, min(cy + bottom * tall, height), scale)
            columns = _rows(max(cx - half * tall, 0), min(cx + half * tall, frame.width), scale)
            region = drawn[rows, columns]
            times = [-(-side // part) for side, part in zip(region.shape, chin.shape, strict=True)]
            region[:] = np.tile(chin, times)[: region.shape[0], : region.shape[1]]
        planes.append(drawn)
    return Planes(*planes)


def _rows(start: float, stop: float, scale: int) -> slice:
    return slice(round(start / scale), max(round(start / scale) + 1, round(stop / scale)))


def _filmed(clip: Path, width: int, height: int) -> list[Planes]:
    pictures = []
    with open_source(clip) as source:
        for frame in source.frames():
            fitted = fit(frame, width, height)
            pictures.append(Planes(fitted.y, fitted.u, fitted.v))
            if len(pictures) == DISTINCT:
                break
    if len(pictures) < 2:
        raise SourceError(f"{clip} holds {len(pictures)} frames: give a clip of two or more")
    return pictures


def _tiled(tiles: Sequence[Planes], size: Size, across: int) -> Planes:
    planes = []
    for number, (scale, grey) in enumerate(((1, 120), (2, 128), (2, 128))):
        whole = np.full((size.height // scale, size.width // scale), grey, np.uint8)
        for place, tile in enumerate(tiles):
            part = tile[number]
            top, left = (place // across) * part.shape[0], (place % across) * part.shape[1]
            whole[top : top + part.shape[0], left : left + part.shape[1]] = part
        planes.append(whole)
    return Planes(*planes)


def _buffer(planes: Planes, camera: str) -> bytes:
    """The picture as the camera's driver hands it over."""
    if camera == "yu12":
        return b"".join(np.ascontiguousarray(plane).tobytes() for plane in planes)
    if camera == "nv12":
        return planes.y.tobytes() + np.dstack([planes.u, planes.v]).tobytes()
    if camera == "yuyv":
        chroma = np.repeat(np.dstack([planes.u, planes.v]).reshape(planes.u.shape[0], -1), 2, axis=0)
        return np.dstack([planes.y, chroma[:, : planes.y.shape[1]]]).tobytes()
    return _jpeg(planes)


def _jpeg(planes: Planes) -> bytes:
    height, width = planes.y.shape
    chroma = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in planes[1:]]
    matrix, offset = yuv_to_rgb_matrix(ColorSpec())
    yuv = cv2.merge([planes.y, *chroma]).astype(np.float32)
    rgb = cv2.transform(yuv, np.column_stack([matrix, offset]).astype(np.float32))
    bgr: Plane = np.clip(rgb[..., ::-1] * 255, 0, 255).astype(np.uint8)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert done  # OpenCV always brings its JPEG encoder
    return data.tobytes()
