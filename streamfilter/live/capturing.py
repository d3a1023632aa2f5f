"""The capture stage: the camera's frames into the ring; reopens a lost camera, closes it on demand."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from streamfilter.frame import Frame
from streamfilter.live.backoff import Backoff
from streamfilter.live.board import Board, Hold
from streamfilter.live.ports import LIVE_TIME_BASE, Camera, Clock
from streamfilter.live.pts import capture_time
from streamfilter.live.publisher import CAMERA_STALLED, STALL
from streamfilter.metrics import Metrics
from streamfilter.ring import FrameRing

NOBODY_WATCHES = "nobody is watching"
CAMERA_LOST = "the camera is lost"
OPENING = "the camera is being opened"
GIVE_UP = 2.0  # seconds without a frame, after which the camera is opened again
FIRST_FRAME = 5.0  # the same for the first frame: exposure and focus settle before it
OVERLOAD = "overload"
RESTART = "restart"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Captured:
    """A camera's frame, when it arrived (s), and the filter's generation that it is for."""

    frame: Frame
    arrived: float
    generation: int


class Cadence:
    """When the camera's frames come. Written by the capture thread, read by any."""

    _LONGEST = 0.3  # seconds; a pause does not make a camera a slow one

    def __init__(self, now: float, fps: float) -> None:
        self._last = now
        self._interval = 1.0 / max(fps, 1.0 / self._LONGEST)

    def arrived(self, now: float) -> None:
        self._interval += 0.1 * (min(max(now - self._last, 0.0), self._LONGEST) - self._interval)
        self._last = now

    def silent(self, now: float) -> float:
        """Seconds since the last frame."""
        return now - self._last

    @property
    def patience(self) -> float:
        """Seconds without a frame that are no stall: two frames' time of this camera, 150 ms at least."""
        return max(STALL, 2.0 * self._interval)


class CaptureStage:
    """Owns the camera. ``once`` is for one thread; what the supervisor asks may come from another."""

    def __init__(
        self,
        camera: Camera,
        open_camera: Callable[[], Camera],
        ring: FrameRing[Captured],
        board: Board,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        """``camera`` is open already; ``open_camera`` opens it again, or another one."""
        now = clock.now()
        self.cadence = Cadence(now, camera.picture.fps)
        self.begun = False  # whether a frame ever came
        self.retimed = 0  # frames whose own capture time was refused
        self.name, self.pixel_format = camera.name, camera.pixel_format
        self.reading_since: float | None = None
        self._camera: Camera | None = camera
        self._open_camera = open_camera
        self._ring, self._board, self._metrics, self._clock = ring, board, metrics, clock
        self._backoff = Backoff()
        self._opened = now
        self._heard = False
        self._previous: float | None = None
        self._size: tuple[int, int] | None = None
        self._wanted = True
        self._asked: str | None = None
        self._called = threading.Event()
        board.hold(Hold.CAMERA, OPENING)

    def want(self, wanted: bool) -> None:
        """Have the camera open, or closed while nobody watches. Returns at once."""
        if wanted != self._wanted:
            if wanted:
                self._board.hold(Hold.CAMERA, OPENING)
            self._wanted = wanted
            self._called.set()

    def reopen(self, reason: str) -> None:
        """Close the camera and open it again, or another one. Returns at once; no frame leaves meanwhile."""
        self._board.hold(Hold.CAMERA, reason)
        self._asked = reason
        self._called.set()

    @property
    def is_open(self) -> bool:
        return self._camera is not None

    def once(self, timeout: float) -> None:
        """One frame into the ring, or one attempt to open; at most about ``timeout`` seconds."""
        asked, self._asked = self._asked, None
        if asked is not None:
            self._lose(asked, failed=False)
        if not self._wanted:
            self._rest()
            self._idle(timeout)
        elif self._camera is not None:
            self._read(self._camera, timeout)
        elif self._backoff.ready(self._clock.now()):
            self._open()
        else:
            self._idle(min(timeout, self._backoff.due - self._clock.now()))

    def hang_up(self) -> None:
        """Close the camera from another thread, so that a read that hangs ends; it is opened again."""
        camera = self._camera
        if camera is not None:
            camera.close()

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _read(self, camera: Camera, timeout: float) -> None:
        self.reading_since = self._clock.now()
        try:
            frame = camera.read(timeout)
        except Exception as error:  # noqa: BLE001  # whatever a driver does, it is opened again
            _log.warning("camera: %s: %s", type(error).__name__, error)
            self._lose(CAMERA_LOST, failed=True)
            return
        finally:
            self.reading_since = None
        now = self._clock.now()
        if frame is not None:
            self._arrived(frame, now)
        elif now - max(self._opened, now - self.cadence.silent(now)) > (
            GIVE_UP if self._heard else FIRST_FRAME
        ):
            self._lose(CAMERA_STALLED, failed=True)

    def _arrived(self, frame: Frame, now: float) -> None:
        stamp = capture_time(frame.seconds, now, self._previous)
        self.retimed += stamp.replaced
        self._previous = stamp.seconds
        size = (frame.width, frame.height)
        if self._size is not None and size != self._size:
            self._board.renew("the camera's picture has changed")
        self._size = size
        timed = replace(frame, pts=round(stamp.seconds / LIVE_TIME_BASE), time_base=LIVE_TIME_BASE)
        self._ring.put(Captured(timed, now, self._board.generation))
        self._metrics.frame_in(now)
        self.cadence.arrived(now)
        self._heard = self.begun = True
        self._board.release(Hold.CAMERA)

    def _lose(self, reason: str, *, failed: bool) -> None:
        self._board.hold(Hold.CAMERA, reason)
        self._shut()
        self._metrics.restart()
        if failed:
            self._backoff = self._backoff.failed(self._clock.now())

    def _rest(self) -> None:
        if self._camera is not None:
            self._shut()
        self._board.hold(Hold.WAITING, NOBODY_WATCHES)

    def _shut(self) -> None:
        """Close the camera; what comes from the next one is for a filter that knows nothing of this one."""
        try:
            self.close()
        except Exception as error:  # noqa: BLE001  # a device that has gone may refuse even this
            _log.warning("camera, closing: %s: %s", type(error).__name__, error)
        self._board.renew("the filter is being started")
        self._metrics.drop(RESTART, self._ring.clear())

    def _open(self) -> None:
        self._board.release(Hold.WAITING)
        try:
            camera = self._open_camera()
        except Exception as error:  # noqa: BLE001  # absent, busy, or a driver's own fault: tried again
            _log.info("camera: %s", error)
            self._board.hold(Hold.CAMERA, CAMERA_LOST)
            self._backoff = self._backoff.failed(self._clock.now())
            return
        self._camera = camera
        self.name, self.pixel_format = camera.name, camera.pixel_format
        self._opened, self._heard, self._size = self._clock.now(), False, None

    def _idle(self, seconds: float) -> None:
        if seconds > 0:
            self._called.wait(seconds)
        self._called.clear()
