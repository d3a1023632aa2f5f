"""COHFACE: Heusch, Anjos and Marcel 2017, "A Reproducible Study on Remote Heart Rate Measurement". 40 people,
two sessions under a lamp (0, 1) and two by daylight (2, 3); video at 20 Hz, a finger clip at 256 Hz."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from model.datasets.errors import need_file, nothing, pulse_of, wrong
from model.datasets.protocol import Dataset, DatasetClip, Pulse
from model.datasets.videos import VideoFile

LAYOUT = """  FOLDER/1/0/data.avi          subject/session
  FOLDER/1/0/data.hdf5         datasets pulse, respiration, time (s); attributes illumination, gender, ...
  FOLDER/protocols/{all,clean,natural}/{train,dev,test}.txt   lines "1/0/data" (may be absent)"""
LAMP = ("0", "1")
_TOLD = {"illumination": "light", "gender": "sex", "scenario": "scenario"}


def read(folder: Path) -> Dataset:
    """Raises DatasetError."""
    places = [p for p in folder.glob("*/*") if p.is_dir() and p.parent.name.isdigit() and p.name.isdigit()]
    clips = [_clip(place) for place in sorted(places, key=lambda p: (int(p.parent.name), int(p.name)))]
    if not clips:
        raise nothing(folder, LAYOUT)
    return Dataset("cohface", folder, tuple(clips), _protocols(folder / "protocols"))


def _clip(place: Path) -> DatasetClip:
    video, truth = (need_file(place / f"data.{end}", LAYOUT) for end in ("avi", "hdf5"))
    subject, session = place.parent.name, place.name
    told = {"light": "studio" if session in LAMP else "natural", "session": session}
    with _open(truth) as data:
        for key, name in _TOLD.items():
            if key in data.attrs:
                told[name] = _word(data.attrs[key])
    return DatasetClip(
        f"{subject}/{session}", subject, VideoFile(video), partial(_pulse, truth), (truth,), told
    )


def _open(path: Path) -> Any:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise wrong(path, f"it is no HDF5 file ({error})", LAYOUT) from error


def _word(value: Any) -> str:
    """An attribute's text: h5py hands out bytes, str, or an array of one of them."""
    inner = np.asarray(value).ravel()[0]
    return inner.decode() if isinstance(inner, bytes) else str(inner)


def _pulse(path: Path) -> Pulse:
    """The wave; its clock starts with the file's own, since video and sensor were started together."""
    with _open(path) as data:
        for name in ("pulse", "time"):
            if name not in data:
                raise wrong(path, f"it has no dataset {name!r}", LAYOUT)
        values, times = np.asarray(data["pulse"], np.float64), np.asarray(data["time"], np.float64)
    if times.size == 0:
        raise wrong(path, "its pulse is empty", LAYOUT)
    return pulse_of(path, values, times - times.ravel()[0], LAYOUT)


def _protocols(folder: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for path in sorted(folder.glob("*/*.txt")):
        if path.stem in ("train", "dev", "test"):
            names = tuple(line.strip().removesuffix("/data") for line in path.read_text().split())
            found.setdefault(path.parent.name, {})[path.stem] = names
    return found
