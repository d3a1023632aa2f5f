"""Frames from a folder of pictures, in the order of their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from av.video.frame import VideoFrame

from streamfilter.capture.av_frames import describe_color, planes_of
from streamfilter.capture.source import MIN_SIDE, SourceInfo
from streamfilter.errors import SourceError, UsageError
from streamfilter.frame import Frame

SUFFIXES = (".png", ".jpg", ".jpeg")
DEFAULT_FPS = Fraction(30)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key in which frame 10 comes after frame 9, also without leading zeros."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


class ImageFolderSource:
    """PNG and JPEG files of one folder, shown at ``fps`` frames a second.

    Raises SourceError if the folder is missing or holds no picture, if a picture cannot be read, is smaller
    than 16 x 16 or differs in size from the first; UsageError if ``fps`` is not above zero.
    """

    def __init__(self, folder: Path, fps: Fraction = DEFAULT_FPS) -> None:
        if fps <= 0:
            raise UsageError(f"--fps {fps} must be above zero.")
        if not folder.is_dir():
            raise SourceError(f"{folder} is not a folder. Check the path given with --input.")
        self._paths = sorted((p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES), key=_natural)
        if not self._paths:
            raise SourceError(f"{folder} holds no pictures ({', '.join(SUFFIXES)}). Give a folder with some.")
        first = _read(self._paths[0])
        if first.width < MIN_SIDE or first.height < MIN_SIDE:
            raise SourceError(
                f"{self._paths[0]} is {first.width}x{first.height} pixels; "
                f"at least {MIN_SIDE}x{MIN_SIDE} are needed. Give larger pictures."
            )
        color, tags, _ = describe_color(first)
        self._info = SourceInfo(
            width=first.width,
            height=first.height,
            fps=fps,
            frames=len(self._paths),
            color=color,
            has_audio=False,
            description=f"{folder.name} ({len(self._paths)} pictures, {first.width}x{first.height})",
            time_base=1 / fps,
            tags=tags,
        )

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    def frames(self) -> Iterator[Frame]:
        """One frame a picture."""
        info = self._info
        for index, path in enumerate(self._paths):
            picture = _read(path)
            if (picture.width, picture.height) != (info.width, info.height):
                raise SourceError(
                    f"{path} is {picture.width}x{picture.height} pixels, the first picture "
                    f"{info.width}x{info.height}. Bring all to one size."
                )
            y, u, v = planes_of(picture, info.color)
            yield Frame(y, u, v, index, info.time_base, info.color)

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read(path: Path) -> VideoFrame:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}). Check its permissions.") from error
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        raise SourceError(f"{path} is no picture that can be decoded. Remove or replace it.")
    return VideoFrame.from_ndarray(np.ascontiguousarray(picture, np.uint8), format="bgr24")
