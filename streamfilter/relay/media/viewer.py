"""A viewer's connection: the room's stage and sound, encoded for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCPeerConnection, RTCRtpSender

from streamfilter.metrics import Metrics
from streamfilter.relay.media.encoders import PacedEncoder
from streamfilter.relay.media.peer import Peer, prefer
from streamfilter.relay.media.settings import MediaSettings
from streamfilter.relay.media.sound import SoundLine, ViewerAudio
from streamfilter.relay.media.stage import Stage
from streamfilter.relay.media.tracks import ViewerVideo
from streamfilter.relay.ports import MediaFacts, MediaState

SOUND_CODEC = 0.008  # seconds: Opus looks 6.5 ms ahead (RFC 6716, 2.1.3), and takes its time to encode


class AiortcViewer(Peer):
    """:class:`streamfilter.relay.ports.ViewerMedia`."""

    def __init__(
        self,
        settings: MediaSettings,
        stage: Stage,
        sound: SoundLine,
        video_lead: Callable[[], float],
        gone: Callable[[AiortcViewer], None],
    ) -> None:
        """``video_lead``: seconds that sound waits for the video before the filter; ``gone``: ended."""
        super().__init__(settings, Metrics())
        self._stage, self._sound = stage, sound
        self._video_lead, self._gone = video_lead, gone
        self.video = ViewerVideo(stage, self.metrics)
        self.audio = ViewerAudio(self._video_delay)

    @property
    def peer_sends(self) -> bool:
        return False

    def facts(self) -> MediaFacts:
        now = time.monotonic()
        counts = self.metrics.snapshot(now)
        shown = self._stage.shown
        state = self.link_state(now) or (MediaState.SHIELDED if shown.card else MediaState.LIVE)
        return MediaFacts(
            state=state,
            reason=None if state is MediaState.ENDED else shown.reason,
            fps_out=counts.fps_out,
            latency_p50=counts.latency_p50,
            latency_p99=counts.latency_p99,
            size=self._stage.size,
            codec=self.codec,
            frames=counts.frames,
            shielded=sum(counts.shielded.values()),
            dropped=counts.dropped,
        )

    def load(self, now: float) -> float | None:
        """Processors that encoding takes."""
        return self.video.cost * self.metrics.snapshot(now).fps_out if self.video.cost else None

    def prepare(self, connection: RTCPeerConnection, kinds: tuple[str, ...]) -> None:
        for kind in kinds:
            if kind == "video":
                prefer(connection.addTransceiver(self.video, direction="sendonly"), self.settings.codecs)
            else:
                connection.addTransceiver(self.audio, direction="sendonly")
                self._sound.join(self.audio)

    def applied(self, connection: RTCPeerConnection) -> None:
        for transceiver in connection.getTransceivers():
            if transceiver.kind == "video":
                h264 = transceiver._codecs[0].name.upper() == "H264"
                self.video.even = h264
                encoder = PacedEncoder(h264, self.settings.video_kbps, self.video.encoded)
                _set_encoder(transceiver.sender, encoder)

    def answered(self, answer: str) -> str:
        return answer

    def released(self) -> None:
        self._sound.leave(self.audio)
        self.video.stop()
        self.audio.stop()
        self._gone(self)

    def _video_delay(self) -> float | None:
        delay = self.video.delay
        return None if delay is None else max(delay + self._video_lead() - SOUND_CODEC, 0.0)


def _set_encoder(sender: RTCRtpSender, encoder: Any) -> None:
    """``sender``, not yet started, encodes by ``encoder``."""
    vars(sender)["_RTCRtpSender__encoder"] = encoder
