"""A camera of Linux: memory-mapped buffers of Video4Linux, and the driver's own time stamps.

Linux media documentation, "Video for Linux API", "Streaming I/O (Memory Mapping)".
"""

from __future__ import annotations

import errno
import mmap
import os
import select
import threading
import time
from contextlib import suppress
from typing import Any

from linuxpy.video import device as v4l2
from linuxpy.video import raw

from streamfilter.capture.av_frames import Planes
from streamfilter.capture.camera import FormatChoice
from streamfilter.capture.pixel_formats import RAW, DamagedPictureError, Layout, decoder_for
from streamfilter.capture.v4l2_device import CAPTURE, explain, fourcc_of, identify, open_node, why_not
from streamfilter.errors import SourceError
from streamfilter.frame import ColorSpec, Frame
from streamfilter.live.ports import LIVE_TIME_BASE, Picture

MAX_DAMAGED = 45  # pictures in a row; then the camera is given up
DAMAGED, FLAGGED, LOST = "damaged picture", "flagged by the driver", "lost before capture"

_BUFFERS = 4
_MMAP = v4l2.Memory.MMAP
_STAMP_AGE = 10_000_000  # µs; an older or a future stamp is not of this clock, whatever the driver says
_STAMP_AHEAD = 2_000
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


def capture_time(stamp: int | None, arrival: int, previous: int) -> int:
    """Capture time: the driver's ``stamp`` where it has one that can be true, else the time of arrival.

    All in µs of CLOCK_MONOTONIC. The result is later than ``previous``.
    """
    trusted = stamp is not None and arrival - _STAMP_AGE <= stamp <= arrival + _STAMP_AHEAD
    moment = stamp if trusted and stamp is not None and stamp > previous else arrival
    return max(moment, previous + 1)


class V4l2Camera:
    """An open, running camera (:class:`streamfilter.live.ports.Camera`).

    Raises SourceError where it cannot be opened, is busy or may not be used. ``read`` raises it too where the
    camera changes its size on the way: open it again.
    """

    def __init__(self, path: str, name: str, choice: FormatChoice) -> None:
        self._name = name
        self._reading, self._shutting = threading.Lock(), threading.Lock()
        self._closing = threading.Event()
        self._maps: list[mmap.mmap] = []
        self._dropped: dict[str, int] = {}
        self._damaged_run = 0
        self._last_time, self._last_sequence, self._last_size = 0, -1, -1
        self._descriptor = open_node(path, name)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            self._layout, self._picture = self._negotiate(path, choice)
            self._decoder = decoder_for(self._layout)
            self._start()
        except OSError as error:
            self._release()
            raise explain(error, name) from error
        except SourceError:
            self._release()
            raise
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN | select.POLLPRI)
        self._poll.register(self._wake, select.POLLIN)

    @property
    def name(self) -> str:
        return self._name

    @property
    def picture(self) -> Picture:
        return self._picture

    @property
    def pixel_format(self) -> str:
        return self._layout.pixel_format

    @property
    def dropped(self) -> dict[str, int]:
        """How many pictures did not come out of ``read``, by cause."""
        return dict(self._dropped)

    def read(self, timeout: float) -> Frame | None:
        """The next good frame; None where none came within ``timeout`` seconds, or ``close`` was called.

        Raises SourceError where the camera has gone, was closed before, changed its size, or gives damaged
        pictures only.
        """
        with self._reading:
            if self._closing.is_set():
                raise SourceError(f"The camera {self._name} has been closed. Open it again.")
            deadline = time.monotonic() + timeout
            while self._await(deadline):
                frame = self._take()
                if frame is not None:
                    return frame
            return None

    def close(self) -> None:
        """Stop and let go of the device. A ``read`` that waits in another thread returns None first."""
        with self._shutting:
            if self._closing.is_set():
                return
            self._closing.set()
            os.eventfd_write(self._wake, 1)
            with self._reading:
                self._release()

    def _negotiate(self, path: str, choice: FormatChoice) -> tuple[Layout, Picture]:
        """Ask for the format; what the driver makes of it counts."""
        reason = why_not(identify(self._descriptor))
        if reason is not None:
            raise SourceError(f"{path} ({self._name}) {reason}")
        wanted = choice.picture
        told = v4l2.set_format(self._descriptor, CAPTURE, wanted.width, wanted.height, choice.pixel_format)
        layout = _layout(told.fmt.pix)
        fps = wanted.fps
        with suppress(OSError):  # a camera of one rate need not know the call
            v4l2.set_fps(self._descriptor, CAPTURE, wanted.fps)
        with suppress(OSError, ZeroDivisionError):
            fps = float(v4l2.get_fps(self._descriptor, CAPTURE)) or fps
        return layout, Picture(layout.width, layout.height, fps)

    def _start(self) -> None:
        with suppress(OSError):  # most cameras have no such event
            v4l2.subscribe_event(self._descriptor, v4l2.EventType.SOURCE_CHANGE)
        count = v4l2.request_buffers(self._descriptor, CAPTURE, _MMAP, _BUFFERS).count
        for index in range(count):
            told = v4l2.query_buffer(self._descriptor, CAPTURE, _MMAP, index)
            self._maps.append(v4l2.mmap_from_buffer(self._descriptor, told))
            v4l2.enqueue_buffer(self._descriptor, CAPTURE, _MMAP, 0, index)
        v4l2.stream_on(self._descriptor, CAPTURE)

    def _await(self, deadline: float) -> bool:
        """Whether there may be something to take before ``deadline``. Raises SourceError."""
        remaining = max(0.0, deadline - time.monotonic())
        ready = dict(self._poll.poll(remaining * 1000))
        state = ready.get(self._descriptor, 0)
        if self._closing.is_set():
            return False
        if state & select.POLLPRI:
            self._look_at_events()
        if state & _GONE:
            raise explain(OSError(errno.ENODEV, os.strerror(errno.ENODEV)), self._name)
        # without POLLIN it was an event: _take finds nothing, and the wait goes on
        return state != 0

    def _take(self) -> Frame | None:
        try:
            buffer = v4l2.dequeue_buffer(self._descriptor, CAPTURE, _MMAP)
        except BlockingIOError:
            return None
        except OSError as error:
            raise explain(error, self._name) from error
        arrival = time.monotonic_ns() // 1000
        try:
            planes = self._planes(buffer)
        finally:
            try:
                v4l2.enqueue_buffer(self._descriptor, CAPTURE, _MMAP, 0, buffer.index)
            except OSError as error:
                raise explain(error, self._name) from error
        if planes is None:
            return None
        monotonic = buffer.flags & raw.BufferFlag.TIMESTAMP_MASK == raw.BufferFlag.TIMESTAMP_MONOTONIC
        stamp = buffer.timestamp.secs * 1_000_000 + buffer.timestamp.usecs if monotonic else None
        self._last_time = capture_time(stamp, arrival, self._last_time)
        return Frame(*planes, pts=self._last_time, time_base=LIVE_TIME_BASE, color=ColorSpec())

    def _planes(self, buffer: Any) -> Planes | None:
        """The picture of a filled buffer; None, and counted, where it is damaged."""
        self._count(LOST, _lost(self._last_sequence, buffer.sequence))
        self._last_sequence = buffer.sequence
        if buffer.flags & raw.BufferFlag.ERROR:
            self._damaged(FLAGGED, "the driver says so")
            return None
        if self._layout.pixel_format in RAW and buffer.bytesused != self._last_size:
            self._check_size()
            self._last_size = buffer.bytesused
        try:
            with memoryview(self._maps[buffer.index]) as whole, whole[: buffer.bytesused] as data:
                planes = self._decoder.decode(data)
        except DamagedPictureError as error:
            self._damaged(DAMAGED, str(error))
            return None
        self._damaged_run = 0
        return planes

    def _damaged(self, cause: str, reason: str) -> None:
        self._count(cause, 1)
        self._damaged_run += 1
        if self._damaged_run >= MAX_DAMAGED:
            raise SourceError(
                f"The camera {self._name} gave {self._damaged_run} damaged pictures in a row (the last: "
                f"{reason}). Plug it into another port, or choose another size or pixel format."
            )

    def _count(self, cause: str, number: int) -> None:
        if number:
            self._dropped[cause] = self._dropped.get(cause, 0) + number

    def _check_size(self) -> None:
        try:
            now = _layout(v4l2.get_raw_format(self._descriptor, CAPTURE).fmt.pix)
        except OSError as error:
            raise explain(error, self._name) from error
        if now != self._layout:
            raise SourceError(
                f"The camera {self._name} changed its picture from {_words(self._layout)} to {_words(now)}. "
                "Open it again."
            )

    def _look_at_events(self) -> None:
        try:
            event = v4l2.deque_event(self._descriptor)
        except OSError:
            return
        if event.type == v4l2.EventType.SOURCE_CHANGE:
            raise SourceError(f"The camera {self._name} changed its picture on the way. Open it again.")

    def _release(self) -> None:
        """Stop the stream and close everything; of a device that has gone, as far as it goes."""
        with suppress(OSError):
            v4l2.stream_off(self._descriptor, CAPTURE)
        self._maps.clear()  # unmaps; each map holds a descriptor of its own
        os.close(self._descriptor)
        os.close(self._wake)


def _layout(pix: Any) -> Layout:
    full = pix.quantization == raw.Quantization.FULL_RANGE or (
        pix.quantization == raw.Quantization.DEFAULT and pix.colorspace == raw.Colorspace.JPEG
    )
    name = fourcc_of(pix.pixelformat)
    return Layout(name, pix.width, pix.height, pix.bytesperline if name in RAW else 0, full)


def _lost(previous: int, sequence: int) -> int:
    """Pictures that the driver counted and did not deliver; 0 where it does not count."""
    gap = sequence - previous - 1
    return gap if previous >= 0 and 0 < gap < 10_000 else 0


def _words(layout: Layout) -> str:
    return f"{layout.width}x{layout.height} {layout.pixel_format}"
