"""``python -m model.datasets NAME FOLDER``: what a dataset's folder holds, and whether it can be read."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.datasets.prepare import PrepareSettings, prepared
from model.datasets.protocol import Dataset, DatasetClip, DatasetError
from model.datasets.registry import DATASETS, open_dataset
from streamfilter.errors import PhysioCamError


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.datasets", description=__doc__)
    parser.add_argument("name", choices=sorted(DATASETS), help="the dataset")
    parser.add_argument("folder", type=Path, help="where it was unpacked")
    parser.add_argument("--verify", action="store_true", help="decode every picture and read every pulse")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--prepare", type=Path, metavar="CACHE", help="make face crops into this folder")
    parser.add_argument("--size", type=int, default=72, help="side of the crops, default %(default)s")
    parser.add_argument("--crop", choices=("face", "centre"), default="face")
    return parser.parse_args(arguments)


def about(clip: DatasetClip, verify: bool) -> dict[str, Any]:
    """What is known of a clip; with ``verify`` also how many pictures can be decoded. Raises DatasetError."""
    times = clip.times()
    rate = clip.heart_rate()
    if times.size > 1 and not (np.diff(times) > 0).all():
        raise DatasetError(f"{clip.name}: the pictures' times do not rise")
    told = {
        "name": clip.name,
        "subject": clip.subject,
        "frames": int(times.size),
        "seconds": round(float(times[-1] - times[0]), 2),
        "fps": round((times.size - 1) / float(times[-1] - times[0]), 2) if times.size > 1 else None,
        "bpm": None if rate is None else round(rate, 1),
        "attributes": dict(clip.attributes),
    }
    if verify:
        shapes = {rgb.shape for rgb in _counted(clip, times.size)}
        if len(shapes) != 1:
            raise DatasetError(f"{clip.name}: pictures of different sizes {sorted(shapes)}")
        height, width, _ = shapes.pop()
        told["size"] = [width, height]
    return told


def _counted(clip: DatasetClip, count: int) -> Any:
    seen = 0
    for rgb in clip.frames():
        seen += 1
        yield rgb
    if seen != count:
        raise DatasetError(f"{clip.name}: {seen} of {count} pictures can be decoded; fetch it again")


def line(told: dict[str, Any]) -> str:
    rate = "–" if told["bpm"] is None else f"{told['bpm']:.1f}"
    words = ", ".join(f"{key} {value}" for key, value in told["attributes"].items())
    return (
        f"{told['name']:24} {told['subject']:12} {told['seconds']:7.1f} s {told['frames']:6d} pictures "
        f"{rate:>6} bpm  {words}"
    )


def run(options: argparse.Namespace, dataset: Dataset) -> int:
    found, bad = [], []
    for clip in dataset.clips:
        try:
            told = about(clip, options.verify)
            if options.prepare is not None:
                prepared(clip, PrepareSettings(options.size, options.crop), options.prepare)
        except PhysioCamError as error:
            bad.append({"name": clip.name, "error": str(error)})
            if not options.json:
                print(f"{clip.name}: {error}", file=sys.stderr)
            continue
        found.append(told)
        if not options.json:
            print(line(told), flush=True)
    rates = [told["bpm"] for told in found if told["bpm"] is not None]
    total = {
        "clips": len(found),
        "subjects": len({told["subject"] for told in found}),
        "seconds": round(sum(told["seconds"] for told in found), 1),
        "bpm": [min(rates), max(rates)] if rates else None,
        "official": {name: sorted(parts) for name, parts in dataset.official.items()},
        "bad": len(bad),
    }
    if options.json:
        print(json.dumps({"total": total, "clips": found, "bad": bad}, indent=1))
    else:
        span = f"{min(rates):.0f} to {max(rates):.0f} bpm" if rates else "no heart rate known"
        print(
            f"{total['clips']} clips of {total['subjects']} subjects, {total['seconds']} s, {span}"
            + (f"; {len(bad)} cannot be read" if bad else "")
        )
    return 1 if bad else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all could be read. 1: some clips could not. Otherwise the error's own code."""
    options = parse(arguments)
    try:
        return run(options, open_dataset(options.name, options.folder))
    except PhysioCamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
