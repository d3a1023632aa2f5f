"""UBFC-rPPG: Bobbia, Macwan, Benezeth, Mansouri and Dubois 2019, "Unsupervised skin tissue segmentation for
remote photoplethysmography". Raw AVI of 640 × 480 at 30 Hz and a finger clip; two parts, two formats."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from model.datasets.errors import need_file, nothing, pulse_of, wrong
from model.datasets.protocol import Dataset, DatasetClip, Pulse
from model.datasets.videos import VideoFile

LAYOUT_1 = """  FOLDER/5-gt/vid.avi
  FOLDER/5-gt/gtdump.xmp       lines "milliseconds,heart rate,SpO2,PPG"
(DATASET_1: 5-gt, 6-gt, ..., after-exercise)"""
LAYOUT_2 = """  FOLDER/subject1/vid.avi
  FOLDER/subject1/ground_truth.txt   three lines of numbers: PPG, heart rate, seconds
(DATASET_2: subject1, subject3, ...)"""


def read_1(folder: Path) -> Dataset:
    """DATASET_1. Raises DatasetError."""
    clips = []
    for place in _places(folder, "gtdump.xmp", LAYOUT_1):
        truth = need_file(place / "gtdump.xmp", LAYOUT_1)
        task = {"task": "after exercise" if "exercise" in place.name else "resting"}
        clips.append(_clip(place, place.name, truth, partial(_pulse_1, truth), task))
    return Dataset("ubfc1", folder, tuple(clips))


def read_2(folder: Path) -> Dataset:
    """DATASET_2. Raises DatasetError."""
    clips = []
    for place in _places(folder, "ground_truth.txt", LAYOUT_2):
        truth = need_file(place / "ground_truth.txt", LAYOUT_2)
        subject = place.name.removeprefix("subject")
        clips.append(_clip(place, subject, truth, partial(_pulse_2, truth), {"task": "game"}))
    return Dataset("ubfc2", folder, tuple(clips))


def _places(folder: Path, truth: str, layout: str) -> list[Path]:
    """The folders of clips, subject2 before subject10."""
    found = [p for p in folder.iterdir() if (p / "vid.avi").is_file() or (p / truth).is_file()]
    if not found:
        raise nothing(folder, layout)
    for place in found:
        need_file(place / "vid.avi", layout)
    return sorted(found, key=lambda p: (len(p.name), p.name))


def _clip(place: Path, subject: str, truth: Path, pulse: partial[Pulse], told: dict[str, str]) -> DatasetClip:
    return DatasetClip(place.name, subject, VideoFile(place / "vid.avi"), pulse, (truth,), told)


def _pulse_1(path: Path) -> Pulse:
    try:
        table = np.loadtxt(path, delimiter=",", ndmin=2)
    except ValueError as error:
        raise wrong(path, f"it is no table of numbers ({error})", LAYOUT_1) from error
    if table.ndim != 2 or table.shape[1] < 4:
        raise wrong(path, f"{table.shape[-1]} columns, 4 are needed", LAYOUT_1)
    return pulse_of(path, table[:, 3], table[:, 0] / 1000.0, LAYOUT_1)


def _pulse_2(path: Path) -> Pulse:
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    if len(lines) < 3:
        raise wrong(path, f"{len(lines)} lines, 3 are needed", LAYOUT_2)
    try:
        values, times = ([float(word) for word in lines[k].split()] for k in (0, 2))
    except ValueError as error:
        raise wrong(path, f"a line holds what is no number ({error})", LAYOUT_2) from error
    return pulse_of(path, values, times, LAYOUT_2)
