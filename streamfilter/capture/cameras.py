"""The cameras that are there, and the one that the user means."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streamfilter.capture.camera import CameraFormat
from streamfilter.errors import SourceError, UsageError

BY_ID = Path("/dev/v4l/by-id")
_VIRTUAL = ("obs virtual camera", "unity video capture", "physiocam")  # where only the name tells


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera. ``index`` is N of /dev/videoN on Linux, elsewhere its place in the list.

    ``path`` opens it, ``by_id`` is its lasting name on Linux, None where udev gave it none. ``formats`` is
    empty where they are not told. ``is_loopback``: a virtual camera that some program feeds. ``problem`` says
    why it cannot be opened and what to do, None where it can.
    """

    index: int
    name: str
    path: str
    by_id: str | None = None
    formats: tuple[CameraFormat, ...] = ()
    is_loopback: bool = False
    problem: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.by_id or self.path})"


def list_cameras() -> list[CameraInfo]:
    """Every device that gives pictures, in order of index; none is opened for longer than to ask it."""
    if sys.platform == "linux":
        from streamfilter.capture.v4l2_device import list_nodes

        return list_nodes(BY_ID)
    from streamfilter.capture.av_camera import list_devices

    return [
        CameraInfo(index, name, path, is_loopback=any(word in name.lower() for word in _VIRTUAL))
        for index, (name, path) in enumerate(list_devices())
    ]


def find_camera(wanted: str | None) -> CameraInfo:
    """The camera that ``wanted`` names; see :func:`pick`. Raises SourceError, UsageError."""
    if sys.platform == "linux" and wanted is not None:
        by_id = BY_ID / wanted
        path = (
            Path(f"/dev/video{wanted}") if wanted.isdecimal() else by_id if by_id.exists() else Path(wanted)
        )
        if path.is_absolute():  # asks this one only, and knows why it is no camera
            from streamfilter.capture.v4l2_device import node_at

            return node_at(path, BY_ID)
    return pick(list_cameras(), wanted)


def pick(cameras: Sequence[CameraInfo], wanted: str | None) -> CameraInfo:
    """One of ``cameras``: by index, path (links are followed), by-id name, or part of the name in any case.

    None is the first real camera; a virtual one is never taken by itself, and in a search by name only where
    no real one fits. Raises SourceError where none fits or the one that fits cannot be opened, UsageError
    where several fit.
    """
    if wanted is None:
        real = [each for each in cameras if not each.is_loopback]
        usable = [each for each in real if each.problem is None]
        if not real:
            raise SourceError(_nothing(cameras))
        return usable[0] if usable else _checked(real[0])
    fits = _matches(cameras, wanted)
    if not fits:
        there = "; ".join(str(each) for each in cameras) or "none"
        raise SourceError(
            f"No camera {wanted!r} is there (there are: {there}). Plug it in, or choose one that "
            "`physio-cam devices` lists."
        )
    if len(fits) > 1:
        raise UsageError(
            f"{wanted!r} fits several cameras: {'; '.join(f'{each.path} {each}' for each in fits)}. Name one "
            "by its path or its by-id name."
        )
    return _checked(fits[0])


def _matches(cameras: Sequence[CameraInfo], wanted: str) -> list[CameraInfo]:
    if wanted.isdecimal():
        return [each for each in cameras if each.index == int(wanted)]
    exact = [each for each in cameras if wanted in (each.path, each.by_id) or _same_node(each, wanted)]
    if exact:
        return exact[:1]
    low = wanted.lower()
    for test in (str.__eq__, str.__contains__):
        named = [each for each in cameras if test(each.name.lower(), low)]
        real = [each for each in named if not each.is_loopback]
        if named:
            return real or named
    return []


def _same_node(camera: CameraInfo, wanted: str) -> bool:
    if camera.by_id is not None and wanted == Path(camera.by_id).name:
        return True
    return wanted.startswith("/") and Path(wanted).resolve() == Path(camera.path).resolve()


def _checked(camera: CameraInfo) -> CameraInfo:
    if camera.problem is not None:
        raise SourceError(camera.problem)
    return camera


def _nothing(cameras: Sequence[CameraInfo]) -> str:
    if cameras:
        there = "; ".join(str(each) for each in cameras)
        return (
            f"No real camera is there, only virtual ones ({there}). Plug a camera in, or name one of those "
            "if another program feeds it."
        )
    return "No camera is there. Plug one in and switch it on; `physio-cam doctor` looks for the cause."
