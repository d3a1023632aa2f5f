"""SCAMPS: McDuff et al. 2022, "SCAMPS: Synthetics for Camera Measurement of Physiological Signals". 2,800
rendered people, each 600 pictures at 30 Hz with its exact pulse; MATLAB files of version 7.3 (HDF5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from model.datasets.errors import even_times, nothing, pulse_of, wrong
from model.datasets.protocol import Array64, Dataset, DatasetClip, Pulse, Rgb
from model.datasets.videos import to_levels

LAYOUT = """  FOLDER/P000001.mat           version 7.3: RawFrames (or Xsub) of 0..1, d_ppg, ...
(in HDF5's order RawFrames is channel, column, row, picture)"""
FPS = 30.0
PICTURES = ("RawFrames", "Xsub")
BLOCK = 32  # pictures read at once


def read(folder: Path) -> Dataset:
    """Raises DatasetError. Every file is a person of its own."""
    paths = sorted(folder.glob("P*.mat"))
    if not paths:
        raise nothing(folder, LAYOUT)
    clips = tuple(
        DatasetClip(path.stem, path.stem, Hdf5Pictures(path), partial(_pulse, path), (), {"task": "rendered"})
        for path in paths
    )
    return Dataset("scamps", folder, clips)


def _open(path: Path) -> Any:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise wrong(path, f"it is no MATLAB file of version 7.3 ({error})", LAYOUT) from error


def _pulse(path: Path) -> Pulse:
    with _open(path) as data:
        if "d_ppg" not in data:
            raise wrong(path, "it has no d_ppg", LAYOUT)
        values = np.asarray(data["d_ppg"], np.float64).ravel()
    return pulse_of(path, values, even_times(values.size, FPS), LAYOUT)


@dataclass(frozen=True)
class Hdf5Pictures:
    """The pictures of one file."""

    path: Path

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def times(self) -> Array64:
        with _open(self.path) as data:
            return even_times(int(self._block(data).shape[3]), FPS)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Rgb]:
        with _open(self.path) as data:
            block = self._block(data)
            end = block.shape[3] if stop is None else min(stop, block.shape[3])
            for first in range(start, end, BLOCK):
                part = to_levels(block[..., first : min(first + BLOCK, end)])
                yield from np.ascontiguousarray(part.transpose(3, 2, 1, 0))

    def _block(self, data: Any) -> Any:
        name = next((name for name in PICTURES if name in data), None)
        if name is None:
            raise wrong(self.path, f"it has neither {' nor '.join(PICTURES)}", LAYOUT)
        block = data[name]
        if block.ndim != 4 or block.shape[0] != 3:
            raise wrong(self.path, f"{name} is {block.shape}, not (3, column, row, picture)", LAYOUT)
        return block
