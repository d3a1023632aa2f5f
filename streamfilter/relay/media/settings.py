"""What the relay's media are told by whoever runs it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from streamfilter.config import whole
from streamfilter.engine.select import AUTO
from streamfilter.errors import UsageError
from streamfilter.relay.ports import VIDEO_CODECS, IceServer

MIN_KBPS, MAX_KBPS = 100, 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettings:
    """Raises UsageError where a value is out of its range.

    ice_servers:  STUN and TURN servers; none means host candidates only.
    relay_only:   no candidate but those of a TURN server, so that no peer learns another one's address.
    max_width, max_height: of an arriving picture, pixels; a larger one is dropped before it is decoded.
    video_kbps:   of the video to a viewer, its start and its most; a viewer's own estimate can lower it.
    codecs:       of video, the preferred one first: VP8, H264.
    engine:       name of the engine, see :mod:`streamfilter.engine.select`.
    artifact:     folder of the trained editor; None is the packaged default.
    threads:      of one step of the network.
    cores:        processors that filtering may take, and threads that filter; None: all of this process.
    interfaces:   addresses of this machine that are offered to peers; None: all.
    """

    ice_servers: tuple[IceServer, ...] = ()
    relay_only: bool = False
    max_width: int = 1280
    max_height: int = 720
    video_kbps: int = 1500
    codecs: tuple[str, ...] = VIDEO_CODECS
    engine: str = AUTO
    artifact: Path | None = None
    threads: int = 1
    cores: int | None = None
    interfaces: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        whole("max_width", self.max_width, 16, 8192)
        whole("max_height", self.max_height, 16, 8192)
        whole("video_kbps", self.video_kbps, MIN_KBPS, MAX_KBPS)
        whole("threads", self.threads, 1, 64)
        if self.cores is not None:
            whole("cores", self.cores, 1, 1024)
        if not self.codecs or set(self.codecs) - set(VIDEO_CODECS):
            raise UsageError(f"codecs should be of {', '.join(VIDEO_CODECS)}, they are {self.codecs!r}")

    @property
    def processors(self) -> int:
        """``cores``, or as many as this process may run on."""
        return self.cores or len(os.sched_getaffinity(0))
