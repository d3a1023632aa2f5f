"""MMPD: Tang et al. 2023, "MMPD: Multi-Domain Mobile Video Physiology Dataset". 33 people by phone, 20 clips
of a minute each at 30 Hz, with skin tone, light, motion; MATLAB files of version 5."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from model.datasets.errors import even_times, nothing, pulse_of, wrong
from model.datasets.mat5 import MatBlock, find_block, unpacked
from model.datasets.protocol import Array64, Dataset, DatasetClip, DatasetError, Pulse, Rgb

LAYOUT = """  FOLDER/subject1/p1_0.mat     version 5: video (picture, row, column, channel) of 0..1,
                               GT_ppg (1, picture), light, motion, exercise, skin_color, gender,
                               glasser, hair_cover, makeup"""
FPS = 30.0
TOLD = {
    "light": "light",
    "motion": "motion",
    "exercise": "exercise",
    "skin_color": "skin tone",
    "gender": "sex",
    "glasser": "glasses",
    "hair_cover": "hair cover",
    "makeup": "makeup",
}
CORRECTED = {"Watching Videos": "Walking"}  # an error of the first release, says rPPG-Toolbox's loader
_NAME = re.compile(r"p(\d+)_(\d+)\.mat")


def read(folder: Path) -> Dataset:
    """Raises DatasetError."""
    found = [(path, _NAME.fullmatch(path.name)) for path in folder.glob("subject*/*.mat")]
    clips = []
    for path, named in sorted(found, key=lambda one: [int(n) for n in re.findall(r"\d+", one[0].name)]):
        if named is None or path.parent.name != f"subject{named[1]}":
            raise wrong(path, f"a file of this name does not belong into {path.parent.name}", LAYOUT)
        pulse = partial(_pulse, path)
        clips.append(DatasetClip(path.stem, named[1], MatPictures(path), pulse, (), _told(path)))
    if not clips:
        raise nothing(folder, LAYOUT)
    return Dataset("mmpd", folder, tuple(clips))


def _variables(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    try:
        found: dict[str, Any] = scipy.io.loadmat(path, variable_names=list(names))
    except (OSError, ValueError, NotImplementedError, TypeError) as error:
        raise wrong(path, f"it is no MATLAB file of version 5 ({error})", LAYOUT) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise wrong(path, f"it has no {', '.join(missing)}", LAYOUT)
    return found


def _told(path: Path) -> dict[str, str]:
    values = _variables(path, tuple(TOLD))
    told = {name: str(np.asarray(values[key]).ravel()[0]).strip() for key, name in TOLD.items()}
    return {name: CORRECTED.get(value, value) for name, value in told.items()}


def _pulse(path: Path) -> Pulse:
    values = np.asarray(_variables(path, ("GT_ppg",))["GT_ppg"], np.float64).ravel()
    return pulse_of(path, values, even_times(values.size, FPS), LAYOUT)


@dataclass(frozen=True)
class MatPictures:
    """The pictures of one file.

    MATLAB stores the pictures' number as its fastest axis, and packs it: no picture can be had before all
    are unpacked. They go into a scratch file of bytes, a block at a time, and are read from there.
    """

    path: Path

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def times(self) -> Array64:
        return even_times(self._block().shape[0], FPS)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Rgb]:
        try:
            with unpacked(self.path, self._block()) as pictures:
                for index in range(*slice(start, stop).indices(len(pictures))):
                    yield np.ascontiguousarray(pictures[index].transpose(2, 1, 0))
        except ValueError as error:
            raise wrong(self.path, str(error), LAYOUT) from error

    def _block(self) -> MatBlock:
        try:
            block = find_block(self.path, "video")
        except ValueError as error:
            raise wrong(self.path, str(error), LAYOUT) from error
        if len(block.shape) != 4 or block.shape[3] != 3:
            raise DatasetError(f"{self.path}: video is {block.shape}, not (picture, row, column, 3)")
        return block
