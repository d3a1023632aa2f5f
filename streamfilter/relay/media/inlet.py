"""What arrives on the way to its decoder: complete pictures at once, none too large, none without its past.

aiortc's own buffer holds a picture back until the next one begins, a picture's time of delay, and waits
seconds for a packet that never comes. These take its place in a receiver.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtcrtpreceiver import TimestampMapper
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_gt

from streamfilter.relay.media.capture_clock import CaptureClock, listen
from streamfilter.relay.media.frames import VIDEO_CLOCK
from streamfilter.relay.media.picture_size import EncodedPicture, inspect
from streamfilter.relay.media.sound import RATE

OVERSIZE, DAMAGED, LOST, BACKLOG = "oversize picture", "damaged picture", "lost packets", "decoder behind"
CAPACITY = 512  # packets
ASK_AGAIN = 0.1  # seconds between two requests for the same missing packets
GIVE_UP = 0.4  # seconds that a missing packet is waited for
KEY_AGAIN = 0.5  # seconds between two requests for a key frame
MOST_WAITING = 8  # encoded pictures before a decoder
MOST_ASKED = 64  # packets in one request
AUDIO_WAIT = 3  # packets of sound behind a gap, after which it is passed over
_REMEMBERED = 64


class Arrivals:
    """When the encoded frames came, by the ``pts`` that their decoded ones will have."""

    def __init__(self, clock: CaptureClock) -> None:
        """``clock``: is told of them too."""
        self.clock = clock
        self._mapper = TimestampMapper()
        self._times: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)

    def add(self, timestamp: int, now: float) -> None:
        self.clock.arrived(timestamp, now)
        self._times.append((self._mapper.map(timestamp), now))

    def of(self, pts: int | None, now: float) -> float:
        """The arrival of the frame of ``pts``; ``now`` where it is not known. From the loop's thread."""
        return next((at for known, at in reversed(self._times) if known == pts), now)


class VideoInlet(JitterBuffer):
    """Assembles pictures by their marker bit (RFC 6184, 5.1; RFC 7741, 4.1), lets in what may be decoded."""

    def __init__(
        self, receiver: RTCRtpReceiver, largest: tuple[int, int], drop: Callable[[str, int], None]
    ) -> None:
        super().__init__(capacity=CAPACITY, is_video=True)
        self.arrivals = Arrivals(CaptureClock(VIDEO_CLOCK))
        self.codec: str | None = None
        self._receiver: Any = receiver
        self._largest = largest
        self._drop = drop
        self._needs_key = True
        self._gap_since: float | None = None
        self._asked = self._key_asked = 0.0
        self._highest = 0
        self._asking: set[asyncio.Future[None]] = set()

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Takes a packet in; gives whether to ask for a key frame, and a picture to decode."""
        now = time.monotonic()
        if self._origin is None:
            self._highest, self._key_asked = packet.sequence_number, now
        elif uint16_gt(packet.sequence_number, self._highest):
            self._highest = packet.sequence_number
        overrun, _ = super().add(packet)
        if overrun:
            self._lose(LOST)
        codec = self._receiver._RTCRtpReceiver__codecs.get(packet.payload_type)
        if codec is None:
            return False, None
        self.codec = codec.name
        complete: list[JitterFrame] = []
        while (picture := self._take()) is not None:
            if self._admit(codec.name, picture):
                self.arrivals.add(picture.timestamp, now)
                complete.append(picture)
        self._mind_gap(packet.ssrc, now)
        _decode_all_but_last(self._receiver, packet.payload_type, complete)
        wants_key = self._needs_key and now - self._key_asked > KEY_AGAIN
        if wants_key:
            self._key_asked = now
        return wants_key, complete[-1] if complete else None

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        return None  # ``add`` above takes what is complete

    def _take(self) -> JitterFrame | None:
        """The next picture all of whose packets are here."""
        if self._origin is None:
            return None
        packets: list[Any] = []
        for count in range(self.capacity):
            packet: Any = self._packets[(self._origin + count) % self.capacity]
            if packet is None:
                return None
            if packets and packet.timestamp != packets[0].timestamp:
                return self._joined(packets)
            packets.append(packet)
            if packet.marker:
                return self._joined(packets)
        return None

    def _joined(self, packets: list[Any]) -> JitterFrame:
        self.remove(len(packets))
        return JitterFrame(b"".join(packet._data for packet in packets), packets[0].timestamp)

    def _admit(self, codec: str, picture: JitterFrame) -> bool:
        """Whether a complete picture may be decoded."""
        if not picture.data:
            return False  # padding, as senders use it to probe the bandwidth
        try:
            seen: EncodedPicture = inspect(codec, picture.data)
        except ValueError:
            return self._lose(DAMAGED)
        if any(width > self._largest[0] or height > self._largest[1] for width, height in seen.sizes):
            return self._lose(OVERSIZE)
        if self._needs_key and not seen.key:
            return False
        if self._receiver._RTCRtpReceiver__decoder_queue.qsize() > MOST_WAITING:
            return self._lose(BACKLOG)
        self._needs_key = False
        return True

    def _lose(self, cause: str) -> bool:
        self._drop(cause, 1)
        self._needs_key = True
        return False

    def _mind_gap(self, ssrc: int, now: float) -> None:
        """Ask again for what is missing; after a while go on without it, from the next key frame."""
        if not self._has_hole():
            self._gap_since = None
        elif self._gap_since is None:
            self._gap_since = self._asked = now
        elif now - self._gap_since > GIVE_UP:
            self.remove(self._first_behind_gap())
            self._gap_since = None
            self._lose(LOST)
        elif now - self._asked > ASK_AGAIN:
            self._asked = now
            lost = sorted(self._receiver._RTCRtpReceiver__nack_generator.missing)[-MOST_ASKED:]
            if lost:
                asking = asyncio.ensure_future(self._receiver._send_rtcp_nack(ssrc, lost))
                self._asking.add(asking)
                asking.add_done_callback(self._asking.discard)

    def _has_hole(self) -> bool:
        """Whether packets lie behind one that is missing."""
        origin = self._origin or 0
        ahead = (self._highest - origin) & 0xFFFF
        if ahead >= self.capacity:
            return False  # the highest one has been taken
        return any(self._packets[(origin + count) % self.capacity] is None for count in range(ahead))

    def _first_behind_gap(self) -> int:
        """How far behind the origin the first packet after the first gap is."""
        gap = False
        for count in range(self.capacity):
            packet = self._packets[((self._origin or 0) + count) % self.capacity]
            if packet is None:
                gap = True
            elif gap:
                return count
        return 0


class AudioInlet(JitterBuffer):
    """Sound in order, each packet at once: the delay that it is to have is given to it further on."""

    def __init__(self, receiver: RTCRtpReceiver, rate: int = RATE) -> None:
        """``rate``: RTP ticks a second."""
        super().__init__(capacity=16, prefetch=0)
        self.arrivals = Arrivals(CaptureClock(rate))
        self._receiver: Any = receiver

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """Takes a packet in; gives one to decode."""
        super().add(packet)
        now = time.monotonic()
        complete: list[JitterFrame] = []
        while (sound := self._take()) is not None:
            self.arrivals.add(sound.timestamp, now)
            complete.append(sound)
        _decode_all_but_last(self._receiver, packet.payload_type, complete)
        return False, complete[-1] if complete else None

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        return None  # ``add`` above takes what is complete

    def _take(self) -> JitterFrame | None:
        if self._origin is None:
            return None
        behind = sum(packet is not None for packet in self._packets)
        while self._packets[self._origin % self.capacity] is None:
            if behind <= AUDIO_WAIT:
                return None
            self.remove(1)
        packet: Any = self._packets[self._origin % self.capacity]
        self.remove(1)
        return JitterFrame(packet._data, packet.timestamp)


def set_inlet(receiver: RTCRtpReceiver, inlet: VideoInlet | AudioInlet) -> None:
    """``receiver``, not yet started, takes its packets through ``inlet``."""
    listen(receiver, inlet.arrivals.clock)
    vars(receiver)["_RTCRtpReceiver__jitter_buffer"] = inlet


def _decode_all_but_last(receiver: Any, payload_type: int, complete: list[JitterFrame]) -> None:
    """A packet that fills a gap completes several frames, and the receiver takes one of an ``add``."""
    for earlier in complete[:-1]:
        codec = receiver._RTCRtpReceiver__codecs[payload_type]
        earlier.timestamp = receiver._RTCRtpReceiver__timestamp_mapper.map(earlier.timestamp)
        receiver._RTCRtpReceiver__decoder_queue.put((codec, earlier))
