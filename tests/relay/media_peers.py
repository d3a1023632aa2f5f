"""Real aiortc peers on loopback, and what they send and see, for tests of the relay's media."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction

import aioice.ice
import numpy as np
from aiortc import (
    AudioStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from streamfilter.capture.av_frames import planes_of
from streamfilter.doctor.portrait import DrawnScene
from streamfilter.face_filter import FilteredFrame
from streamfilter.frame import ColorSpec, Frame
from streamfilter.relay.media import AiortcMedia, MediaSettings
from streamfilter.relay.media.broadcast import AiortcBroadcast
from streamfilter.relay.media.patient import AiortcPatient
from streamfilter.relay.media.viewer import AiortcViewer
from streamfilter.relay.ports import Edit
from streamfilter.sinks.av_pictures import picture_of

RAW, EDITED = 220, 30  # luma of the mark in the corner: as the camera shows it, as the filter leaves it
CARD = 96  # luma of a card there
MARK = 64  # pixels a side
BLOCK = 16  # pixels a side of what codecs move and replace as one
WITHIN = 30.0  # seconds for what has to happen, however busy the machine is
FPS = 15.0


@dataclass
class MarkFilter:
    """Turns the corner's mark dark, as the real filter edits a face; fails, waits, settles as it is told."""

    settle: int = 5
    delay: float = 0.0
    faces: int = 1
    fault: Exception | None = None
    seen: int = 0
    closed: bool = False
    targets: list[tuple[float, float]] = field(default_factory=list)

    def process(self, frame: Frame) -> FilteredFrame:
        self.seen += 1
        time.sleep(self.delay)
        if self.fault is not None:
            raise self.fault
        if not self.faces:
            return FilteredFrame(frame, 0, None)
        y = frame.y.copy()
        y[:MARK, :MARK] = EDITED
        edited = frame.with_planes(y, frame.u, frame.v)
        return FilteredFrame(edited, 1, "settling" if self.seen <= self.settle else None)

    def set_target(self, bpm: float) -> None:
        self.targets.append((bpm, -1.0))

    def set_strength(self, strength: float) -> None:
        self.targets.append((-1.0, strength))

    def close(self) -> None:
        self.closed = True


def marked(width: int, height: int) -> list[Frame]:
    scene = DrawnScene(width, height, FPS)
    frames = []
    for index in range(16):
        frame = scene.frame(index)
        y = frame.y.copy()
        y[:MARK, :MARK] = RAW
        frames.append(frame.with_planes(y, frame.u, frame.v))
    return frames


class Camera(VideoStreamTrack):
    """A drawn face with the mark in the corner. ``stalled``: nothing comes. ``flash``: all white then."""

    def __init__(self, width: int = 320, height: int = 240, fps: float = FPS) -> None:
        super().__init__()
        self.frames = marked(width, height)
        self.fps = fps
        self.stalled = False
        self.sent = 0
        self.flash: Callable[[float], bool] | None = None
        self._due = time.monotonic()

    def resize(self, width: int, height: int) -> None:
        self.frames = marked(width, height)

    async def recv(self) -> VideoFrame:
        while True:
            self._due = max(self._due + 1 / self.fps, time.monotonic() - 1 / self.fps)
            await asyncio.sleep(max(self._due - time.monotonic(), 0))
            if self.readyState != "live":
                raise MediaStreamError
            if not self.stalled:
                break
        frame = self.frames[self.sent % len(self.frames)]
        self.sent += 1
        if self.flash is not None:
            level = 200 if self.flash(self._due) else 50
            frame = frame.with_planes(np.full_like(frame.y, level), frame.u, frame.v)
        picture = picture_of(frame)
        picture.pts, picture.time_base = round(self._due * 90_000), Fraction(1, 90_000)
        return picture


class Microphone(AudioStreamTrack):
    """A tone where ``sounds`` says so; 20 ms frames."""

    def __init__(self, sounds: Callable[[float], bool] = lambda now: True) -> None:
        super().__init__()
        self.sounds = sounds
        self._start = time.monotonic()
        self._index = 0

    async def recv(self) -> AudioFrame:
        self._index += 1
        due = self._start + 0.02 * self._index
        await asyncio.sleep(max(due - time.monotonic(), 0))
        if self.readyState != "live":
            raise MediaStreamError
        tone = 8000 * np.sin(2 * np.pi * 500 * (np.arange(960) / 48_000))
        samples = tone if self.sounds(due) else np.zeros(960)
        frame = AudioFrame.from_ndarray(
            np.repeat(samples.astype(np.int16), 2)[None], format="s16", layout="stereo"
        )
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), 960 * self._index
        return frame


@dataclass
class Seen:
    """What a viewer saw: moments (s), kinds ("card", "edited", "raw", "torn"), sizes, and levels of sound."""

    kinds: list[tuple[float, str]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    bright: list[tuple[float, float]] = field(default_factory=list)
    loud: list[tuple[float, float]] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def since(self, moment: float) -> list[str]:
        return [kind for at, kind in self.kinds if at >= moment]

    @property
    def last(self) -> str | None:
        return self.kinds[-1][1] if self.kinds else None


def kind_of(frame: Frame) -> str:
    """Which of the three a received picture is, by its corner, where the card is grey (96).

    "raw" is a picture in which any block of the mark is as the camera shows it. "torn" is none of the three:
    aiortc decodes on after packets that were lost for good, and mixes what came before with what comes after.
    """
    corner = frame.y[8 : MARK - 8, 8 : MARK - 8].astype(float)
    if corner.reshape(3, BLOCK, 3, BLOCK).mean(axis=(1, 3)).max() > (CARD + RAW) / 2:
        return "raw"
    if abs(corner.mean() - EDITED) < 30:
        return "edited"
    flat = np.abs(frame.u.astype(int) - 128).max() < 20
    return "card" if abs(corner.mean() - CARD) < 12 and flat else "torn"


async def watch(track: MediaStreamTrack, seen: Seen, slow: float = 0.0) -> None:
    with suppress(MediaStreamError):
        while True:
            picture = await track.recv()
            now = time.monotonic()
            if isinstance(picture, AudioFrame):
                seen.loud.append((now, float(np.abs(picture.to_ndarray().astype(int)).max())))
            elif isinstance(picture, VideoFrame):
                frame = Frame(*planes_of(picture, ColorSpec()), 0, Fraction(1, 90_000), ColorSpec())
                seen.kinds.append((now, kind_of(frame)))
                seen.sizes.append((frame.width, frame.height))
                seen.bright.append((now, float(frame.y.mean())))
            if slow:
                await asyncio.sleep(slow)


async def connect(
    peer: RTCPeerConnection, media: AiortcPatient | AiortcViewer, munge: Callable[[str], str] = str
) -> None:
    await peer.setLocalDescription(await peer.createOffer())
    answer = await media.negotiate(munge(peer.localDescription.sdp))
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))


def new_peer() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


def prefer(peer: RTCPeerConnection, codec: str) -> None:
    for transceiver in peer.getTransceivers():
        if transceiver.kind == "video":
            known = RTCRtpSender.getCapabilities("video").codecs
            transceiver.setCodecPreferences(
                [one for one in known if one.mimeType in (f"video/{codec}", "video/rtx")]
            )


@dataclass
class Room:
    """A relay with one room; peers that were made here are closed with it."""

    media: AiortcMedia
    broadcast: AiortcBroadcast
    filters: list[MarkFilter]
    peers: list[RTCPeerConnection] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def publish(
        self, *tracks: MediaStreamTrack, codec: str | None = None, edit: Edit | None = None
    ) -> tuple[RTCPeerConnection, AiortcPatient]:
        peer = new_peer()
        self.peers.append(peer)
        for track in tracks:
            peer.addTransceiver(track, direction="sendonly")
        if codec:
            prefer(peer, codec)
        media = self.broadcast.publisher(edit or Edit())
        await connect(peer, media)
        return peer, media

    async def view(
        self, slow: float = 0.0, audio: bool = False, codec: str | None = None
    ) -> tuple[Seen, AiortcViewer, RTCPeerConnection]:
        peer = new_peer()
        self.peers.append(peer)
        peer.addTransceiver("video", direction="recvonly")
        if audio:
            peer.addTransceiver("audio", direction="recvonly")
        if codec:
            prefer(peer, codec)
        media, seen = self.broadcast.viewer(), Seen()
        await connect(peer, media)
        for receiver in peer.getReceivers():
            watching = watch(receiver.track, seen, slow if receiver.track.kind == "video" else 0.0)
            self.tasks.append(asyncio.get_running_loop().create_task(watching))
        return seen, media, peer


@asynccontextmanager
async def relay(
    filters: Callable[[], MarkFilter] | None = MarkFilter, settings: MediaSettings | None = None
) -> AsyncIterator[Room]:
    """A relay whose filters are ``filters``'s (None: the real one)."""
    made: list[MarkFilter] = []
    all_addresses = aioice.ice.get_host_addresses
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    settings = settings or MediaSettings(interfaces=("127.0.0.1",), cores=2)
    if filters is None:
        media = AiortcMedia(settings)
    else:

        def make(wanted: object) -> MarkFilter:
            made.append(filters())
            return made[-1]

        media = AiortcMedia(settings, make)
    room = Room(media, media.broadcast("room"), made)
    try:
        yield room
    finally:
        for task in room.tasks:
            task.cancel()
        await room.broadcast.close()
        await media.close()
        await asyncio.gather(*(peer.close() for peer in room.peers))
        aioice.ice.get_host_addresses = all_addresses


async def until(true: Callable[[], object], seconds: float = WITHIN) -> float:
    """Waits until ``true``; the moment. Fails after ``seconds``."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.005)
    return time.monotonic()


@asynccontextmanager
async def late_turns() -> AsyncIterator[list[float]]:
    """By how many seconds the loop was late, each time that it was looked at: what a busy machine adds."""
    late = [0.0]

    async def look() -> None:
        while True:
            due = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            late.append(time.monotonic() - due)

    looking = asyncio.get_running_loop().create_task(look())
    try:
        yield late
    finally:
        looking.cancel()
