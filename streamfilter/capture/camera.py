"""Which of a camera's formats is asked for, and the back-end that opens it."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from streamfilter.capture.pixel_formats import JPEG, KNOWN
from streamfilter.capture.source import MIN_SIDE
from streamfilter.errors import SourceError, UsageError
from streamfilter.live.ports import Camera, Picture

USEFUL_FPS = 15.0  # below it a call is no longer fluent: another size is better
_SAME_RATE = 0.99  # 29.97 counts as 30

_MAX_SIDE, _MAX_FPS = 8192, 240.0


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """What the user wants.

    ``device``: see :func:`streamfilter.capture.cameras.find_camera` (None: the first). Sizes in pixels,
    ``fps`` in frames a second; ``pixel_format`` is one of ``pixel_formats.KNOWN``, None: the best. Raises
    UsageError for what is out of range.
    """

    device: str | None = None
    width: int = 1280
    height: int = 720
    fps: float = 30.0
    pixel_format: str | None = None

    def __post_init__(self) -> None:
        if not (MIN_SIDE <= self.width <= _MAX_SIDE and MIN_SIDE <= self.height <= _MAX_SIDE):
            raise UsageError(
                f"A camera's picture has {MIN_SIDE} to {_MAX_SIDE} pixels a side, not "
                f"{self.width}x{self.height}."
            )
        if not 1 <= self.fps <= _MAX_FPS:
            raise UsageError(f"A camera gives 1 to {_MAX_FPS:g} frames a second, not {self.fps:g}.")
        if self.pixel_format is not None and self.pixel_format not in KNOWN:
            raise UsageError(f"The pixel format {self.pixel_format!r} is not one of {', '.join(KNOWN)}.")


@dataclass(frozen=True, slots=True)
class CameraFormat:
    """One size in one pixel format (V4L2's four characters), and its rates, rising; () where none are told.

    Of formats that cannot be read (not in ``pixel_formats.KNOWN``) the size is not asked for: 0 x 0.
    """

    pixel_format: str
    width: int
    height: int
    rates: tuple[float, ...] = ()

    def best_rate(self, wanted: float) -> float:
        """The lowest rate no lower than ``wanted``, else the highest; ``wanted`` where none are told."""
        enough = [rate for rate in self.rates if rate >= wanted * _SAME_RATE]
        return min(enough) if enough else max(self.rates, default=wanted)


@dataclass(frozen=True, slots=True)
class FormatChoice:
    """What the camera is asked for."""

    pixel_format: str
    picture: Picture


def choose_format(formats: Sequence[CameraFormat], settings: CameraSettings) -> FormatChoice:
    """The format to ask for, of those that the camera lists.

    In this order: the wanted size at the wanted rate; the wanted size at 15 frames a second or more; another
    size at the wanted rate; another at 15; any. Among other sizes the nearest in area counts, a change of the
    aspect ratio twice. Then the rate nearest to the wanted one from above, or the highest. Among equals an
    uncompressed format (NV12, YU12, YUYV, UYVY) goes before MJPG.

    Raises SourceError where nothing listed can be read, UsageError where the wanted pixel format is missing.
    """
    known = [each for each in formats if each.pixel_format in KNOWN]
    if not known:
        there = ", ".join(sorted({each.pixel_format for each in formats})) or "none"
        raise SourceError(
            f"The camera has no pixel format that can be read (it lists: {there}; readable are "
            f"{', '.join(KNOWN)}). Choose another camera."
        )
    asked = settings.pixel_format
    if asked is not None:
        known = [each for each in known if each.pixel_format == asked] or _not_offered(asked, known)
    best = min(known, key=lambda each: _cost(each, settings))
    picture = Picture(best.width, best.height, best.best_rate(settings.fps))
    return FormatChoice(best.pixel_format, picture)


def _cost(each: CameraFormat, settings: CameraSettings) -> tuple[float, ...]:
    rate = each.best_rate(settings.fps)
    exact = (each.width, each.height) == (settings.width, settings.height)
    reaches = rate >= settings.fps * _SAME_RATE
    useful = reaches or rate >= USEFUL_FPS * _SAME_RATE
    tier = 0 if exact and reaches else 1 if exact and useful else 2 if reaches else 3 if useful else 4
    area = abs(math.log(each.width * each.height / (settings.width * settings.height)))
    aspect = abs(math.log(each.width / each.height / (settings.width / settings.height)))
    return (
        tier,
        round(area + 2 * aspect, 6),
        rate if reaches else -rate,
        each.pixel_format in JPEG,
        KNOWN.index(each.pixel_format),
        each.width,
        each.height,
    )


def _not_offered(asked: str, known: Sequence[CameraFormat]) -> list[CameraFormat]:
    there = ", ".join(name for name in KNOWN if any(each.pixel_format == name for each in known))
    raise UsageError(f"The camera does not give {asked}; it gives {there}. Choose one of those, or none.")


def open_camera(settings: CameraSettings) -> Camera:
    """The camera that the settings name, opened and running.

    Raises SourceError where it is not there, is busy or may not be used; UsageError for a wish that
    contradicts what is there.
    """
    from streamfilter.capture.cameras import find_camera

    info = find_camera(settings.device)
    if sys.platform == "linux":
        from streamfilter.capture.v4l2_camera import V4l2Camera

        return V4l2Camera(info.path, info.name, choose_format(info.formats, settings))
    from streamfilter.capture.av_camera import AvCamera, device_input

    return AvCamera(device_input(info.path, settings), info.name)
