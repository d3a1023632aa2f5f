"""``physio-cam devices``: the cameras with their formats, and the virtual cameras."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamfilter.cli.command_parser import CommandParser
from streamfilter.cli.text import printable

if TYPE_CHECKING:
    from streamfilter.capture.camera import CameraFormat
    from streamfilter.capture.cameras import CameraInfo

_NAMED = 8  # formats that cannot be read, at most
_NAMED_RATES = 4


@dataclass(frozen=True, slots=True)
class VirtualInfo:
    """A virtual camera. ``path`` and ``exclusive`` (browsers list it) are told on Linux only."""

    name: str
    path: str
    state: str = ""
    exclusive: bool | None = None


def run(arguments: Sequence[str]) -> int:
    """Prints the lists and returns 0. Raises UsageError for an unknown option."""
    parser = CommandParser("devices", "Lists cameras with their formats, and virtual cameras.")
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    options = parser.parse_args(arguments)
    from streamfilter.capture.cameras import list_cameras

    everything = list_cameras()
    cameras = [camera for camera in everything if not camera.is_loopback]
    virtual = _loopbacks() if sys.platform.startswith("linux") else _named(everything)
    print(as_json(cameras, virtual) if options.json else as_text(cameras, virtual))
    return 0


def as_text(cameras: Sequence[CameraInfo], virtual: Sequence[VirtualInfo]) -> str:
    """Both lists, for people."""
    lines = ["cameras"]
    for camera in cameras:
        lines.append(f"  {camera.index}  {camera.name}  {camera.path}".rstrip())
        if camera.by_id is not None:
            lines.append(f"     {Path(camera.by_id).name}")
        if camera.problem is not None:
            lines.append(f"     {camera.problem}")
        lines += [f"     {text}" for text in format_lines(camera.formats)]
    if not cameras:
        lines.append("  none; physio-cam doctor looks for the cause")
    lines += ["", "virtual cameras"]
    for each in virtual:
        told = [each.name, each.path, each.state, "not listed by browsers" if each.exclusive is False else ""]
        lines.append("  " + "  ".join(text for text in told if text))
    if not virtual:
        lines.append("  none; physio-cam doctor says how to get one")
    return "\n".join(map(printable, lines))


def as_json(cameras: Sequence[CameraInfo], virtual: Sequence[VirtualInfo]) -> str:
    """Both lists, for programs."""
    found = {
        "cameras": [_camera(camera) for camera in cameras],
        "virtual_cameras": [
            {"name": each.name, "path": each.path, "state": each.state, "exclusive": each.exclusive}
            for each in virtual
        ],
    }
    return json.dumps(found, indent=2, ensure_ascii=False)


def format_lines(formats: Iterable[CameraFormat]) -> list[str]:
    """Sizes and rates of each pixel format, as few lines as possible, in the order given.

    Formats that offer the same stand together, and so do sizes that share their rates.
    """
    grouped: dict[str, dict[tuple[float, ...], list[str]]] = {}
    unreadable: dict[str, None] = {}
    for each in formats:
        if each.width:
            sizes = grouped.setdefault(each.pixel_format, {})
            sizes.setdefault(each.rates, []).append(f"{each.width}x{each.height}")
        else:
            unreadable[each.pixel_format] = None
    same: dict[str, list[str]] = {}
    for name, sizes in grouped.items():
        offer = "; ".join(" ".join(names) + _rates(rates) for rates, names in sizes.items())
        same.setdefault(offer, []).append(name)
    lines = [f"{' '.join(names)}  {offer}" for offer, names in same.items()]
    if unreadable:
        more = len(unreadable) - _NAMED
        lines.append(
            f"cannot be read: {' '.join(list(unreadable)[:_NAMED])}"
            + (f" and {more} more" if more > 0 else "")
        )
    return lines


def _rates(rates: tuple[float, ...]) -> str:
    shown = list(dict.fromkeys(f"{rate:.4g}" for rate in sorted(rates, reverse=True)))
    if len(shown) > _NAMED_RATES:
        shown = [f"{shown[-1]} to {shown[0]}"]
    return f" at {', '.join(shown)} fps" if shown else ""


def _camera(camera: CameraInfo) -> dict[str, Any]:
    return {
        "index": camera.index,
        "name": camera.name,
        "path": camera.path,
        "by_id": camera.by_id,
        "problem": camera.problem,
        "formats": [
            {
                "pixel_format": each.pixel_format,
                "width": each.width,
                "height": each.height,
                "rates": list(each.rates),
            }
            for each in camera.formats
        ],
    }


def _loopbacks() -> list[VirtualInfo]:
    from streamfilter.sinks.v4l2loopback import loopback_devices

    return [
        VirtualInfo(device.label, str(device.path), device.state.value, device.exclusive)
        for device in loopback_devices()
    ]


def _named(cameras: Iterable[CameraInfo]) -> list[VirtualInfo]:
    return [VirtualInfo(camera.name, camera.path) for camera in cameras if camera.is_loopback]
