"""Held-out generated clips as a plain folder: an exact pulse for everything that reads datasets.

``python -m model.datasets.generated FOLDER --clips 4``; identities that nothing was trained on.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from model.data.collection import still_paths
from model.data.portrait import builtin_portrait, load_still
from model.data.settings import ClipSettings
from model.data.splits import require_split
from model.data.video import render_video
from model.datasets.plain import TABLE
from streamfilter.capture.source import ColorTags, SourceInfo
from streamfilter.errors import PhysioCamError, UsageError
from streamfilter.sinks.codec_settings import CodecSettings
from streamfilter.sinks.video_file import VideoFileSink

FPS = 30
SIZE = 288
MOTIONS = (0, 1, 2, 3, 4)


def generate(folder: Path, faces: Path | None, clips: int, seconds: float, seed: int = 11) -> Path:
    """Writes ``clips`` clips of ``seconds`` with their waves and the table; returns ``folder``.

    ``faces``: stills, of which the split "test" is taken; None: the built-in portrait, not held out. The
    folder appears when all is written. Raises UsageError where it is there already.
    """
    if folder.exists():
        raise UsageError(f"{folder} is there already: give another, or remove it")
    stills: list[Path | None] = [None] if faces is None else list(still_paths(faces, "test"))
    aside = folder.with_name(f".part-{folder.name}-{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    try:
        rows = [
            _film(aside, index, stills[int(rng.integers(len(stills)))], seconds, rng)
            for index in range(clips)
        ]
        with (aside / TABLE).open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _film(
    folder: Path, index: int, still: Path | None, seconds: float, rng: np.random.Generator
) -> dict[str, str]:
    """One lossless film and its wave; the table's row."""
    portrait = builtin_portrait() if still is None else load_still(still)
    if still is not None:
        require_split(portrait.identity, "test")
    motion = MOTIONS[index % len(MOTIONS)]
    settings = ClipSettings(
        frames=round(seconds * FPS),
        fps=float(FPS),
        motion=motion,
        hr=float(np.round(rng.uniform(48.0, 110.0), 1)),
        strength=float(np.exp(rng.uniform(np.log(0.003), np.log(0.006)))),
    )
    video = render_video(rng, portrait, settings, SIZE)
    name = f"{index:02d}-{portrait.identity}"
    info = SourceInfo(
        SIZE, SIZE, Fraction(FPS), None, video.color, False, "generated", Fraction(1, 90000), ColorTags()
    )
    sink = VideoFileSink(folder / f"{name}.mkv", info, CodecSettings(lossless=True))
    try:
        for drawn in video.frames():
            sink.write(drawn.frame)
    except BaseException:
        sink.abort()
        raise
    sink.close()
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        wave = csv.writer(file)
        wave.writerow(("time", "bvp"))
        wave.writerows(
            (f"{t:.6f}", f"{v:.6f}") for t, v in zip(video.times - video.times[0], video.bvp, strict=True)
        )
    tone = "light" if portrait.ita >= 28.0 else "dark" if portrait.ita < 10.0 else "middle"
    return {
        "file": f"{name}.mkv",
        "subject": portrait.identity,
        "bvp": f"{name}.csv",
        "bpm": "",
        "motion": str(motion),
        "skin tone": tone,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    parser = argparse.ArgumentParser(prog="python -m model.datasets.generated", description=__doc__)
    parser.add_argument("folder", type=Path, help="new folder")
    parser.add_argument("--clips", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--faces", type=Path, default=shared / "data" / "faces", help="folder of stills")
    options = parser.parse_args(arguments)
    if options.clips < 1 or options.seconds < 1:
        parser.error("give one clip or more, of a second or more")
    faces = options.faces if options.faces.is_dir() else None
    if faces is None:
        print(
            f"{options.faces} is not there: the built-in portrait stands in (not held out)", file=sys.stderr
        )
    try:
        print(generate(options.folder, faces, options.clips, options.seconds))
    except PhysioCamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
