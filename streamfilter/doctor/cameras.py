"""Is there a camera, does it give the wanted picture, may this user open it?"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from streamfilter.capture.camera import CameraSettings, choose_format
from streamfilter.capture.cameras import CameraInfo, pick
from streamfilter.doctor.check import Check, fail, ok, warn
from streamfilter.live.ports import Picture

_NO_CAMERA = {
    "linux": (
        "plug the camera in, open its shutter, and see whether the system finds it:",
        "  ls -l /dev/video*",
        "in a container or a virtual machine: pass the device on to it",
    ),
    "darwin": (
        "plug the camera in",
        "allow it: System Settings, Privacy & Security, Camera, and there this terminal",
    ),
    "win32": (
        "plug the camera in, open its shutter",
        "allow it: Settings, Privacy & security, Camera, Let desktop apps access your camera",
    ),
}
_GROUP = 'sudo usermod -aG video "$USER"'


def check_camera(cameras: Sequence[CameraInfo], wanted: CameraSettings, system: str = sys.platform) -> Check:
    """Whether the camera that the settings name is there, and what it would be asked for.

    Raises SourceError, UsageError where it is not, or cannot be used.
    """
    if not any(not camera.is_loopback for camera in cameras) and wanted.device is None:
        virtual = f" ({len(cameras)} virtual ones are)" if cameras else ""
        return fail("camera", f"no camera is there{virtual}", *_NO_CAMERA.get(system, _NO_CAMERA["linux"]))
    camera = pick(cameras, wanted.device)
    if not camera.formats:  # not told on this system
        return ok("camera", str(camera))
    choice = choose_format(camera.formats, wanted)
    said = f"{camera}: {choice.picture}, {choice.pixel_format}"
    got, asked = choice.picture, Picture(wanted.width, wanted.height, wanted.fps)
    if (got.width, got.height) != (asked.width, asked.height) or got.fps < 0.99 * asked.fps:
        return warn(
            "camera",
            f"{said}; it does not give the wanted {asked}",
            "to make this the setting:",
            f"  physio-cam --size {got.width}x{got.height} --fps {got.fps:g}",
        )
    return ok("camera", said)


def check_permission(nodes: Sequence[Path], groups: Sequence[str], members_of_video: bool) -> Check:
    """Whether this user may open the video devices ``nodes`` (Linux).

    ``groups``: those of this session; ``members_of_video``: whether the system's list has the user in video.
    """
    shut = [node for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
    in_group = "video" in groups
    if not nodes:
        return ok("permission", "no video device is there to be opened")
    if not shut:
        return ok("permission", f"{_counted(nodes)} may be opened" + (" (group video)" if in_group else ""))
    said = f"{', '.join(map(str, shut))} may not be opened"
    if members_of_video and not in_group:
        return fail(
            "permission", f"{said}: this session does not know of your group video yet", "log out and in"
        )
    if in_group:
        return fail("permission", f"{said}, though you are in the group video", f"  ls -l {shut[0]}")
    return fail("permission", f"{said}: you are not in the group video", f"  {_GROUP}", "then log out and in")


def video_nodes(dev: Path = Path("/dev")) -> list[Path]:
    """The video devices, by number."""
    found = [path for path in dev.glob("video*") if path.name.removeprefix("video").isdecimal()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("video")))


def session_groups() -> list[str]:
    """Names of the groups of this process (Linux and macOS)."""
    import grp

    return [entry.gr_name for entry in grp.getgrall() if entry.gr_gid in {*os.getgroups(), os.getegid()}]


def listed_in_video() -> bool:
    """Whether the system's list of groups has this user in video, even if this session began before."""
    import grp
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name in grp.getgrnam("video").gr_mem
    except KeyError:  # no such group, or a user without a name
        return False


def _counted(nodes: Sequence[Path]) -> str:
    return str(nodes[0]) if len(nodes) == 1 else f"{len(nodes)} video devices"
