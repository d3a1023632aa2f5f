"""Between PyAV's decoded pictures and the filter's frames: the same 8-bit planes, no colour round trip."""

from __future__ import annotations

from fractions import Fraction

from av.video.frame import VideoFrame

from streamfilter.capture.av_frames import planes_of, tags_of
from streamfilter.capture.colorimetry import FULL
from streamfilter.frame import ColorSpec, Frame
from streamfilter.sinks.av_pictures import picture_of

VIDEO_CLOCK = 90_000  # ticks a second of RTP's video clock (RFC 6184, 8.2.1; RFC 7741, 6)
VIDEO_TIME_BASE = Fraction(1, VIDEO_CLOCK)
_BT709 = 1  # ITU-T H.273, table 4
_JUMP = 2.0  # seconds between capture time and arrival; beyond, the sender's clock was set anew


class CaptureTime:
    """From a sender's RTP time to the monotonic clock: the sender's intervals are kept to the tick."""

    def __init__(self) -> None:
        self._base: int | None = None
        self._last = 0

    def ticks(self, pts: int, arrived: float) -> int:
        """Capture time in 1/90000 s of the monotonic clock, later than the last one; ``arrived`` in s."""
        now = round(arrived * VIDEO_CLOCK)
        if self._base is None or abs(self._base + pts - now) > _JUMP * VIDEO_CLOCK:
            self._base = now - pts
        self._last = max(self._base + pts, self._last + 1)
        return self._last


def frame_of(picture: VideoFrame, ticks: int) -> Frame:
    """The decoded ``picture`` as a frame captured at ``ticks``; untagged video is limited BT.601."""
    tags = tags_of(picture)
    color = ColorSpec("bt709" if tags.matrix == _BT709 else "bt601", tags.video_range == FULL)
    planes = planes_of(picture, color)
    return Frame(planes.y, planes.u, planes.v, ticks, VIDEO_TIME_BASE, color)


def picture_for_encoder(frame: Frame, pts: int, even: bool) -> VideoFrame:
    """The frame as a picture of time ``pts`` (1/90000 s); ``even``: an odd side grows by its last line."""
    extra = (frame.height % 2, frame.width % 2) if even else (0, 0)
    picture = picture_of(frame, *extra)
    picture.pts, picture.time_base = pts, VIDEO_TIME_BASE
    return picture
