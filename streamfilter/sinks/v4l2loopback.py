"""v4l2loopback on Linux: which virtual cameras there are, who has them, and its quirks on closing.

What a device with ``exclusive_caps=1`` announces (measured on 0.12.7): Video Output while it is free, Video
Capture while it is written to, and neither once a writer that used ``write()`` has closed it: then it cannot
be opened for output again (v4l2loopback issue 442, pyvirtualcam issue 61). A descriptor on which
STREAMON(OUTPUT) was called makes the driver count that writer out on its close. Newer drivers (0.15) refuse
the call with EINVAL, and do not need it.

Linux only: import this module there and nowhere else.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

from streamfilter.errors import SinkError

SYSFS = Path("/sys/class/video4linux")
DEV = Path("/dev")
_ATTRIBUTE = "max_openers"  # v4l2loopback's own, in the sysfs folder of each of its devices
_PREFERRED_LABEL = "physio"
_GROUP_ADVICE = 'run "sudo usermod -a -G video $USER" (the group of video devices), then log out and in again'


class DeviceState(StrEnum):
    """What can be done with a device now."""

    FREE = "free"
    BUSY = "busy"  # another program writes to it, or it has all the openers that it takes
    STUCK = "stuck"  # its last writer has gone and the driver did not notice; ``repair`` helps
    DENIED = "denied"  # this user may not open it


@dataclass(frozen=True, slots=True)
class LoopbackDevice:
    """A v4l2loopback device. ``exclusive`` is False where it announces capture and output at once, so that
    browsers do not list it (``exclusive_caps=0``, or a program still reads it from the last time), and None
    where it could not be opened."""

    path: Path
    label: str
    state: DeviceState
    exclusive: bool | None

    @property
    def number(self) -> int:
        return int(self.path.name.removeprefix("video"))

    def __str__(self) -> str:
        return f"{self.label} ({self.path})"


def loopback_devices(sysfs: Path = SYSFS, dev: Path = DEV) -> list[LoopbackDevice]:
    """Every v4l2loopback device, by number. Opens each one for a moment, for reading what it announces."""
    devices = []
    for folder in sysfs.glob("video*"):
        path = dev / folder.name
        if (folder / _ATTRIBUTE).exists() and path.exists():
            state, exclusive = _announced(path)
            devices.append(LoopbackDevice(path, _label(folder), state, exclusive))
    return sorted(devices, key=lambda device: device.number)


def choose_device(devices: Sequence[LoopbackDevice], wanted: str | None) -> LoopbackDevice:
    """The device that ``wanted`` names: a path, a number, or part of a label (any case; whole labels first).

    None: the first that can be written to, one labelled for this program before the others.
    Raises SinkError where no device fits.
    """
    if wanted is None:
        usable = [device for device in devices if device.state in (DeviceState.FREE, DeviceState.STUCK)]
        if not usable:
            raise SinkError(_none_usable(devices))
        return min(usable, key=lambda device: (not _labelled(device, _PREFERRED_LABEL), device.number))
    if wanted.startswith("/") or wanted.isdecimal():
        path = DEV / f"video{int(wanted)}" if wanted.isdecimal() else Path(os.path.realpath(wanted))
        found = [device for device in devices if device.path == path]
    else:
        found = [device for device in devices if device.label.casefold() == wanted.casefold()]
        found = found or [device for device in devices if _labelled(device, wanted)]
    if not found:
        there = ", ".join(map(str, devices)) or "none"
        raise SinkError(f"no v4l2loopback device is {wanted!r} (there: {there}); {setup_advice()}")
    return min(found, key=lambda device: (device.state is DeviceState.BUSY, device.number))


def check_usable(device: LoopbackDevice) -> None:
    """Raises SinkError, with what to do, where ``device`` cannot be written to."""
    if device.state is DeviceState.DENIED:
        raise SinkError(f"no permission to open the virtual camera {device}; {_GROUP_ADVICE}")
    if device.state is DeviceState.BUSY:
        raise SinkError(busy_text(str(device)))


def busy_text(name: str) -> str:
    """What is said where another program has the virtual camera."""
    return (
        f"the virtual camera {name} is in use: another program (another physio-cam, OBS) writes to it; "
        "stop that one, or name another virtual camera"
    )


def setup_advice() -> str:
    """How to get a virtual camera on Linux."""
    from streamfilter.doctor.loopback import MODPROBE

    return f"make one with: {MODPROBE}  (if the module is missing, install v4l2loopback-dkms first)"


def repair(path: Path) -> None:
    """Frees a stuck device: the driver counts the writer that has gone out when this descriptor closes.

    Only for a device in the state STUCK: on one that is written to, it would admit a second writer.
    Raises OSError where the device cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        _stream_on(descriptor)
    finally:
        os.close(descriptor)


class Hold:
    """A second descriptor of a device that is being written to; close it after the writer.

    It keeps the device from getting stuck, tells what the device was really set to, and whether it is still
    there. Raises OSError where the device cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def stream_on(self) -> None:
        """To be called once the writer has set its format."""
        _stream_on(self.descriptor)

    def size(self) -> tuple[int, int]:
        """Width and height that readers get. Raises OSError."""
        from linuxpy.video import raw

        form = raw.v4l2_format()
        form.type = raw.BufType.VIDEO_OUTPUT
        self._call(raw.IOC.G_FMT.value, form)
        return int(form.fmt.pix.width), int(form.fmt.pix.height)

    def set_rate(self, fps: float) -> None:
        """Frames a second that readers are told. A device that a reader holds may keep its own."""
        from linuxpy.video import raw

        interval = 1 / Fraction(fps).limit_denominator(1001)
        settings = raw.v4l2_streamparm()
        settings.type = raw.BufType.VIDEO_OUTPUT
        settings.parm.output.timeperframe.numerator = interval.numerator
        settings.parm.output.timeperframe.denominator = interval.denominator
        self._call(raw.IOC.S_PARM.value, settings)

    def check(self) -> None:
        """Raises OSError (ENODEV) where the device has gone."""
        from linuxpy.video import raw

        self._call(raw.IOC.QUERYCAP.value, raw.v4l2_capability())

    def close(self) -> None:
        """Closes it; a second time does nothing."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _call(self, request: int, structure: ctypes.Structure) -> None:
        if self.descriptor < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        fcntl.ioctl(self.descriptor, request, structure)


def _stream_on(descriptor: int) -> None:
    from linuxpy.video import raw

    try:
        fcntl.ioctl(descriptor, raw.IOC.STREAMON.value, ctypes.c_int(raw.BufType.VIDEO_OUTPUT))
    except OSError as error:
        # 0.12: on a stuck device, which the call has mended by then. Newer drivers: always.
        if error.errno != errno.EINVAL:
            raise


def _announced(path: Path) -> tuple[DeviceState, bool | None]:
    from linuxpy.video import raw

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        denied = error.errno in (errno.EACCES, errno.EPERM)
        return (DeviceState.DENIED if denied else DeviceState.BUSY), None
    try:
        capability = raw.v4l2_capability()
        fcntl.ioctl(descriptor, raw.IOC.QUERYCAP.value, capability)
    except OSError:
        return DeviceState.BUSY, None
    finally:
        os.close(descriptor)
    announced = raw.Capability(capability.device_caps)
    capture = raw.Capability.VIDEO_CAPTURE in announced
    if raw.Capability.VIDEO_OUTPUT in announced:
        return DeviceState.FREE, not capture
    return (DeviceState.BUSY if capture else DeviceState.STUCK), True


def _label(folder: Path) -> str:
    return (folder / "name").read_text(encoding="utf-8", errors="replace").strip()


def _labelled(device: LoopbackDevice, part: str) -> bool:
    return part.casefold() in device.label.casefold()


def _none_usable(devices: Sequence[LoopbackDevice]) -> str:
    if not devices:
        return f"there is no virtual camera: v4l2loopback is not loaded; {setup_advice()}"
    if all(device.state is DeviceState.DENIED for device in devices):
        return f"no permission to open any virtual camera; {_GROUP_ADVICE}"
    return busy_text(" and ".join(map(str, devices)))
