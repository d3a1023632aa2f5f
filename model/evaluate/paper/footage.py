"""``python -m model.evaluate.paper.footage FOLDER``: a small plain dataset where no public one is to be had.

Held-out generated clips with their exact wave, real clips with a known pulse put on their skin, and the real
clips whose own rate is known. It stands in for no public dataset: it shows the table at work.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.code_mark import ROOT
from model.datasets.generated import generate
from model.datasets.plain import TABLE
from model.evaluate.real import KNOWN_BPM, RealSpec, open_real
from streamfilter.errors import PhysioCamError

PLANTED = ("hschn58_75_light.avi", "clm_franck.mp4")
_COLUMNS = ("file", "subject", "bvp", "bpm", "source")


def make(folder: Path, faces: Path | None, clips: Path | None, generated: int, seconds: float) -> Path:
    """Writes the new ``folder``; without ``clips`` it holds the generated ones alone.

    Raises UsageError where it is there already, SourceError where a real clip cannot be read.
    """
    generate(folder, faces, generated, seconds)
    with (folder / TABLE).open(newline="", encoding="utf-8") as file:
        rows = [row | {"source": "generated"} for row in csv.DictReader(file)]
    if clips is not None:
        rows += [_known(folder, path) for path in sorted(clips.iterdir()) if path.stem in KNOWN_BPM]
        present = [clips / name for name in PLANTED if (clips / name).is_file()]
        rows += [_planted(folder, path, 7000 + k) for k, path in enumerate(present)]
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(dict.fromkeys([*_COLUMNS, *(key for row in rows for key in row)])))
        table.writeheader()
        table.writerows(rows)
    return folder


def _known(folder: Path, path: Path) -> dict[str, str]:
    shutil.copyfile(path, folder / path.name)
    bpm = f"{KNOWN_BPM[path.stem]:g}"
    return {"file": path.name, "subject": path.stem, "bvp": "", "bpm": bpm, "source": "real"}


def _planted(folder: Path, path: Path, seed: int) -> dict[str, str]:
    """The clip as `model.evaluate.real` plants it: lossless, from its first picture on."""
    cache = folder / ".planting"
    made = open_real(RealSpec(path, planted=True, seed=seed), cache)
    assert made.pulse is not None
    name = f"{path.stem}-planted"
    shutil.move(made.path, folder / f"{name}.mkv")
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        wave = csv.writer(file)
        wave.writerow(("time", "bvp"))
        seconds = made.times - made.times[0]
        wave.writerows((f"{t:.6f}", f"{v:.6f}") for t, v in zip(seconds, made.pulse.bvp, strict=True))
    shutil.rmtree(cache)
    told = {"file": f"{name}.mkv", "subject": path.stem, "bvp": f"{name}.csv", "bpm": ""}
    return told | {"source": "real, pulse planted"}


def main(arguments: Sequence[str] | None = None) -> int:
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared")) / "data"
    parser = argparse.ArgumentParser(prog="python -m model.evaluate.paper.footage", description=__doc__)
    parser.add_argument("folder", type=Path, help="new folder")
    parser.add_argument("--generated", type=int, default=4, help="how many generated clips")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each generated clip")
    parser.add_argument("--faces", type=Path, default=shared / "faces", help="folder of stills")
    parser.add_argument("--clips", type=Path, default=shared / "clips", help="folder of real clips")
    options = parser.parse_args(arguments)
    if options.generated < 1 or not np.isfinite(options.seconds) or options.seconds < 1:
        parser.error("give one clip or more, of a second or more")
    found = {}
    for name in ("faces", "clips"):
        path = getattr(options, name)
        found[name] = path if path.is_dir() else None
        if found[name] is None:
            print(f"{path} is not there: without it", file=sys.stderr)
    try:
        print(make(options.folder, found["faces"], found["clips"], options.generated, options.seconds))
    except PhysioCamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
