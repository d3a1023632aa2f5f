"""From a camera's raw buffers to Y, U, V 4:2:0 planes of limited range.

Layouts: Linux media documentation, "Video for Linux API", chapter "Image Formats" (packed and semi-planar
YUV); the ranges are those of ITU-R BT.601 and of JFIF. 4:2:2 becomes 4:2:0 by the mean of each pair of chroma
rows; the horizontal siting is left as the camera has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from streamfilter.capture.av_frames import Planes, planes_of, tags_of
from streamfilter.capture.colorimetry import FULL
from streamfilter.capture.source import MIN_SIDE
from streamfilter.errors import SourceError
from streamfilter.frame import ColorSpec, Plane

RAW: Final = ("NV12", "YU12", "YUYV", "UYVY")  # the cheapest to unpack first
JPEG: Final = ("MJPG", "JPEG")
KNOWN: Final = (*RAW, *JPEG)

Bytes = bytes | memoryview

_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"  # in a scan itself, 0xff is followed by 0
_HEADROOM = 2  # times the agreed area: what a JPEG may claim to hold before it is decoded
_FULL_COLOR = ColorSpec(full_range=True)


class DamagedPictureError(SourceError):
    """One buffer that holds no whole picture; the next one may be good."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the driver says of its buffers.

    ``pixel_format`` is one of ``KNOWN`` (V4L2's four characters), sizes are in pixels, ``bytes_per_line`` is
    the distance of the first plane's rows (0: no padding); ``full_range`` says whether raw luma spans 0..255.
    """

    pixel_format: str
    width: int
    height: int
    bytes_per_line: int = 0
    full_range: bool = False


class Decoder(Protocol):
    """Turns one buffer after the other into planes that share no memory with it."""

    def decode(self, data: Bytes) -> Planes:
        """Planes in limited range. Raises DamagedPictureError where ``data`` is no whole picture."""
        ...


def decoder_for(layout: Layout) -> Decoder:
    """The decoder of a layout. Raises SourceError for an unknown format or an impossible size."""
    if layout.width < MIN_SIDE or layout.height < MIN_SIDE:
        raise SourceError(
            f"The camera's picture of {layout.width}x{layout.height} is too small: choose one of at least "
            f"{MIN_SIDE} pixels a side."
        )
    if layout.pixel_format in JPEG:
        return JpegDecoder(layout)
    if layout.pixel_format in RAW:
        return RawDecoder(layout)
    raise SourceError(
        f"The camera's pixel format {layout.pixel_format} is not one that can be read: choose one of "
        f"{', '.join(KNOWN)}."
    )


def range_table(chroma: bool) -> Plane:
    """(256,) uint8 from full to limited range: luma 0..255 to 16..235, chroma, about 128, to 16..240."""
    level = np.arange(256, dtype=np.float64)
    limited = 128 + (level - 128) * 224 / 255 if chroma else 16 + level * 219 / 255
    return np.asarray(np.rint(limited), np.uint8)


def to_limited(planes: Planes) -> Planes:
    """Full-range planes in limited range."""
    luma, chroma = range_table(chroma=False), range_table(chroma=True)
    return Planes(_look_up(planes.y, luma), _look_up(planes.u, chroma), _look_up(planes.v, chroma))


class RawDecoder:
    """YUYV, UYVY, NV12 and YU12 (I420)."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        packed = layout.pixel_format in ("YUYV", "UYVY")
        self._half = ((layout.height + 1) // 2, (layout.width + 1) // 2)
        self._row = 4 * self._half[1] if packed else layout.width
        self._stride = layout.bytes_per_line or self._row
        if self._stride < self._row:
            raise SourceError(
                f"The camera says that a row of {layout.width} pixels in {layout.pixel_format} takes "
                f"{self._stride} bytes, which is too few. Choose another pixel format."
            )

    def decode(self, data: Bytes) -> Planes:
        """See :class:`Decoder`."""
        try:
            if self._layout.pixel_format == "NV12":
                planes = self._semi_planar(data)
            elif self._layout.pixel_format == "YU12":
                planes = self._planar(data)
            else:
                planes = self._packed(data)
        except ValueError as error:
            raise DamagedPictureError(
                f"A buffer of {memoryview(data).nbytes} bytes holds no whole {self._layout.pixel_format} "
                f"picture of {self._layout.width}x{self._layout.height}."
            ) from error
        return to_limited(planes) if self._layout.full_range else planes

    def _packed(self, data: Bytes) -> Planes:
        height, width = self._layout.height, self._layout.width
        pairs = _rows(data, height, self._row, self._stride).reshape(height, -1, 2)
        first, second = cv2.split(pairs)
        luma, chroma = (first, second) if self._layout.pixel_format == "YUYV" else (second, first)
        u, v = cv2.split(halve_rows(_plane(chroma)).reshape(*self._half, 2))
        return Planes(np.ascontiguousarray(_plane(luma)[:, :width]), _plane(u), _plane(v))

    def _semi_planar(self, data: Bytes) -> Planes:
        height, width = self._layout.height, self._layout.width
        luma = _rows(data, height, width, self._stride)
        rows, columns = self._half
        stride = max(self._stride, 2 * columns)
        both = _rows(data, rows, 2 * columns, stride, self._stride * height)
        u, v = cv2.split(both.reshape(rows, columns, 2))
        return Planes(luma.copy(), _plane(u), _plane(v))

    def _planar(self, data: Bytes) -> Planes:
        height, width = self._layout.height, self._layout.width
        rows, columns = self._half
        stride = max(self._stride // 2, columns)
        start = self._stride * height
        luma = _rows(data, height, width, self._stride)
        u = _rows(data, rows, columns, stride, start)
        v = _rows(data, rows, columns, stride, start + stride * rows)
        return Planes(luma.copy(), u.copy(), v.copy())


class JpegDecoder:
    """Motion JPEG, each picture on its own; damage is found, not patched over.

    Pictures of another size than agreed are handed on as they are, up to twice the area.
    """

    def __init__(self, layout: Layout) -> None:
        codec = av.CodecContext.create("mjpeg", "r")
        assert isinstance(codec, VideoCodecContext)  # for the type checker: mjpeg is a video codec
        codec.thread_count = 1  # frame threads would hold pictures back
        codec.options = {
            "err_detect": "explode",
            "max_pixels": str(_HEADROOM * layout.width * layout.height),
        }
        self._codec = codec
        self._luma, self._chroma = range_table(chroma=False), range_table(chroma=True)

    def decode(self, data: Bytes) -> Planes:
        """See :class:`Decoder`."""
        packet = bytes(data)
        if packet.rfind(_END_OF_IMAGE) <= packet.rfind(_START_OF_SCAN):
            raise DamagedPictureError(f"A JPEG of {len(packet)} bytes ends before its end marker.")
        try:
            pictures = self._codec.decode(av.Packet(packet))
        except (av.FFmpegError, ValueError) as error:
            self._codec.flush_buffers()
            raise DamagedPictureError(f"A JPEG of {len(packet)} bytes is damaged: {error}.") from error
        if len(pictures) != 1 or min(pictures[0].width, pictures[0].height) < MIN_SIDE:
            raise DamagedPictureError(f"A JPEG of {len(packet)} bytes holds no picture of use.")
        return self._limited(pictures[0])

    def _limited(self, picture: VideoFrame) -> Planes:
        if tags_of(picture).video_range != FULL:
            return planes_of(picture, ColorSpec())
        if picture.format.name not in ("yuvj422p", "yuvj420p"):
            return to_limited(planes_of(picture, _FULL_COLOR))
        y, u, v = _views(picture)
        if picture.format.name == "yuvj422p":
            u, v = halve_rows(u), halve_rows(v)
        return Planes(_look_up(y, self._luma), _look_up(u, self._chroma), _look_up(v, self._chroma))


def halve_rows(plane: Plane) -> Plane:
    """(ceil(height / 2), width): means of pairs of rows, rounded half to even; an odd last row stays."""
    if plane.shape[0] % 2:
        plane = _plane(cv2.copyMakeBorder(plane, 0, 1, 0, 0, cv2.BORDER_REPLICATE))
    return _plane(cv2.addWeighted(plane[0::2], 0.5, plane[1::2], 0.5, 0))


def _rows(data: Bytes, rows: int, row: int, stride: int, offset: int = 0) -> Plane:
    """(rows, row) view of the bytes. Raises ValueError where ``data`` is too short."""
    if memoryview(data).nbytes < offset + stride * (rows - 1) + row:  # NumPy lets an empty buffer pass
        raise ValueError("too short")
    return np.ndarray((rows, row), np.uint8, data, offset, (stride, 1))


def _views(picture: VideoFrame) -> tuple[Plane, Plane, Plane]:
    y, u, v = (
        _rows(memoryview(plane), plane.height, plane.width, plane.line_size) for plane in picture.planes
    )
    return y, u, v


def _look_up(plane: Plane, table: Plane) -> Plane:
    return _plane(cv2.LUT(plane, table))


def _plane(array: object) -> Plane:
    """For the type checker: OpenCV's stubs leave the element type open."""
    return np.asarray(array, np.uint8)
