"""Is there a virtual camera, and will other programs find it?"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streamfilter.doctor.check import Check, fail, ok, warn
from streamfilter.doctor.loopback import MODPROBE, MODULE
from streamfilter.sinks.virtual_camera import OutputSettings, open_output

if TYPE_CHECKING:
    from streamfilter.sinks.v4l2loopback import LoopbackDevice

NAME = "virtual camera"
_KEEP = "to have it at every start of the machine:"
_INSTALL = "  physio-cam install"
_REMOVE = f"  sudo modprobe -r {MODULE}"
_PACKAGE = {
    "debian": "  sudo apt install v4l2loopback-dkms",
    "ubuntu": "  sudo apt install v4l2loopback-dkms",
    "fedora": "  sudo dnf install akmod-v4l2loopback",  # of RPM Fusion
    "arch": "  sudo pacman -S v4l2loopback-dkms",
}


def check_virtual_camera(settings: OutputSettings) -> Check:
    """The check for this system. Raises SinkError where the camera that the settings name is not there."""
    if not sys.platform.startswith("linux"):
        return check_opens(settings)
    from streamfilter.sinks.v4l2loopback import loopback_devices

    loaded = Path("/sys/module", MODULE).exists()
    modules = Path("/lib/modules", platform.release())
    return check_loopback(loopback_devices(), settings.device, loaded, is_installed(modules), distribution())


def check_opens(settings: OutputSettings) -> Check:
    """Windows and macOS: opens the virtual camera for a moment. Raises SinkError, which names OBS's steps."""
    output = open_output(settings)
    try:
        return ok(NAME, f"{output.name} opens")
    finally:
        output.close()


def check_loopback(
    devices: Sequence[LoopbackDevice],
    wanted: str | None,
    loaded: bool,
    installed: bool,
    distributions: Sequence[str],
) -> Check:
    """Linux. ``loaded``, ``installed``: the module. ``distributions``: this one and those that it is like."""
    from streamfilter.sinks.v4l2loopback import DeviceState, choose_device

    if not devices:
        return _missing(loaded, installed, distributions)
    if wanted is None and all(device.state is DeviceState.BUSY for device in devices):
        named = " and ".join(map(str, devices))
        return warn(
            NAME, f"{named}: a program writes to it", "well if that is physio-cam; else stop that program"
        )
    device = choose_device(devices, wanted)
    match device.state:
        case DeviceState.DENIED:
            return fail(NAME, f"{device} may not be opened by this user", "see permission above")
        case DeviceState.BUSY:
            return warn(NAME, f"{device}: a program writes to it", "well if that is physio-cam; else stop it")
        case DeviceState.STUCK:
            return ok(NAME, f"{device}, stuck by its last writer: physio-cam frees it when it starts")
        case DeviceState.FREE:
            pass
    if not device.exclusive:
        return warn(
            NAME,
            f"{device} is there, but browsers do not list it: exclusive_caps is not set",
            "close every program that uses it, then load it anew:",
            _REMOVE,
            f"  {MODPROBE}",
            _KEEP,
            _INSTALL,
        )
    return ok(NAME, f"{device}, free, exclusive_caps set: browsers list it")


def is_installed(modules: Path) -> bool:
    """Whether the kernel whose folder of modules this is has v4l2loopback, built in or to load."""
    for name in ("modules.dep", "modules.builtin"):
        try:
            if f"/{MODULE}.ko" in (modules / name).read_text(encoding="utf-8", errors="replace"):
                return True
        except OSError:  # no list: the search below has the last word
            continue
    return any(modules.glob(f"**/{MODULE}.ko*"))


def distribution() -> list[str]:
    """This distribution's id and those that it is like, by os-release(5); empty where that is silent."""
    try:
        told = platform.freedesktop_os_release()
    except OSError:
        return []
    return [told.get("ID", ""), *told.get("ID_LIKE", "").split()]


def _missing(loaded: bool, installed: bool, distributions: Sequence[str]) -> Check:
    if loaded:
        return fail(NAME, f"{MODULE} is loaded without a device", "load it anew:", _REMOVE, f"  {MODPROBE}")
    if installed:
        return fail(
            NAME,
            f"{MODULE} is installed, but not loaded",
            f"  {MODPROBE}",
            "if its key is rejected, Secure Boot is on and the module's key has to be enrolled:",
            "  sudo mokutil --import /var/lib/dkms/mok.pub",
            _KEEP,
            _INSTALL,
        )
    package = next((_PACKAGE[name] for name in distributions if name in _PACKAGE), None)
    return fail(
        NAME,
        f"{MODULE} is not installed for this kernel ({platform.release()})",
        package or f"install {MODULE} from your distribution's packages, then",
        f"  {MODPROBE}",
        _KEEP,
        _INSTALL,
    )
