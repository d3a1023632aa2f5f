"""One room on one worker, with LiveKit: what :class:`~streamfilter.relay.cluster.room_worker.RoomWorker` is
with Janus.

The card is published before anything is taken, and only what a stage shows is ever handed to the SDK.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from livekit import rtc

from streamfilter.errors import PhysioCamError
from streamfilter.first_of import first_of
from streamfilter.relay.livekit.grants import LiveKitKeys
from streamfilter.relay.livekit.sdk_frames import (
    CHANNELS,
    I420,
    picture_from_sdk,
    sdk_from_frame,
    sdk_from_sound,
    sound_from_sdk,
)
from streamfilter.relay.media.broadcast import LEFT, NOBODY
from streamfilter.relay.media.lane import Lane
from streamfilter.relay.media.media import TICK_SECONDS
from streamfilter.relay.media.sound import RATE, SAMPLES, SoundLine, ViewerAudio
from streamfilter.relay.media.stage import Stage
from streamfilter.relay.media.tracks import CARD_SECONDS
from streamfilter.relay.ports import Edit

CONNECT_SECONDS = 5.0
FPS = 30.0
_SMOOTH = 0.05
_LOG = logging.getLogger(__name__)


class LiveKitError(PhysioCamError):
    """LiveKit cannot be reached, refuses a token, or has ended the connection."""

    exit_code = 7


@dataclass(frozen=True, slots=True)
class LiveKitServer:
    """``url``: as ``wss://livekit.example.org``. ``worker``: this worker's identity, unlike all others."""

    url: str
    keys: LiveKitKeys
    worker: str
    kbps: int = 1500


class LiveKitRoom:
    """``make_lane``: a publisher's way through the filter, onto a stage. For the event loop's thread."""

    def __init__(
        self, server: LiveKitServer, room: str, edit: Edit, make_lane: Callable[[Edit, Stage], Lane]
    ) -> None:
        self.stage, self.sound = Stage(NOBODY), SoundLine()
        self.delay: float | None = None  # seconds from a picture's arrival to its being handed on, smoothed
        self.lane: Lane | None = None
        self._server, self._room, self._edit, self._make_lane = server, room, edit, make_lane
        self._taking: dict[str, asyncio.Task[None]] = {}
        self._lost = asyncio.Event()

    def set_edit(self, edit: Edit) -> None:
        """Show another heart rate from now on."""
        self._edit = edit
        if self.lane is not None:
            self.lane.set_edit(edit)

    async def serve(self) -> None:
        """Runs until it is cancelled. Raises LiveKitError where a connection cannot be had, or is lost."""
        keys, worker = self._server.keys, self._server.worker
        shown, raw = rtc.Room(), rtc.Room()
        video, sound = rtc.VideoSource(*self.stage.size), rtc.AudioSource(RATE, CHANNELS)
        try:
            await self._connect(shown, keys.publisher(self._room, worker), takes=False)
            await self._publish(shown, video, sound)
            raw.on("track_subscribed", self._came)
            raw.on("track_unsubscribed", self._went)
            await self._connect(raw, keys.listener(self._room, worker), takes=True)
            await first_of(self.send_video(video), self.send_sound(sound), self.watch(), self._lost.wait())
            raise LiveKitError(f"the connection to {self._server.url} is lost")
        finally:
            taking = list(self._taking.values())
            for sid in list(self._taking):
                self._end(sid)
            if taking:
                await asyncio.wait(taking)
            for room in (raw, shown):
                await room.disconnect()
            await video.aclose()
            await sound.aclose()

    async def take_video(self, track: rtc.Track) -> None:
        """The patient's pictures to a lane of their own, the newest first."""
        lane = self.lane = self._make_lane(self._edit, self.stage)
        lane.begin()
        stream = rtc.VideoStream(track, capacity=1, format=I420)
        try:
            async for event in stream:
                lane.push(picture_from_sdk(event.frame, event.timestamp_us), time.monotonic())
        finally:
            lane.close()
            if self.lane is lane:
                self.lane = None
                self.sound.stop()
                self.stage.card(LEFT)
            await stream.aclose()

    async def take_sound(self, track: rtc.Track) -> None:
        """The patient's sound to the room's line."""
        stream = rtc.AudioStream(
            track, sample_rate=RATE, num_channels=CHANNELS, frame_size_ms=1000 * SAMPLES // RATE
        )
        pts = 0
        try:
            async for event in stream:
                self.sound.push(sound_from_sdk(event.frame, pts), time.monotonic())
                pts += event.frame.samples_per_channel
        finally:
            await stream.aclose()

    async def send_video(self, source: rtc.VideoSource) -> None:
        """What the stage shows, a card again and again, for whoever comes."""
        seen, stamp = -1, 0
        while True:
            before = seen
            seen, safe = await self.stage.after(before, CARD_SECONDS)
            if seen == before and not safe.card:
                continue
            if not safe.card:
                late = time.monotonic() - safe.arrived
                self.delay = late if self.delay is None else self.delay + _SMOOTH * (late - self.delay)
            seconds = time.monotonic() if safe.card else safe.frame.seconds
            stamp = max(round(seconds * 1e6), stamp + 1)
            source.capture_frame(sdk_from_frame(safe.frame), timestamp_us=stamp)

    async def send_sound(self, source: rtc.AudioSource) -> None:
        """Sound as late as the picture."""
        line = ViewerAudio(lambda: self.delay)
        self.sound.join(line)
        try:
            while True:
                await source.capture_frame(sdk_from_sound(await line.recv()))
        finally:
            self.sound.leave(line)

    async def watch(self) -> None:
        """A picture that has stood too long gives way to a card."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if self.lane is not None:
                self.lane.tick(time.monotonic())

    async def _connect(self, room: rtc.Room, token: str, *, takes: bool) -> None:
        room.on("disconnected", lambda reason: self._lost.set())
        options = rtc.RoomOptions(auto_subscribe=takes, connect_timeout=CONNECT_SECONDS)
        try:
            await room.connect(self._server.url, token, options)
        except rtc.ConnectError as error:
            raise LiveKitError(
                f"LiveKit at {self._server.url} cannot be joined: is it running, are key and secret its?"
            ) from error

    async def _publish(self, room: rtc.Room, video: rtc.VideoSource, sound: rtc.AudioSource) -> None:
        encoding = rtc.VideoEncoding(max_framerate=FPS, max_bitrate=1000 * self._server.kbps)
        picture = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            video_codec=rtc.VideoCodec.VP8,
            video_encoding=encoding,
            simulcast=False,
        )
        microphone = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        me = room.local_participant
        await me.publish_track(rtc.LocalVideoTrack.create_video_track("filtered", video), picture)
        await me.publish_track(rtc.LocalAudioTrack.create_audio_track("sound", sound), microphone)

    def _came(self, track: rtc.Track, publication: object, participant: object) -> None:
        """Whoever published last is shown."""
        take = self.take_video if track.kind == rtc.TrackKind.KIND_VIDEO else self.take_sound
        for sid, task in list(self._taking.items()):
            if task.get_name() == take.__name__:
                self._end(sid)
        task = asyncio.get_running_loop().create_task(take(track), name=take.__name__)
        task.add_done_callback(_tell)
        self._taking[track.sid] = task

    def _went(self, track: rtc.Track, publication: object, participant: object) -> None:
        self._end(track.sid)

    def _end(self, sid: str) -> None:
        task = self._taking.pop(sid, None)
        if task is not None:
            task.cancel()


def _tell(task: asyncio.Task[None]) -> None:
    """A track that could not be taken has left a card; why is for the log."""
    if not task.cancelled() and task.exception() is not None:
        _LOG.error("a patient's track is given up", exc_info=task.exception())
