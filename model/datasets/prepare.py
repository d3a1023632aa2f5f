"""Clips made ready for training: face crops of one size and the pulse at their times, kept on disk.

A clip's place in the cache is named by what it follows from: the bytes of its files and the settings. It is
written aside and moved into place when whole, so that an interrupted run leaves nothing that looks ready.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from model.data.video import TIME_BASE, frame_of
from model.datasets.protocol import Array64, DatasetClip, DatasetError, Rgb
from streamfilter.errors import UsageError
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import cell_means
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import ColorSpec

VERSION = 1
FRAMES, TRUTH, ABOUT = "frames.npy", "truth.npz", "about.json"
Crop = Literal["face", "centre"]


@dataclass(frozen=True)
class PrepareSettings:
    """``size``: a side of the crops, pixels. ``crop``: the tracked face's box, or the picture's middle
    square. ``margin``: a side of what is cut out over the box's. ``seconds``: taken at most, from the start.
    """

    size: int = 72
    crop: Crop = "face"
    margin: float = 1.0
    seconds: float = 600.0

    def __post_init__(self) -> None:
        if not (8 <= self.size <= 1024 and 0.5 <= self.margin <= 4.0 and self.seconds > 0):
            raise UsageError(f"{self}: give size 8 to 1024, margin 0.5 to 4, seconds above 0")


@dataclass(frozen=True)
class PreparedClip:
    """A clip of the cache. ``frames`` (T, S, S, 3) uint8, on disk; ``times`` (T,) s; ``bvp`` (T,), None where
    there is no sensor; ``heart_rate`` bpm, None where nobody knows it."""

    name: str
    subject: str
    attributes: dict[str, str]
    frames: Rgb
    times: Array64
    bvp: Array64 | None
    heart_rate: float | None


class CacheError(DatasetError):
    """A cached clip is not what was written."""


def content_key(clip: DatasetClip, *about: str) -> str:
    """16 hexadecimal digits of the bytes of the clip's files and of ``about``."""
    digest = hashlib.sha256("\0".join((clip.name, clip.subject, *about)).encode())
    for path in clip.files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def prepared(clip: DatasetClip, settings: PrepareSettings, cache: Path) -> PreparedClip:
    """The clip, from ``cache`` or made now; a damaged one is made anew, with a warning.

    Raises DatasetError where the clip cannot be read or shows no face.
    """
    key = content_key(clip, json.dumps(asdict(settings), sort_keys=True), str(VERSION))
    folder = cache / f"{clip.name.replace('/', '_')}-{key}"
    if folder.is_dir():
        try:
            return load(folder)
        except CacheError as error:
            warnings.warn(f"{error}: it is made anew", stacklevel=2)
            shutil.rmtree(folder)
    cache.mkdir(parents=True, exist_ok=True)
    aside = cache / f".part-{folder.name}-{os.getpid()}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        _write(clip, settings, aside)
        try:
            aside.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first: the same content
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return load(folder)


def load(folder: Path) -> PreparedClip:
    """A clip of the cache, checked against the hashes that were written with it. Raises CacheError."""
    try:
        about = json.loads((folder / ABOUT).read_text())
        for name, known in about["sha256"].items():
            if _digest(folder / name) != known:
                raise CacheError(f"{folder / name} is damaged")
        frames = np.load(folder / FRAMES, mmap_mode="r")
        with np.load(folder / TRUTH) as truth:
            times, bvp = truth["times"], truth["bvp"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CacheError(f"{folder} is damaged ({error})") from error
    return PreparedClip(
        name=about["name"],
        subject=about["subject"],
        attributes=about["attributes"],
        frames=frames,
        times=times,
        bvp=bvp if bvp.size else None,
        heart_rate=about["heart_rate"],
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(clip: DatasetClip, settings: PrepareSettings, folder: Path) -> None:
    times = clip.times()
    pulse = clip.pulse()
    used = times - times[0] <= settings.seconds
    if pulse is not None:
        used &= (times >= pulse.times[0]) & (times <= pulse.times[-1])
    chosen = np.flatnonzero(used)
    if chosen.size < 2:
        raise DatasetError(f"{clip.name}: pulse and pictures share no time; check the sensor's clock")
    first, last = int(chosen[0]), int(chosen[-1]) + 1
    size = settings.size
    out = np.lib.format.open_memmap(
        folder / FRAMES, mode="w+", dtype=np.uint8, shape=(last - first, size, size, 3)
    )
    count = 0
    for crop in _crops(clip, settings, times, first, last):
        out[count] = crop
        count += 1
    if count != last - first:
        raise DatasetError(f"{clip.name}: {count} of {last - first} pictures can be decoded; fetch it again")
    out.flush()
    del out
    bvp = np.zeros(0) if pulse is None else pulse.at(times[first:last])
    np.savez(folder / TRUTH, times=times[first:last], bvp=bvp)
    about = {
        "version": VERSION,
        "name": clip.name,
        "subject": clip.subject,
        "attributes": dict(clip.attributes),
        "heart_rate": clip.heart_rate(float(times[first]), float(times[last - 1])),
        "settings": asdict(settings),
        "sha256": {name: _digest(folder / name) for name in (FRAMES, TRUTH)},
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=1))


def _crops(
    clip: DatasetClip, settings: PrepareSettings, times: Array64, first: int, last: int
) -> Iterator[Rgb]:
    if settings.crop == "centre":
        for rgb in clip.frames(first, last):
            height, width = rgb.shape[:2]
            box = FaceBox(width / 2.0, height / 2.0, min(height, width) * settings.margin)
            yield cut_out(rgb, box, settings.size)
        return
    # Before a face comes and while it is away: where it is seen next, and where it was seen last.
    known = next((found for found in _boxes(clip, times, first, last) if found is not None), None)
    if known is None:
        raise DatasetError(f"{clip.name} shows no face; crop 'centre' needs none")
    box = known
    finder = FaceFinder()
    for index, rgb in enumerate(clip.frames(first, last), first):
        box = _box(finder, rgb, float(times[index])) or box
        yield cut_out(rgb, FaceBox(box.cx, box.cy, box.size * settings.margin), settings.size)


def _boxes(clip: DatasetClip, times: Array64, first: int, last: int) -> Iterator[FaceBox | None]:
    finder = FaceFinder()
    for index, rgb in enumerate(clip.frames(first, last), first):
        yield _box(finder, rgb, float(times[index]))


def _box(finder: FaceFinder, rgb: Rgb, seconds: float) -> FaceBox | None:
    """The face that has been known longest."""
    picture = np.asarray(rgb, np.float32) * np.float32(1.0 / 255.0)
    faces = finder.find(frame_of(picture, round(seconds / TIME_BASE), ColorSpec()))
    return faces[0].box if faces else None


def cut_out(rgb: Rgb, box: FaceBox, size: int) -> Rgb:
    """The box as (size, size, 3), each pixel the mean of what it covers, rounded; edges are repeated."""
    x = box.left + box.size * np.arange(size + 1) / size
    y = box.top + box.size * np.arange(size + 1) / size
    planes = [cell_means(np.ascontiguousarray(rgb[..., channel]), x, y) for channel in range(3)]
    levels: npt.NDArray[np.uint8] = np.clip(np.rint(np.stack(planes, axis=2)), 0, 255).astype(np.uint8)
    return levels
