"""UBFC-Phys: Meziati Sabour, Benezeth, De Oliveira, Chappé and Yang 2021, "UBFC-Phys: A Multimodal Database
For Psychophysiological Studies Of Social Stress". 56 people, rest, speech and arithmetic; a wrist sensor."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from model.datasets.errors import even_times, need_file, nothing, pulse_of, wrong
from model.datasets.protocol import Dataset, DatasetClip, Pulse
from model.datasets.videos import VideoFile

LAYOUT = """  FOLDER/s1/vid_s1_T1.avi      T1 rest, T2 speech, T3 arithmetic
  FOLDER/s1/bvp_s1_T1.csv      one value a line, 64 Hz, no head
  FOLDER/s1/info_s1.txt        lines: subject, sex (m, f), group (test, ctrl), ..."""
BVP_HZ = 64.0
TASKS = {"T1": "rest", "T2": "speech", "T3": "arithmetic"}
GROUPS = {"test", "ctrl"}
_VIDEO = re.compile(r"vid_(s\d+)_(T\d)\.avi")


def read(folder: Path) -> Dataset:
    """Raises DatasetError."""
    clips = []
    for place in sorted(folder.glob("s*"), key=lambda p: (len(p.name), p.name)):
        for path in sorted(place.glob("vid_*.avi")):
            named = _VIDEO.fullmatch(path.name)
            if named is None or named[1] != place.name:
                raise wrong(path, f"a video of this name does not belong into {place.name}", LAYOUT)
            told = {"task": TASKS.get(named[2], named[2]), **_info(place / f"info_{place.name}.txt")}
            truth = need_file(place / f"bvp_{named[1]}_{named[2]}.csv", LAYOUT)
            clips.append(
                DatasetClip(
                    f"{named[1]}_{named[2]}",
                    named[1],
                    VideoFile(path),
                    partial(_pulse, truth),
                    (truth,),
                    told,
                )
            )
    if not clips:
        raise nothing(folder, LAYOUT)
    return Dataset("ubfc-phys", folder, tuple(clips))


def _info(path: Path) -> dict[str, str]:
    lines = [line.strip() for line in need_file(path, LAYOUT).read_text().splitlines() if line.strip()]
    if len(lines) < 3 or lines[2].lower() not in GROUPS:
        raise wrong(path, "its third line does not say the group, test or ctrl", LAYOUT)
    return {"sex": lines[1].lower(), "group": lines[2].lower()}


def _pulse(path: Path) -> Pulse:
    try:
        values = np.loadtxt(path, delimiter=",", ndmin=2)[:, 0]
    except ValueError as error:
        raise wrong(path, f"it is no column of numbers ({error})", LAYOUT) from error
    return pulse_of(path, values, even_times(values.size, BVP_HZ), LAYOUT)
