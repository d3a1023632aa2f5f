"""PURE: Stricker, Müller and Gross 2014, "Non-contact Video-based Pulse Rate Measurement on a Mobile Service
Robot". 10 people, 6 tasks, PNG pictures of 640 × 480 at 30 Hz, a finger clip at 60 Hz in one JSON file."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import numpy as np

from model.datasets.errors import need_file, nothing, pulse_of, wrong
from model.datasets.protocol import Dataset, DatasetClip, Pulse
from model.datasets.videos import PictureRow

LAYOUT = """  FOLDER/01-01/01-01.json  "/FullPackage": [{"Timestamp": ns, "Value": {"waveform": ...}}, ...]
  FOLDER/01-01/01-01/Image<ns>.png   named by capture time in nanoseconds, on the same clock
(subject-task; the pictures may also lie in FOLDER/01-01/ beside FOLDER/01-01.json)"""
TASKS = {
    "01": "steady",
    "02": "talking",
    "03": "slow translation",
    "04": "fast translation",
    "05": "small rotation",
    "06": "medium rotation",
}
_NAME = re.compile(r"(\d\d)-(\d\d)")
_STAMP = re.compile(r"(\d{10,})$")


def read(folder: Path) -> Dataset:
    """Raises DatasetError."""
    clips = [_clip(path) for path in sorted(folder.iterdir()) if path.is_dir() and _NAME.fullmatch(path.name)]
    if not clips:
        raise nothing(folder, LAYOUT)
    return Dataset("pure", folder, tuple(clips))


def _clip(folder: Path) -> DatasetClip:
    inner = folder / folder.name
    pictures, truth = inner, folder / f"{folder.name}.json"
    if not inner.is_dir():
        pictures = folder
        truth = truth if truth.is_file() else folder.with_name(f"{folder.name}.json")
    need_file(truth, LAYOUT)
    stamped = [(_stamp(path), path) for path in pictures.glob("*.png")]
    if not stamped:
        raise wrong(pictures, "there is no PNG picture", LAYOUT)
    stamped.sort()
    first = stamped[0][0]
    row = PictureRow(
        tuple(path for _, path in stamped), tuple((stamp - first) * 1e-9 for stamp, _ in stamped)
    )
    subject, task = folder.name.split("-")
    return DatasetClip(
        folder.name,
        subject,
        row,
        partial(_pulse, truth, first),
        (truth,),
        {"task": TASKS.get(task, task), "light": "daylight"},
    )


def _stamp(path: Path) -> int:
    found = _STAMP.search(path.stem)
    if found is None:
        raise wrong(path, "its name does not end in a time in nanoseconds", LAYOUT)
    return int(found[1])


def _pulse(path: Path, first: int) -> Pulse:
    """The wave on the pictures' clock: 0 s is the first picture."""
    try:
        entries = json.loads(path.read_text())["/FullPackage"]
        stamps = np.array([int(entry["Timestamp"]) - first for entry in entries], np.int64)
        values = [float(entry["Value"]["waveform"]) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise wrong(path, f"it holds no list /FullPackage of waveforms ({error})", LAYOUT) from error
    return pulse_of(path, values, stamps * 1e-9, LAYOUT)
