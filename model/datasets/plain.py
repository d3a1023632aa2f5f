"""A plain folder of clips with a table ``clips.csv``: the way to bring footage of one's own."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import numpy as np

from model.datasets.errors import need_file, nothing, pulse_of, wrong
from model.datasets.protocol import Dataset, DatasetClip, Pulse
from model.datasets.videos import VideoFile

TABLE = "clips.csv"
LAYOUT = """  FOLDER/clips.csv             head: file,subject[,bvp][,bpm][,others, kept as attributes]
    file     a video, relative to FOLDER or absolute
    subject  who is seen; the same word for the same person in every clip
    bvp      a CSV with the head time,bvp (seconds from the first picture), empty: none
    bpm      a heart rate that is known without a wave, empty: not known"""
_OWN = ("file", "subject", "bvp", "bpm")


def read(folder: Path) -> Dataset:
    """Raises DatasetError."""
    table = need_file(folder / TABLE, LAYOUT)
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns = rows.fieldnames or []
        missing = [name for name in ("file", "subject") if name not in columns]
        if missing:
            raise wrong(table, f"it has no column {', '.join(missing)}", LAYOUT)
        clips = [_clip(folder, table, number, row) for number, row in enumerate(rows, 2)]
    if not clips:
        raise nothing(folder, LAYOUT)
    return Dataset("plain", folder, tuple(clips))


def _clip(folder: Path, table: Path, line: int, row: dict[str, str]) -> DatasetClip:
    told = {key: (value or "").strip() for key, value in row.items() if key is not None}
    if not told["file"] or not told["subject"]:
        raise wrong(table, f"line {line} names no file or no subject", LAYOUT)
    video = need_file(folder / told["file"], LAYOUT)
    truth = need_file(folder / told["bvp"], LAYOUT) if told.get("bvp") else None
    return DatasetClip(
        Path(told["file"]).stem,
        told["subject"],
        VideoFile(video),
        None if truth is None else partial(_pulse, truth),
        () if truth is None else (truth,),
        {key: value for key, value in told.items() if key not in _OWN and value},
        _rate(table, line, told.get("bpm", "")),
    )


def _rate(table: Path, line: int, text: str) -> float | None:
    if not text:
        return None
    try:
        rate = float(text)
    except ValueError as error:
        raise wrong(table, f"line {line}: bpm {text!r} is no number", LAYOUT) from error
    if not 20.0 <= rate <= 250.0:
        raise wrong(table, f"line {line}: bpm {rate:g} is no heart rate", LAYOUT)
    return rate


def _pulse(path: Path) -> Pulse:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        if [word.strip() for word in next(rows, [])[:2]] != ["time", "bvp"]:
            raise wrong(path, "its head is not time,bvp", LAYOUT)
        try:
            table = np.array([[float(row[0]), float(row[1])] for row in rows if row], np.float64)
        except (ValueError, IndexError) as error:
            raise wrong(path, f"a line is no pair of numbers ({error})", LAYOUT) from error
    table = table.reshape(-1, 2)
    return pulse_of(path, table[:, 1], table[:, 0], LAYOUT)
