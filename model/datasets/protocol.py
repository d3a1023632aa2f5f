"""What every dataset is read as: clips with frames, capture times, a contact pulse, a subject, attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from streamfilter.errors import SourceError
from streamfilter.rppg.filters import resample
from streamfilter.rppg.heart_rate import heart_rate

Rgb = npt.NDArray[np.uint8]
Array64 = npt.NDArray[np.float64]

PULSE_HZ = 30.0  # a slow, uneven or fast sensor's wave is put on this grid before its rate is read


class DatasetError(SourceError):
    """A dataset's file is missing or is not what its layout says; the message names it and the layout."""


@dataclass(frozen=True)
class Pulse:
    """A contact sensor's wave: ``values`` (N,) at ``times`` (N,), seconds on the frames' clock, rising."""

    values: Array64
    times: Array64

    def at(self, times: Array64) -> Array64:
        """The wave at ``times`` (T,), interpolated; NaN before its first and after its last sample."""
        return np.asarray(np.interp(times, self.times, self.values, left=np.nan, right=np.nan))

    def heart_rate(self, start: float = -np.inf, stop: float = np.inf) -> float:
        """The mean rate (bpm) between ``start`` and ``stop`` seconds; NaN where nothing pulses there."""
        inside = (self.times >= start) & (self.times <= stop)
        if inside.sum() < 2:
            return float("nan")
        wave = resample(self.values[inside, None], self.times[inside], PULSE_HZ)[:, 0]
        return heart_rate(wave, PULSE_HZ) if wave.size >= PULSE_HZ else float("nan")


class Video(Protocol):
    """A clip's pictures, read as they are asked for."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What the pictures are read from."""
        ...

    def times(self) -> Array64:
        """(T,) capture times in seconds, rising; reads no picture. Raises DatasetError."""
        ...

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Rgb]:
        """Pictures ``start`` to ``stop``, (H, W, 3) uint8 R, G, B, one at a time. Raises DatasetError."""
        ...


@dataclass(frozen=True)
class DatasetClip:
    """One clip. ``subject`` never depends on anything but the person; ``attributes`` are the dataset's words.

    ``read_pulse`` reads the sensor's file (None: there is none); ``stated_bpm`` is a rate that somebody
    wrote down where there is no wave. ``pulse_files``: what ``read_pulse`` reads.
    """

    name: str
    subject: str
    video: Video
    read_pulse: Callable[[], Pulse] | None
    pulse_files: tuple[Path, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    stated_bpm: float | None = None

    def times(self) -> Array64:
        return self.video.times()

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Rgb]:
        return self.video.frames(start, stop)

    def load(self, start: int = 0, stop: int | None = None) -> Rgb:
        """All pictures at once, (T, H, W, 3): the whole clip in memory, for who asks for it."""
        return np.stack(list(self.frames(start, stop)))

    def pulse(self) -> Pulse | None:
        """The contact pulse, None where the dataset has none. Raises DatasetError."""
        return None if self.read_pulse is None else self.read_pulse()

    def heart_rate(self, start: float = -np.inf, stop: float = np.inf) -> float | None:
        """The rate (bpm) of the contact pulse in this time, else the stated one; None: nobody knows it."""
        wave = self.pulse()
        if wave is None:
            return self.stated_bpm
        rate = wave.heart_rate(start, stop)
        return rate if np.isfinite(rate) else None

    @property
    def files(self) -> tuple[Path, ...]:
        return (*self.video.files, *self.pulse_files)


@dataclass(frozen=True)
class Dataset:
    """The clips of one folder, in a steady order. ``official``: the dataset's own splits, by protocol and
    part, as names of clips."""

    name: str
    folder: Path
    clips: tuple[DatasetClip, ...]
    official: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [clip.name for clip in self.clips]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DatasetError(f"{self.folder} holds clips of the same name: {', '.join(twice)}; rename them")

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(clip.subject for clip in self.clips))
