"""Cameras of Windows (DirectShow) and macOS (AVFoundation) through FFmpeg's devices.

Written from FFmpeg's documentation and tested with its ``lavfi`` device in place of a camera; it has not run
on a camera of these systems. Capture time is the time of arrival: the devices' own clocks cannot be compared
with this one. Formats are not listed beforehand: the device gets the wanted size and rate, and says so if it
has none.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field

import av
from av.container import InputContainer

from streamfilter.capture.av_frames import planes_of, tags_of
from streamfilter.capture.camera import CameraSettings
from streamfilter.capture.colorimetry import FULL
from streamfilter.capture.pixel_formats import to_limited
from streamfilter.errors import SourceError
from streamfilter.frame import ColorSpec, Frame
from streamfilter.live.ports import LIVE_TIME_BASE, Picture

_FFMPEG_NAMES = {"MJPG": "mjpeg", "YUYV": "yuyv422", "UYVY": "uyvy422", "NV12": "nv12", "YU12": "yuv420p"}
_FOURCC = {ffmpeg: fourcc for fourcc, ffmpeg in _FFMPEG_NAMES.items()}
_OPEN_SECONDS, _READ_SECONDS, _JOIN_SECONDS = 10.0, 5.0, 2.0
_PAUSE = 0.002  # seconds between two looks at a device that has nothing yet
MAX_DAMAGED = 45


@dataclass(frozen=True, slots=True)
class DeviceInput:
    """What FFmpeg is asked to open: ``url`` in the input format ``kind``, with its options."""

    kind: str
    url: str
    options: dict[str, str] = field(default_factory=dict)


def device_kind() -> str:
    """FFmpeg's name of this system's cameras. Raises SourceError where there is none."""
    kind = {"win32": "dshow", "darwin": "avfoundation"}.get(sys.platform)
    if kind is None or kind not in av.formats_available:
        raise SourceError("Cameras of this system cannot be read: physio-cam knows Linux, Windows and macOS.")
    return kind


def list_devices() -> list[tuple[str, str]]:
    """Name and path of every camera. Raises SourceError."""
    kind = device_kind()
    try:
        found = av.enumerate_input_devices(kind)
    except (av.FFmpegError, ValueError) as error:
        raise SourceError(
            f"The cameras cannot be listed: {error}. Allow this program to use them."
        ) from error
    return [(each.description, each.name) for each in found if "video" in each.media_types]


def device_input(path: str, settings: CameraSettings) -> DeviceInput:
    """The input for a listed camera with the wanted size and rate."""
    kind = device_kind()
    options = {
        "video_size": f"{settings.width}x{settings.height}",
        "framerate": f"{settings.fps:g}",
        "rtbufsize": "64M",
    }
    if settings.pixel_format is not None:
        name = _FFMPEG_NAMES.get(settings.pixel_format, settings.pixel_format)
        options["vcodec" if name == "mjpeg" else "pixel_format"] = name
    if kind == "avfoundation":
        del options["rtbufsize"]
        return DeviceInput(kind, f"{path}:none", options)
    return DeviceInput(kind, f"video={path}", options)


class AvCamera:
    """An open, running camera (:class:`streamfilter.live.ports.Camera`), read by a thread of its own.

    FFmpeg's devices cannot be woken from outside, so that thread alone touches them, keeps the newest frame
    only, and closes them. Raises SourceError where the device cannot be opened.
    """

    def __init__(self, source: DeviceInput, name: str) -> None:
        self._name = name
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._error: SourceError | None = None
        self._dropped: dict[str, int] = {}
        self._closing = threading.Event()
        try:
            container = av.open(
                source.url, format=source.kind, options=source.options, timeout=(_OPEN_SECONDS, _READ_SECONDS)
            )
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(
                f"The camera {name} cannot be opened: {error}. Close other programs that use it, allow this "
                "program to use cameras, or choose another size or rate."
            ) from error
        if not container.streams.video:
            container.close()
            raise SourceError(f"{name} gives no video. Choose another camera.")
        stream = container.streams.video[0]
        self._picture = Picture(
            stream.width, stream.height, float(stream.average_rate or stream.guessed_rate or 0)
        )
        self._format = _FOURCC.get(
            "mjpeg" if stream.codec_context.name == "mjpeg" else str(stream.pix_fmt), str(stream.pix_fmt)
        )
        self._thread = threading.Thread(
            target=self._run, args=(container,), name="camera-device", daemon=True
        )
        self._thread.start()

    @property
    def name(self) -> str:
        return self._name

    @property
    def picture(self) -> Picture:
        return self._picture

    @property
    def pixel_format(self) -> str:
        return self._format

    @property
    def dropped(self) -> dict[str, int]:
        """How many pictures did not come out of ``read``, by cause."""
        with self._changed:
            return dict(self._dropped)

    def read(self, timeout: float) -> Frame | None:
        """The newest frame not yet read; None where none came within ``timeout`` seconds, or on ``close``.

        Raises SourceError where the camera has gone, was closed before, or gives damaged pictures only.
        """
        if self._closing.is_set():
            raise SourceError(f"The camera {self._name} has been closed. Open it again.")
        with self._changed:
            self._changed.wait_for(self._something, timeout)
            frame, self._newest = self._newest, None
            if frame is None and self._error is not None and not self._closing.is_set():
                raise self._error
        return frame

    def close(self) -> None:
        """Stop and let go of the device; a device that hangs is left to its thread after two seconds."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(_JOIN_SECONDS)

    def _something(self) -> bool:
        return self._newest is not None or self._error is not None or self._closing.is_set()

    def _run(self, container: InputContainer) -> None:
        try:
            with container:
                self._read_all(container)
            error = SourceError(f"The camera {self._name} has stopped. Plug it in again.")
        except (av.FFmpegError, OSError, ValueError) as problem:
            error = SourceError(f"The camera {self._name} has gone ({problem}). Plug it in again.")
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _read_all(self, container: InputContainer) -> None:
        stream, damaged = container.streams.video[0], 0
        while not self._closing.is_set():
            try:
                packet = next(container.demux(stream))
            except BlockingIOError:  # nothing yet
                time.sleep(_PAUSE)
                continue
            except StopIteration:
                return
            arrival = time.monotonic_ns() // 1000
            try:
                pictures = packet.decode()
            except av.InvalidDataError:
                damaged += 1
                self._drop("damaged picture")
                if damaged >= MAX_DAMAGED:
                    raise
                continue
            damaged = 0
            for picture in pictures:
                self._offer(picture, arrival)
            if packet.size == 0:  # the flush packet: the device has ended
                return

    def _offer(self, picture: av.VideoFrame, arrival: int) -> None:
        full = tags_of(picture).video_range == FULL
        planes = planes_of(picture, ColorSpec(full_range=full))
        frame = Frame(
            *(to_limited(planes) if full else planes),
            pts=arrival,
            time_base=LIVE_TIME_BASE,
            color=ColorSpec(),
        )
        with self._changed:
            if self._newest is not None:
                self._drop("not read in time")
            self._newest = frame
            self._changed.notify_all()

    def _drop(self, cause: str) -> None:
        with self._changed:
            self._dropped[cause] = self._dropped.get(cause, 0) + 1
