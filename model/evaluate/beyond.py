"""``python -m model.evaluate.beyond``: what skin beyond the face gives away, before and after the filter.

Writes docs/evaluation/beyond-the-face.md and .json. About four minutes of one core.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from model.code_mark import ROOT
from model.evaluate.beyond_cost import cost
from model.evaluate.beyond_report import write
from model.evaluate.beyond_run import run_scene
from model.evaluate.beyond_scenes import NEAR, ComposedScene, RealScene
from model.evaluate.program import name_of, run_program
from streamfilter.artifact import load_artifact

REAL = {  # skin beyond the crop, by eye
    "lp_s18.mp4": (0.55, 0.60, 0.95, 0.78),
    "lp_d10.mp4": (0.10, 0.88, 1.00, 1.00),
}
STILLS = (  # held-out faces; the speed of the hand; the hand's delay (ms); a wall of the face's tone
    ("female_white_28.jpg", 0.0, 60.0, False),
    ("male_black_28.jpg", 0.0, 120.0, False),
    ("female_latino_25.jpg", 1.2, 90.0, False),
    ("female_asian_28.jpg", 0.0, 90.0, True),
)


def scenes(clips: Path, faces: Path) -> list[RealScene | ComposedScene]:
    """The scenes; where the shared data is not there, the built-in portrait alone."""
    found: list[RealScene | ComposedScene] = []
    for seed, (name, speed, delay, wood) in enumerate(STILLS):
        delays = {NEAR: 20.0, "chest": 40.0, "hand": delay}
        if (faces / name).is_file():
            found.append(ComposedScene(faces / name, speed, delays, wood, seed))
        elif seed == 0:
            found.append(ComposedScene(None, speed, delays, wood, seed))
    for name, place in REAL.items():
        if (clips / name).is_file():
            found.append(RealScene(clips / name, {"chest": place}, {NEAR: 20.0, "chest": 40.0}))
    return found


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(prog="python -m model.evaluate.beyond", description=__doc__)
    parser.add_argument("--artifact", type=Path, default=None, help="folder of another artifact")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    parser.add_argument("--clips", type=Path, default=shared / "data" / "clips", help="folder of real clips")
    parser.add_argument("--faces", type=Path, default=shared / "data" / "faces", help="folder of stills")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--only", default="", help="run only scenes whose name contains this")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    return parser.parse_args(arguments)


def evaluate(options: argparse.Namespace, command: str) -> int:
    """Runs the scenes and writes the page."""
    chosen = [scene for scene in scenes(options.clips, options.faces) if options.only in scene.name]
    if not chosen:
        print(f"no scene's name contains {options.only!r}", file=sys.stderr)
        return 1
    manifest = load_artifact(options.artifact).manifest
    start, results = time.monotonic(), []
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        tasks = [(scene, options.artifact, options.engine, 11 + k) for k, scene in enumerate(chosen)]
        for result in pool.map(_run, tasks):
            results.append(result)
            print(f"{time.monotonic() - start:6.0f} s  {result['name']}", flush=True)
    meta = {
        "command": command,
        "artifact": name_of(manifest),
        "cost": cost(),
    }
    print(f"wrote {write(options.out, results, meta)}")
    return 0


def _run(task: tuple[RealScene | ComposedScene, Path | None, str, int]) -> dict[str, Any]:
    return run_scene(*task)


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program("python -m model.evaluate.beyond", parse, evaluate, arguments)


if __name__ == "__main__":
    sys.exit(main())
