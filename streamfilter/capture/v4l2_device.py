"""Video4Linux nodes: opening, what they are, what they offer, and their errors in plain words.

Linux media documentation, "Video for Linux API"; structures and calls by linuxpy.
"""

from __future__ import annotations

import errno
import math
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from linuxpy.video import device as v4l2
from linuxpy.video import raw

from streamfilter.capture.camera import CameraFormat
from streamfilter.capture.cameras import CameraInfo
from streamfilter.capture.pixel_formats import KNOWN
from streamfilter.errors import SourceError

CAPTURE = v4l2.BufferType.VIDEO_CAPTURE
_SYSFS = Path("/sys/class/video4linux")
_LOOPBACK = "v4l2 loopback"  # the driver's name

# Offered where a driver takes any size or rate of a range.
_SIZES = (
    (320, 240), (640, 360), (640, 480), (800, 600), (960, 540), (1280, 720), (1280, 960), (1920, 1080),
    (2560, 1440), (3840, 2160),
)  # fmt: skip
_RATES = (5.0, 10.0, 15.0, 20.0, 24.0, 25.0, 30.0, 50.0, 60.0)

GONE = (errno.ENODEV, errno.ENXIO, errno.EIO, errno.EPIPE)
_SAID = {
    errno.ENOENT: "is not there. Plug it in, or choose one that `physio-cam devices` lists.",
    errno.EACCES: "may not be opened by this user. Add yourself to the group video (sudo usermod -aG video "
    '"$USER"), log out and in again.',
    errno.EPERM: "may not be used by this user, or is switched off by a privacy setting.",
    errno.EBUSY: "is in use by another program. Close that program, or choose another camera.",
    errno.EINVAL: "refuses what it was asked for. Choose another size, rate or pixel format.",
    errno.ENOSPC: "finds no room on its USB bus. Unplug other cameras, or choose a smaller size or MJPG.",
    errno.ENOMEM: "has no memory left for its pictures. Choose a smaller size.",
    errno.ENOTTY: "is not a video device. Choose one that `physio-cam devices` lists.",
}


class NoPicturesError(SourceError):
    """The node is no camera, or none at present."""


@dataclass(frozen=True, slots=True)
class Node:
    """What a node says of itself."""

    name: str
    driver: str
    capture: bool
    streaming: bool
    multi_planar: bool

    @property
    def is_loopback(self) -> bool:
        return self.driver == _LOOPBACK


def explain(error: OSError, name: str) -> SourceError:
    """The error of a call on the camera ``name``, with what to do."""
    if error.errno in GONE:
        return SourceError(f"The camera {name} has gone ({error.strerror}). Plug it in again.")
    said = _SAID.get(error.errno or 0, f"does not work ({error.strerror}). Unplug it and plug it in again.")
    return SourceError(f"The camera {name} {said}")


def open_node(path: str, name: str) -> int:
    """Descriptor of the node, which does not block. Raises SourceError."""
    try:
        if not stat.S_ISCHR(Path(path).stat().st_mode):
            raise SourceError(f"{path} is not a camera. Choose one that `physio-cam devices` lists.")
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise explain(error, name) from error


def identify(descriptor: int) -> Node:
    """Name and abilities. Raises OSError."""
    told = v4l2.read_capabilities(descriptor)
    flags = told.device_caps if told.capabilities & raw.Capability.DEVICE_CAPS else told.capabilities
    return Node(
        name=told.card.decode(errors="replace"),
        driver=told.driver.decode(errors="replace"),
        capture=bool(flags & raw.Capability.VIDEO_CAPTURE),
        streaming=bool(flags & raw.Capability.STREAMING),
        multi_planar=bool(flags & raw.Capability.VIDEO_CAPTURE_MPLANE),
    )


def why_not(node: Node) -> str | None:
    """Why no pictures can be had from this node; None where they can."""
    if node.capture and node.streaming:
        return None
    if node.multi_planar:
        return "gives its pictures in several planes, which cannot be read. Choose another camera."
    if node.is_loopback and not node.capture:
        return "is a virtual camera that no program feeds. Start the program, or choose another camera."
    return (
        "gives no video (it may be the second node of a camera). Choose one that `physio-cam devices` lists."
    )


def formats_of(descriptor: int) -> tuple[CameraFormat, ...]:
    """Every readable format with its sizes and rates, the unreadable ones by name only. Raises OSError."""
    wanted = raw.v4l2_fmtdesc()
    wanted.type = CAPTURE
    codes = [int(each.pixelformat) for each in v4l2.iter_read(descriptor, raw.IOC.ENUM_FMT, wanted)]
    found: list[CameraFormat] = []
    for code in codes:
        fourcc = fourcc_of(code)
        if fourcc not in KNOWN:
            found.append(CameraFormat(fourcc, 0, 0))
            continue
        sizes = dict.fromkeys(_sizes(descriptor, code))
        found.extend(
            CameraFormat(fourcc, width, height, _rates(descriptor, code, width, height))
            for width, height in sizes
        )
    return tuple(found)


def _sizes(descriptor: int, code: int) -> Iterator[tuple[int, int]]:
    listed = False
    for each in v4l2.iter_read_frame_sizes(descriptor, code):
        listed, info = True, each.info
        if each.type == raw.Frmsizetypes.DISCRETE:
            yield int(info.width), int(info.height)
            continue
        for width, height in _SIZES:
            if info.min_width <= width <= info.max_width and info.min_height <= height <= info.max_height:
                yield width, height
    if not listed:  # an old driver: what it is set to is all that it tells
        now = v4l2.get_raw_format(descriptor, CAPTURE).fmt.pix
        yield int(now.width), int(now.height)


def _rates(descriptor: int, code: int, width: int, height: int) -> tuple[float, ...]:
    rates: set[float] = set()
    for each in v4l2.iter_read_frame_intervals(descriptor, code, width, height):
        # linuxpy gives rates; of a range of intervals, the shortest is the highest rate
        low, high = sorted((float(each.min_fps), float(each.max_fps)))
        rates.update(rate for rate in _RATES if low < rate < high)
        rates.update(rate for rate in (low, high) if rate > 0 and math.isfinite(rate))
    return tuple(sorted(rates))


def fourcc_of(code: int) -> str:
    """The four characters of a pixel format's number."""
    return code.to_bytes(4, "little").decode("latin-1").rstrip()


def list_nodes(by_id: Path) -> list[CameraInfo]:
    """The nodes that give pictures; ``by_id`` is udev's folder of lasting names."""
    found: list[CameraInfo] = []
    for path in sorted(Path("/dev").glob("video*"), key=_number):
        if re.fullmatch(r"video\d+", path.name) is None:
            continue
        try:
            info = node_at(path, by_id)
        except SourceError as error:
            # of a camera that cannot be asked, the further nodes (their index is not 0) are left out
            further = _attribute(path, "index") not in ("", "0")
            if isinstance(error, NoPicturesError) or further or not path.exists():
                continue
            info = CameraInfo(_number(path), _named(path), str(path), problem=str(error))
        found.append(info)
    return found


def node_at(path: Path, by_id: Path) -> CameraInfo:
    """The camera at ``path``. Raises SourceError, NoPicturesError where it is not one."""
    path = path.resolve()
    name = _named(path)
    descriptor = open_node(str(path), name)
    try:
        node = identify(descriptor)
        reason = why_not(node)
        if reason is not None:
            raise NoPicturesError(f"{path} ({node.name}) {reason}")
        formats = formats_of(descriptor)
    except OSError as error:
        raise explain(error, name) from error
    finally:
        os.close(descriptor)
    links = sorted(by_id.glob("*")) if by_id.is_dir() else []
    link = next((str(each) for each in links if each.resolve() == path), None)
    return CameraInfo(_number(path), node.name, str(path), link, formats, node.is_loopback)


def _named(path: Path) -> str:
    return _attribute(path, "name") or path.name


def _attribute(path: Path, which: str) -> str:
    try:
        return (_SYSFS / path.name / which).read_text(errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int:
    return int(re.sub(r"\D", "", path.name) or 0)
