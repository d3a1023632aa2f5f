"""The video to one viewer: the newest safe frame, as fast as this viewer's encoder and line take them."""

from __future__ import annotations

import time
from collections import OrderedDict

from aiortc import VideoStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.video.frame import VideoFrame

from streamfilter.live.guard import SafeFrame
from streamfilter.metrics import Metrics
from streamfilter.relay.media.frames import VIDEO_CLOCK, picture_for_encoder
from streamfilter.relay.media.stage import Stage

CARD_SECONDS = 0.1  # in which a card is sent again, for whoever asked for a key frame meanwhile
_SMOOTH = 0.05  # weight of the newest delay
_REMEMBERED = 32


class ViewerVideo(VideoStreamTrack):
    """Nothing is queued for a viewer: what it is too slow for, it never sees."""

    def __init__(self, stage: Stage, metrics: Metrics, even: bool = True) -> None:
        """``even``: for a codec that takes no odd sizes."""
        super().__init__()
        self.even = even
        self.metrics = metrics
        self.delay: float | None = None  # seconds from a picture's decoding to its encoding, smoothed
        self.cost = 0.0  # processor seconds a picture
        self._stage = stage
        self._seen = -1
        self._origin = time.monotonic()
        self._last = -1
        self._arrivals: OrderedDict[int, float] = OrderedDict()

    async def recv(self) -> VideoFrame:
        """The next picture to encode. Raises MediaStreamError once the track is stopped."""
        while self.readyState == "live":
            version, safe = await self._stage.after(self._seen, CARD_SECONDS)
            if version != self._seen or safe.card:
                self._seen, again = version, version == self._seen
                return self._picture(safe, again)
        raise MediaStreamError

    def encoded(self, pts: int, now: float, worked: float) -> None:
        """From the encoder's thread: the picture of ``pts`` is ready to be sent."""
        self.cost += _SMOOTH * (worked - self.cost) if self.cost else worked
        arrived = self._arrivals.get(pts)
        late = None if arrived is None else now - arrived
        if late is not None:
            self.delay = late if self.delay is None else self.delay + _SMOOTH * (late - self.delay)
        self.metrics.frame_out(now, late)

    def _picture(self, safe: SafeFrame, again: bool) -> VideoFrame:
        seconds = time.monotonic() if again else safe.frame.seconds
        pts = max(round((seconds - self._origin) * VIDEO_CLOCK), self._last + 1)
        self._last = pts
        if safe.reason is not None:
            self.metrics.shield(safe.reason)
        if not safe.card:
            self._arrivals[pts] = safe.arrived
            while len(self._arrivals) > _REMEMBERED:
                self._arrivals.popitem(last=False)
        return picture_for_encoder(safe.frame, pts, self.even)
