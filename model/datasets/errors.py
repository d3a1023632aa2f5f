"""How readers refuse: what is wrong, where, and what was expected there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.datasets.protocol import Array64, DatasetError, Pulse


def need_file(path: Path, layout: str) -> Path:
    """``path``, where it is a file. Raises DatasetError with the layout that wants it."""
    if not path.is_file():
        raise DatasetError(f"{path} is missing. Expected layout:\n{layout}")
    return path


def need_folder(path: Path) -> Path:
    if not path.is_dir():
        raise DatasetError(f"{path} is not a folder: give the one that the dataset was unpacked into")
    return path


def wrong(path: Path, what: str, layout: str) -> DatasetError:
    return DatasetError(f"{path}: {what}. Expected layout:\n{layout}")


def nothing(folder: Path, layout: str) -> DatasetError:
    return DatasetError(f"{folder} holds no clip of this dataset. Expected layout:\n{layout}")


def pulse_of(path: Path, values: npt.ArrayLike, times: npt.ArrayLike, layout: str) -> Pulse:
    """The wave of a sensor's file; repeated times (sensors write some) keep their first sample.

    Raises DatasetError where there are fewer than two samples, they do not match, or times fall.
    """
    wave, seconds = (np.asarray(part, np.float64).ravel() for part in (values, times))
    if wave.size != seconds.size or wave.size < 2:
        raise wrong(path, f"{wave.size} samples of the pulse and {seconds.size} times", layout)
    if not (np.isfinite(wave).all() and np.isfinite(seconds).all()):
        raise wrong(path, "the pulse or its times hold what is no number", layout)
    steps = np.diff(seconds)
    if (steps < 0).any():
        raise wrong(path, f"the pulse's times fall at sample {int(np.argmax(steps < 0)) + 1}", layout)
    keep = np.concatenate([[True], steps > 0])
    return Pulse(wave[keep], seconds[keep])


def even_times(count: int, hertz: float) -> Array64:
    """``count`` times at ``hertz`` from 0 s."""
    return np.asarray(np.arange(count) / hertz)
