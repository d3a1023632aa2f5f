"""Pictures from files: a video of any format, a row of PNG files, a block of a MATLAB file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from model.datasets.protocol import Array64, DatasetError, Rgb
from streamfilter.capture.av_frames import UPRIGHT, orientation_of
from streamfilter.capture.media import has_decoding_times_only, open_media


@dataclass(frozen=True)
class VideoFile:
    """A video file; its pictures are turned upright."""

    path: Path

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def times(self) -> Array64:
        """From the container's packets, of which no picture is decoded; the first is at 0 s."""
        with open_media(self.path) as container:
            stream = next(iter(container.streams.video), None)
            if stream is None:
                raise DatasetError(f"{self.path} holds no video")
            by_decoding = has_decoding_times_only(container)
            stamps: list[int] = []
            step = 1
            if stream.average_rate and stream.time_base:
                step = max(1, round(1 / (stream.average_rate * stream.time_base)))
            for packet in container.demux(stream):
                if packet.size == 0:
                    continue
                stamp = packet.dts if by_decoding or packet.pts is None else packet.pts
                stamps.append(stamp if stamp is not None else (stamps[-1] + step if stamps else 0))
            if not stamps or stream.time_base is None:
                raise DatasetError(f"{self.path} holds no picture")
            ticks = np.sort(np.asarray(stamps, np.int64))
            return np.asarray((ticks - ticks[0]) * float(stream.time_base))

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Rgb]:
        """Every picture is decoded from the first on, so that none is skipped by a seek that misses."""
        with open_media(self.path) as container:
            stream = next(iter(container.streams.video), None)
            if stream is None:
                raise DatasetError(f"{self.path} holds no video")
            upright = UPRIGHT
            try:
                for index, picture in enumerate(islice(container.decode(stream), stop)):
                    if index == 0:
                        upright, _ = orientation_of(picture)
                    if index >= start:
                        yield upright.apply(np.asarray(picture.to_ndarray(format="rgb24"), np.uint8))
            except (av.FFmpegError, OSError) as error:
                raise DatasetError(f"{self.path} is damaged: {error}. Fetch it again") from error


@dataclass(frozen=True)
class PictureRow:
    """Picture files in the order of ``paths``, captured at ``seconds``."""

    paths: tuple[Path, ...]
    seconds: tuple[float, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        return self.paths

    def times(self) -> Array64:
        return np.asarray(self.seconds, np.float64)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Rgb]:
        for path in self.paths[start:stop]:
            picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if picture is None:
                raise DatasetError(f"{path} is no picture that can be decoded. Fetch it again")
            yield np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def to_levels(block: npt.NDArray[Any]) -> Rgb:
    """Pictures of 0..1 (floats) or of 0..255 (bytes) as 8-bit levels, rounded."""
    if block.dtype == np.uint8:
        return np.asarray(block, np.uint8)
    return np.clip(np.rint(np.asarray(block, np.float64) * 255.0), 0, 255).astype(np.uint8)
