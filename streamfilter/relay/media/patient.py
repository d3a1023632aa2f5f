"""A publisher's connection: its video into a lane, its sound into the room's line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCPeerConnection
from aiortc.mediastreams import MediaStreamError
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from streamfilter.relay.media.capture_clock import skew
from streamfilter.relay.media.inlet import AudioInlet, VideoInlet, set_inlet
from streamfilter.relay.media.lane import Lane
from streamfilter.relay.media.offer import with_bandwidth
from streamfilter.relay.media.peer import SILENT_SECONDS, Peer, prefer
from streamfilter.relay.media.settings import MediaSettings
from streamfilter.relay.media.sound import Normalised, SoundLine
from streamfilter.relay.ports import Edit, MediaFacts, MediaState

ARRIVING_SHARE = 2  # of the bit rate to viewers that a publisher may send: the filter sees what it must edit
_SMOOTH = 0.05


class AiortcPatient(Peer):
    """:class:`streamfilter.relay.ports.PatientMedia`."""

    def __init__(
        self,
        settings: MediaSettings,
        lane: Lane,
        sound: SoundLine,
        ready: Callable[[AiortcPatient], None],
        gone: Callable[[AiortcPatient], None],
    ) -> None:
        """``ready``: its offer has been answered, its lane may take the stage; ``gone``: it has ended."""
        super().__init__(settings, lane.metrics)
        self.lane = lane
        self.decode_delay = 0.0  # seconds from a picture's last packet to its decoding, smoothed
        self._sound = sound
        self._ready, self._gone = ready, gone
        self._video_inlet: VideoInlet | None = None
        self._sound_inlet: AudioInlet | None = None

    @property
    def video_lead(self) -> float:
        """Seconds that sound waits for the video before the filter: for its decoder, and for its way here."""
        video, sound = self._video_inlet, self._sound_inlet
        if video is None or sound is None:
            return self.decode_delay
        return self.decode_delay + skew(video.arrivals.clock, sound.arrivals.clock)

    @property
    def peer_sends(self) -> bool:
        return True

    def set_edit(self, edit: Edit) -> None:
        """Show another heart rate from now on; the phase runs on. Raises UsageError."""
        self.lane.set_edit(edit)

    def pause(self, paused: bool) -> None:
        """A card instead of the picture, and silence, while ``paused``."""
        self.lane.pause(paused)
        if paused:
            self._sound.stop()

    def facts(self) -> MediaFacts:
        now = time.monotonic()
        counts = self.metrics.snapshot(now)
        state = self.link_state(now) or (MediaState.LIVE if self.lane.live else MediaState.SHIELDED)
        last = self.lane.last_in
        if state is MediaState.SHIELDED and last is not None and now - last > SILENT_SECONDS:
            state = MediaState.INTERRUPTED
        inlet = self._video_inlet
        return MediaFacts(
            state=state,
            reason=None if state is MediaState.ENDED else self.lane.reason,
            fps_in=counts.fps_in,
            fps_out=counts.fps_out,
            latency_p50=counts.latency_p50,
            latency_p99=counts.latency_p99,
            size=self.lane.size,
            codec=self.codec if inlet is None or inlet.codec is None else inlet.codec,
            frames=counts.frames,
            shielded=sum(counts.shielded.values()),
            dropped=counts.dropped,
        )

    def load(self, now: float) -> float | None:
        """Processors that filtering takes."""
        return self.lane.load(now)

    def tick(self, now: float) -> None:
        super().tick(now)
        self.lane.tick(now)

    def prepare(self, connection: RTCPeerConnection, kinds: tuple[str, ...]) -> None:
        for kind in kinds:
            transceiver = connection.addTransceiver(kind, direction="recvonly")
            if kind == "video":
                prefer(transceiver, self.settings.codecs)

    def applied(self, connection: RTCPeerConnection) -> None:
        largest = (self.settings.max_width, self.settings.max_height)
        loop = asyncio.get_running_loop()
        for transceiver in connection.getTransceivers():
            receiver = transceiver.receiver
            track: Any = receiver.track
            if track is None:
                continue
            if track.kind == "video":
                inlet = self._video_inlet = VideoInlet(receiver, largest, self.metrics.drop)
                set_inlet(receiver, inlet)
                self.run(loop.create_task(self._take_video(track, inlet)))
            else:
                heard = self._sound_inlet = AudioInlet(receiver, transceiver._codecs[0].clockRate)
                set_inlet(receiver, heard)
                self.run(loop.create_task(self._take_sound(track, heard)))

    def answered(self, answer: str) -> str:
        self._ready(self)
        return with_bandwidth(answer, ARRIVING_SHARE * self.settings.video_kbps)

    def released(self) -> None:
        self.lane.close()
        self._gone(self)

    async def _take_video(self, track: Any, inlet: VideoInlet) -> None:
        # Never waits for the filter, so that no queue grows before it.
        try:
            while True:
                picture: VideoFrame = await track.recv()
                now = time.monotonic()
                late = now - inlet.arrivals.of(picture.pts, now)
                self.decode_delay += _SMOOTH * (late - self.decode_delay)
                self.lane.push(picture, now)
        except MediaStreamError:
            return

    async def _take_sound(self, track: Any, inlet: AudioInlet) -> None:
        normalised = Normalised()
        try:
            while True:
                frame: AudioFrame = await track.recv()
                arrived = inlet.arrivals.of(frame.pts, time.monotonic())
                if not self.lane.paused:
                    for one in normalised.frames(frame):
                        self._sound.push(one, arrived)
        except MediaStreamError:
            return
