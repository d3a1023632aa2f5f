"""From PyAV's decoded pictures to 8-bit 4:2:0 planes, upright."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

from streamfilter.capture.colorimetry import FULL, color_of, tags_after_rgb
from streamfilter.capture.source import ColorTags
from streamfilter.frame import ColorSpec, Plane

NATIVE_FORMATS = ("yuv420p", "yuvj420p")
_NEUTRAL_CHROMA = 128
_EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP


class Planes(NamedTuple):
    """Luma (height, width) and chroma (ceil(height / 2), ceil(width / 2)), uint8."""

    y: Plane
    u: Plane
    v: Plane


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight upright placements of a picture: transpose first, then mirror."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, plane: Plane) -> Plane:
        """The plane, placed; a contiguous array."""
        turned = plane.T if self.transpose else plane
        if self.flip_rows:
            turned = turned[::-1]
        if self.flip_columns:
            turned = turned[:, ::-1]
        return np.ascontiguousarray(turned)


UPRIGHT = Orientation()


def tags_of(frame: VideoFrame) -> ColorTags:
    """The colour description that came with a decoded picture (yuvj formats are full range)."""
    declared = FULL if frame.format.name.startswith("yuvj") else int(frame.color_range)
    return ColorTags(int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace), declared)


def orientation_of(frame: VideoFrame) -> tuple[Orientation, str | None]:
    """Placement asked for by the picture's display matrix, and a note if it cannot be had in full.

    The matrix (ISO/IEC 14496-12, 8.3.2) takes column p, row q to (a p + c q, b p + d q).
    """
    data: Any = frame.side_data.get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-overload]  # stub says str
    if data is None:
        return UPRIGHT, None
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    if a and d and not b and not c:
        return Orientation(flip_rows=d < 0, flip_columns=a < 0), None
    if b and c and not a and not d:
        return Orientation(transpose=True, flip_rows=b < 0, flip_columns=c < 0), None
    return UPRIGHT, "the input asks for a rotation that is no multiple of 90 degrees: ignored"


def _view(frame: VideoFrame, index: int, height: int, width: int) -> Plane:
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), np.uint8)
    return rows[: plane.line_size * height].reshape(height, plane.line_size)[:, :width]


def planes_of(frame: VideoFrame, color: ColorSpec) -> Planes:
    """The picture's planes, copied out of the decoder's memory.

    8-bit 4:2:0 is taken as it is. Other YUV is brought to it in the same matrix and range; grey gets
    neutral chroma; RGB is converted into ``color``.
    """
    height, width = frame.height, frame.width
    half = ((height + 1) // 2, (width + 1) // 2)
    name = frame.format.name
    if name.startswith("gray"):
        luma = frame if name == "gray" else _reformat(frame, "gray", color)
        chroma = np.full(half, _NEUTRAL_CHROMA, np.uint8)
        return Planes(_view(luma, 0, height, width).copy(), chroma, chroma)
    if name not in NATIVE_FORMATS:
        frame = _reformat(frame, "yuv420p", color)
    return Planes(
        _view(frame, 0, height, width).copy(), _view(frame, 1, *half).copy(), _view(frame, 2, *half).copy()
    )


def _reformat(frame: VideoFrame, name: str, color: ColorSpec) -> VideoFrame:
    matrix = "ITU709" if color.matrix == "bt709" else "ITU601"
    own_range = "JPEG" if color.full_range else "MPEG"
    return frame.reformat(
        format=name,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range="JPEG" if is_rgb(frame) else own_range,
        dst_color_range=own_range,
        interpolation=int(_EXACT),
    )


def is_rgb(frame: VideoFrame) -> bool:
    """Whether the picture holds R, G, B (packed, planar or through a palette)."""
    return bool(frame.format.is_rgb or frame.format.has_palette)


def describe_color(frame: VideoFrame) -> tuple[ColorSpec, ColorTags, tuple[str, ...]]:
    """What the editor computes with, what the output is tagged with, and notes on any conversion."""
    tags = tags_of(frame)
    if is_rgb(frame):
        color = ColorSpec(color_of(ColorTags(), frame.height)[0].matrix)
        return color, tags_after_rgb(tags, color), (_conversion_note(frame),)
    color, note = color_of(tags, frame.height)
    notes = () if frame.format.name in NATIVE_FORMATS else (_conversion_note(frame),)
    return color, tags, notes if note is None else (*notes, note)


def _conversion_note(frame: VideoFrame) -> str:
    return f"the input's {frame.format.name} pictures are converted to 8-bit 4:2:0 (yuv420p)"
