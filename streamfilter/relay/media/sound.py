"""Sound passed through: each frame leaves as long after its arrival as the video of the same moment does.

Samples are neither dropped nor doubled: their RTP time is the sender's, only the moment of sending moves, by
half a per cent at most, which a receiver's own buffer takes up unheard.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from aiortc import AudioStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

RATE = 48_000  # Opus' RTP clock (RFC 7587, 4.1)
TIME_BASE = Fraction(1, RATE)
SAMPLES = 960  # of a frame: 20 ms
FRAME_SECONDS = SAMPLES / RATE
FIRST_DELAY = 0.03  # seconds, until the video's has been measured
SLEW = 0.005 * FRAME_SECONDS  # seconds by which the delay moves with each frame
QUIET, QUIET_STEP = 64, 0.005  # a peak (of 32768) below which it may move by this many seconds
MISSING = 0.1  # seconds without sound after which silence is sent
MOST_HELD = 100  # frames: 2 s


class SoundLine:
    """A room's sound, to each of its viewers."""

    def __init__(self) -> None:
        self._tracks: set[ViewerAudio] = set()

    def join(self, track: ViewerAudio) -> None:
        self._tracks.add(track)

    def leave(self, track: ViewerAudio) -> None:
        self._tracks.discard(track)

    def push(self, frame: AudioFrame, arrived: float) -> None:
        """A frame of 48 kHz stereo, which came at ``arrived`` (s)."""
        for track in self._tracks:
            track.push(frame, arrived)

    def stop(self) -> None:
        """Silence from now on: what was held back is not heard any more."""
        for track in self._tracks:
            track.clear()


class Normalised:
    """Decoded sound of any kind as 48 kHz stereo."""

    def __init__(self) -> None:
        self._resampler: AudioResampler | None = None
        self._kind: object = None

    def frames(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        kind = (frame.sample_rate, frame.format.name, frame.layout.name)
        if kind == (RATE, "s16", "stereo"):
            yield frame
            return
        if self._resampler is None or self._kind != kind:
            self._resampler = AudioResampler(format="s16", layout="stereo", rate=RATE)
            self._kind = kind
        yield from self._resampler.resample(frame)


class ViewerAudio(AudioStreamTrack):
    """The sound to one viewer."""

    def __init__(self, target: Callable[[], float | None]) -> None:
        """``target``: by how many seconds the video is late at this viewer's encoder; None: not known yet."""
        super().__init__()
        self.delay = FIRST_DELAY
        self._target = target
        self._measured = False
        self._held: deque[tuple[AudioFrame, float]] = deque(maxlen=MOST_HELD)
        self._came = asyncio.Event()
        self._origin = time.monotonic()
        self._end = 0  # RTP time after what was sent last
        self._offset: int | None = None
        self._sent = self._origin

    def push(self, frame: AudioFrame, arrived: float) -> None:
        self._held.append((frame, arrived))
        self._came.set()

    def clear(self) -> None:
        self._held.clear()
        self._offset = None

    async def recv(self) -> AudioFrame:
        """The next frame, when it is due; silence where none comes. Raises MediaStreamError once stopped."""
        while self.readyState == "live":
            now = time.monotonic()
            if self._held:
                due = self._held[0][1] + self.delay
                if now >= due:
                    frame, _ = self._held.popleft()
                    self._sent = now
                    return self._passed(frame, now)
                await asyncio.sleep(due - now)
                continue
            quiet_at = self._sent + (FRAME_SECONDS if self._offset is None else MISSING)
            if now >= quiet_at:
                self._offset = None
                self._sent = max(quiet_at, now - MISSING)
                return self._silence(now)
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), quiet_at - now)
            except TimeoutError:
                continue
        raise MediaStreamError

    def _passed(self, frame: AudioFrame, now: float) -> AudioFrame:
        start = frame.pts or 0
        if self._offset is None or start + self._offset < self._end:
            self._offset = max(self._end, round((now - self._origin) * RATE)) - start
        self._move_delay(frame)
        return self._timed(bytes(frame.planes[0])[: 4 * frame.samples], frame.samples, start + self._offset)

    def _silence(self, now: float) -> AudioFrame:
        pts = max(self._end, round((now - self._origin) * RATE))
        return self._timed(bytes(4 * SAMPLES), SAMPLES, pts)

    def _timed(self, samples: bytes, count: int, pts: int) -> AudioFrame:
        made = AudioFrame(format="s16", layout="stereo", samples=count)
        made.planes[0].update(samples)
        made.sample_rate, made.time_base, made.pts = RATE, TIME_BASE, pts
        self._end = pts + count
        return made

    def _move_delay(self, frame: AudioFrame) -> None:
        target = self._target()
        if target is None:
            return
        if not self._measured:
            self._measured, self.delay = True, target
            return
        peak = int(np.abs(np.frombuffer(bytes(frame.planes[0]), np.int16).astype(np.int32)).max(initial=0))
        step = QUIET_STEP if peak < QUIET else SLEW
        self.delay += min(max(target - self.delay, -step), step)
