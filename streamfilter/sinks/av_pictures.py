"""From a frame's planes to PyAV's pictures."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane

from streamfilter.frame import Frame, Plane


def picture_of(frame: Frame, extra_rows: int = 0, extra_columns: int = 0) -> VideoFrame:
    """The frame as a yuv420p picture with its time, grown at the bottom and right by repeating the edge.

    The growth is 0 or 1 and makes an odd size even, so that the chroma planes already fit.
    """
    luma = frame.y
    if extra_rows or extra_columns:
        luma = np.pad(luma, ((0, extra_rows), (0, extra_columns)), mode="edge")
    picture = VideoFrame(luma.shape[1], luma.shape[0], "yuv420p")
    for plane, pixels in zip(picture.planes, (luma, frame.u, frame.v), strict=True):
        _fill(plane, pixels)
    picture.pts = frame.pts
    picture.time_base = frame.time_base
    return picture


def bgr_of(frame: Frame) -> Plane:
    """The frame as (height, width, 3) uint8 in the order B, G, R, by its own matrix and range."""
    rgb = picture_of(frame).reformat(
        format="bgr24",
        src_colorspace="ITU709" if frame.color.matrix == "bt709" else "ITU601",
        src_color_range="JPEG" if frame.color.full_range else "MPEG",
        dst_color_range="JPEG",
    )
    return np.asarray(rgb.to_ndarray(), np.uint8)


def _fill(plane: VideoPlane, pixels: Plane) -> None:
    height, width = pixels.shape
    rows = np.frombuffer(memoryview(plane), np.uint8)
    rows[: plane.line_size * height].reshape(height, plane.line_size)[:, :width] = pixels
