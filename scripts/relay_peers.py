"""A patient and a viewer on aiortc for measuring the relay: they call it and note what they see.

What is sent, and how it is read, is in scripts/relay_clip.py. Used by scripts/relay_*.py.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from scripts.relay_clip import BEAT, FRAME_SECONDS, RATE, Sent, flashes, read_number
from streamfilter.capture.av_frames import planes_of
from streamfilter.frame import ColorSpec
from streamfilter.relay.media.inlet import AudioInlet, VideoInlet, set_inlet
from streamfilter.relay.media.peer import prefer

_LOUD, _QUIET_SECONDS = 4000, 0.5


@dataclass
class Watched:
    """What a viewer saw and heard.

    numbers: moment (s) and number of each decoded picture, None for a card.
    beats: moments of flashes. clicks: moments of the tones' first samples, as if played at once, less the
    frame's length that a microphone takes.
    """

    numbers: list[tuple[float, int | None]] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)
    clicks: list[float] = field(default_factory=list)

    def picture(self, picture: VideoFrame, now: float) -> None:
        luma = planes_of(picture, ColorSpec()).y
        number = read_number(luma)
        self.numbers.append((now, number))
        if number is not None and flashes(luma) and (not self.beats or now - self.beats[-1] > BEAT / 2):
            self.beats.append(now)

    def sound(self, frame: AudioFrame, now: float) -> None:
        loud = np.flatnonzero(np.abs(frame.to_ndarray()[0, ::2].astype(int)) > _LOUD)
        if loud.size and (not self.clicks or now - self.clicks[-1] > _QUIET_SECONDS):
            self.clicks.append(now + loud[0] / RATE - FRAME_SECONDS)

    def latencies(self, sent: Sent, since: float, until: float = math.inf) -> list[float]:
        """Milliseconds from the patient's encoder to here, of the pictures that came in that time."""
        known = [(at, number) for at, number in self.numbers if since <= at < until and number is not None]
        pairs = ((at, sent.before(number, at)) for at, number in known)
        return [1000 * (at - handed) for at, handed in pairs if handed is not None]

    def offsets(self, since: float) -> list[float]:
        """By how many milliseconds each click comes after its flash."""
        pairs = [
            (beat, min(self.clicks, key=lambda at: abs(at - beat))) for beat in self.beats if self.clicks
        ]
        near = [(beat, click) for beat, click in pairs if abs(click - beat) < BEAT / 4 and beat >= since]
        return [1000 * (click - beat) for beat, click in near]

    def cards(self, since: float) -> int:
        return sum(number is None and at >= since for at, number in self.numbers)


class Peer:
    """A connection and what watches it. ``location``: of its session at the relay."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.watched = Watched()
        self.location = ""
        self.answer = ""
        self._watching: list[asyncio.Task[None]] = []

    @property
    def over(self) -> bool:
        return self.connection.connectionState in ("failed", "closed")

    def sends(self, *tracks: MediaStreamTrack, codec: str = "VP8") -> None:
        for track in tracks:
            transceiver = self.connection.addTransceiver(track, direction="sendonly")
            if track.kind == "video":
                prefer(transceiver, (codec,))

    def receives(self, *kinds: str, codec: str = "VP8") -> None:
        for kind in kinds:
            transceiver = self.connection.addTransceiver(kind, direction="recvonly")
            if kind == "video":
                prefer(transceiver, (codec,))

    async def call(self, http: aiohttp.ClientSession, url: str, token: str, prompt: bool = False) -> None:
        """By WHIP or WHEP. Raises Refused. ``prompt``: decode each picture at once, as browsers do."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        offer = self.connection.localDescription.sdp
        async with http.post(url, data=offer, headers=headers) as response:
            text = await response.text()
            if response.status != 201:
                raise Refused(response.status, text, response.headers.get("Retry-After"))
            self.location = response.headers["Location"]
        await self.answered(text, prompt)

    async def answered(self, answer: str, prompt: bool) -> None:
        self.answer = answer
        if prompt:
            self._prompt()
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        self.watch()

    async def call_directly(self, viewer: Peer, prompt: bool) -> None:
        """Without a relay."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        await viewer.connection.setRemoteDescription(self.connection.localDescription)
        if prompt:
            viewer._prompt()
        await viewer.connection.setLocalDescription(await viewer.connection.createAnswer())
        await self.connection.setRemoteDescription(viewer.connection.localDescription)
        viewer.watch()

    def watch(self) -> None:
        for receiver in self.connection.getReceivers():
            if receiver.track is not None:
                self._watching.append(asyncio.create_task(self._watch(receiver.track)))

    async def close(self) -> None:
        await self.connection.close()
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)

    def _prompt(self) -> None:
        for transceiver in self.connection.getTransceivers():
            receiver = transceiver.receiver
            if transceiver.kind == "video":
                set_inlet(receiver, VideoInlet(receiver, (8192, 8192), lambda cause, count: None))
            else:
                set_inlet(receiver, AudioInlet(receiver))

    async def _watch(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                got = await track.recv()
                now = time.monotonic()
                if isinstance(got, VideoFrame):
                    self.watched.picture(got, now)
                elif isinstance(got, AudioFrame):
                    self.watched.sound(got, now)


class Refused(Exception):
    """The relay took no session. ``reason``: the body."""

    def __init__(self, status: int, reason: str, retry_after: str | None) -> None:
        super().__init__(f"{status} {reason}")
        self.status, self.reason, self.retry_after = status, reason, retry_after
