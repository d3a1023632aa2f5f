"""The virtual camera: v4l2loopback on Linux, OBS or UnityCapture on Windows, OBS on macOS, by pyvirtualcam.

pyvirtualcam takes I420, which is what a frame's planes are: they are copied once, side by side, and nothing
is converted. It does not pace here (its ``sleep_until_next_frame`` is not used): whoever writes does.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from streamfilter.errors import SinkError
from streamfilter.frame import Frame, Plane
from streamfilter.live.ports import Picture, VideoOutput
from streamfilter.sinks.watchers import Watchers

if TYPE_CHECKING:
    from streamfilter.sinks.v4l2loopback import Hold

OBS_WINDOWS = (
    "install OBS Studio (28 or newer) from https://obsproject.com, which brings its virtual camera along; if "
    "it is there, close OBS (one program at a time can feed that camera) and start physio-cam again"
)
OBS_MACOS = (
    "install OBS Studio (30 or newer) from https://obsproject.com, press Start Virtual Camera in it once, "
    "allow the camera extension in System Settings, press Stop Virtual Camera, close OBS, and start "
    "physio-cam again"
)


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """``device``: None is the first free one. On Linux a path, a number, or part of the label; elsewhere the
    camera's name as programs list it. ``width`` and ``height`` in pixels, even; ``fps`` is what readers are
    told."""

    device: str | None = None
    width: int = 1280
    height: int = 720
    fps: float = 30.0


class I420Buffer:
    """The three planes of a picture in one piece of memory, row after row, Y then U then V."""

    def __init__(self, width: int, height: int) -> None:
        half_width, half_height = (width + 1) // 2, (height + 1) // 2
        luma, chroma = width * height, half_width * half_height
        self.data: npt.NDArray[np.uint8] = np.zeros(luma + 2 * chroma, np.uint8)
        self.y: Plane = self.data[:luma].reshape(height, width)
        self.u: Plane = self.data[luma : luma + chroma].reshape(half_height, half_width)
        self.v: Plane = self.data[luma + chroma :].reshape(half_height, half_width)

    def fill(self, frame: Frame) -> None:
        """Copies the frame's planes in; it has to have this buffer's size."""
        self.y[:] = frame.y
        self.u[:] = frame.u
        self.v[:] = frame.v


class VirtualCamera:
    """An open virtual camera, see ``VideoOutput``; made by ``open_output``.

    ``watchers`` may be called from another thread than the rest. ``camera`` is pyvirtualcam's; ``hold`` and
    ``watchers`` are given on Linux only.
    """

    def __init__(
        self, name: str, picture: Picture, camera: Any, hold: Hold | None, watchers: Watchers | None
    ) -> None:
        self._name = name
        self._picture = picture
        self._camera = camera
        self._hold = hold
        self._watchers = watchers
        self._closing = threading.Lock()
        self._buffer = I420Buffer(picture.width, picture.height)

    @property
    def name(self) -> str:
        return self._name

    @property
    def picture(self) -> Picture:
        return self._picture

    def write(self, frame: Frame) -> None:
        """Shows the frame now. Raises SinkError: not the camera's size, closed, or the device has gone."""
        if self._camera is None:
            raise SinkError(f"the virtual camera {self._name} is closed; open it again")
        if (frame.width, frame.height) != (self._picture.width, self._picture.height):
            raise SinkError(
                f"a frame of {frame.width}x{frame.height} for the virtual camera {self._name}, which was "
                f"opened with {self._picture}; open it again with the new size"
            )
        self._buffer.fill(frame)
        try:
            self._camera.send(self._buffer.data)
            if self._hold is not None:
                # pyvirtualcam prints a failed write and goes on; this call fails where that one did.
                self._hold.check()
        except (OSError, RuntimeError, ValueError) as error:
            raise SinkError(self._gone(error)) from error

    def watchers(self) -> int | None:
        """How many programs read it, see ``Watchers``. Raises SinkError where the device has gone."""
        with self._closing:
            if self._watchers is None or self._camera is None:
                return None
            try:
                return self._watchers.count()
            except OSError as error:
                raise SinkError(self._gone(error)) from error

    def close(self) -> None:
        """Closes it; a second time does nothing."""
        with self._closing:  # not under a count: the descriptor's number may be another file's a moment later
            camera, self._camera = self._camera, None
            try:
                if camera is not None:
                    camera.close()
            finally:
                if self._hold is not None:
                    self._hold.close()  # after the camera, or the device gets stuck

    def _gone(self, error: Exception) -> str:
        return f"the virtual camera {self._name} has gone ({error}); open it again, or see physio-cam doctor"


def open_output(settings: OutputSettings) -> VideoOutput:
    """Opens the virtual camera. Readers can open it from the first frame on (v4l2loopback 0.12: from now).

    Raises SinkError with what to do: no virtual camera on this machine, none of that name, in use, no
    permission, a size that it does not take (odd, or another than what its readers still have).
    """
    if settings.width < 2 or settings.height < 2 or settings.width % 2 or settings.height % 2:
        raise SinkError(
            f"a virtual camera cannot be {settings.width}x{settings.height}: width and height have to be "
            "even (many programs do not list odd sizes, and colour has half the size); choose an even size"
        )
    if sys.platform == "linux":
        return _open_loopback(settings)
    name = settings.device or "virtual camera"
    try:
        camera = _pyvirtualcam_camera(settings, settings.device)
    except RuntimeError as error:
        advice = OBS_MACOS if sys.platform == "darwin" else OBS_WINDOWS
        raise SinkError(f"the {name} cannot be opened ({error}); {advice}") from error
    return VirtualCamera(camera.device, _picture(settings), camera, None, None)


def _open_loopback(settings: OutputSettings) -> VirtualCamera:
    from streamfilter.sinks.v4l2loopback import (
        DeviceState,
        Hold,
        check_usable,
        choose_device,
        loopback_devices,
        repair,
    )

    device = choose_device(loopback_devices(), settings.device)
    check_usable(device)
    name = str(device)
    camera: Any = None
    hold: Hold | None = None
    try:
        if device.state is DeviceState.STUCK:
            repair(device.path)
        camera = _pyvirtualcam_camera(settings, str(device.path))
        hold = Hold(device.path)
        hold.stream_on()
        _check_size(name, settings, hold.size())
        hold.set_rate(settings.fps)
        return VirtualCamera(name, _picture(settings), camera, hold, Watchers(device.path, hold.descriptor))
    except (OSError, RuntimeError, SinkError) as error:
        if camera is not None:
            camera.close()
        if hold is not None:
            hold.close()
        if isinstance(error, SinkError):
            raise
        raise SinkError(_open_text(name, error)) from error


def _pyvirtualcam_camera(settings: OutputSettings, device: str | None) -> Any:
    """Raises RuntimeError where no backend opens the device."""
    try:
        import pyvirtualcam
    except ImportError as error:
        raise SinkError(f'pyvirtualcam cannot be loaded ({error}); run "pip install pyvirtualcam"') from error
    return pyvirtualcam.Camera(
        settings.width, settings.height, settings.fps, fmt=pyvirtualcam.PixelFormat.I420, device=device
    )


def _check_size(name: str, settings: OutputSettings, size: tuple[int, int]) -> None:
    """The driver keeps the size that a reader still has, and says nothing."""
    if size != (settings.width, settings.height):
        raise SinkError(
            f"the virtual camera {name} stays at {size[0]}x{size[1]}, not "
            f"{settings.width}x{settings.height}, because a program still has it open; stop the camera in "
            "that program, or use that size"
        )


def _open_text(name: str, error: Exception) -> str:
    from streamfilter.sinks.v4l2loopback import busy_text

    text = str(error)
    if any(sign in text for sign in ("busy", "already in use", "not a video output device")):
        return busy_text(name)
    return f"the virtual camera {name} cannot be opened ({text}); see physio-cam doctor"


def _picture(settings: OutputSettings) -> Picture:
    return Picture(settings.width, settings.height, settings.fps)
