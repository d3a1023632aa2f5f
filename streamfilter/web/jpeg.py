"""A frame as a small JPEG for the page."""

from __future__ import annotations

import cv2

from streamfilter.frame import Frame
from streamfilter.sinks.av_pictures import bgr_of

_QUALITY = 82


def jpeg_of(frame: Frame, max_width: int = 640) -> bytes:
    """The frame at most ``max_width`` pixels wide, never enlarged, in its own shape.

    The planes are averaged first, so that only the small picture is converted.
    """
    scale = min(1.0, max_width / frame.width)
    if scale < 1.0:
        width, height = (max(2, round(side * scale)) for side in (frame.width, frame.height))
        half = ((width + 1) // 2, (height + 1) // 2)
        y, u, v = (
            cv2.resize(plane, size, interpolation=cv2.INTER_AREA).astype(plane.dtype, copy=False)
            for plane, size in ((frame.y, (width, height)), (frame.u, half), (frame.v, half))
        )
        frame = frame.with_planes(y, u, v)
    encoded, data = cv2.imencode(".jpg", bgr_of(frame), (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    if not encoded:
        raise RuntimeError("OpenCV could not encode a JPEG; is it built with libjpeg?")
    return data.tobytes()
