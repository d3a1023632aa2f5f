"""``python -m model.attackers.standing_blocks``: does a source that was compressed before give the edit away?

Scenes as a webcam (MJPEG) or a file (H.264) delivers them, and uncompressed, go through the filter; the
attacker (`blocks`) takes what most blocks do for the edit. Writes attackers/standing-blocks.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from model.attackers.gather import read_all
from model.attackers.layout import Recording
from model.attackers.reading import Tally, readable_scenes
from model.attackers.scenes import SECONDS, Scene
from model.attackers.standing_blocks_reading import (
    ATTACKS,
    REAL_CLIP,
    RECEIVED,
    SOURCES,
    Read,
    read_scene,
    real_clip,
)
from model.attackers.standing_blocks_report import markdown
from model.code_mark import ROOT
from model.evaluate.__main__ import commit_of
from model.evaluate.program import name_of, run_program
from model.evaluate.report import write_page
from streamfilter.artifact import load_artifact
from streamfilter.config import CLEAR, NATURAL
from streamfilter.errors import UsageError

SIZE = 256  # pixels, of a picture that the face nearly fills
MOTION = (0, 1, 0, 2)  # levels of the generator, scene by scene
HEADS = ("still", "moving", "all")


def scenes_of(faces: Path | None, count: int, seconds: float) -> list[Scene]:
    """The first ``count`` test scenes whose true rate is clear of the shown one, their motion as ``MOTION``
    says."""
    return [
        replace(one, settings=replace(one.settings, motion=MOTION[k % len(MOTION)]))
        for k, one in enumerate(readable_scenes(faces, count, seconds, SIZE))
    ]


def figures_of(reads: Sequence[Read]) -> dict[str, Any]:
    """Tallies by what was received, source, attack and head: "still" is motion 0, "moving" 1 and 2."""
    tallies: dict[str, Any] = {}
    for way in next(iter(reads[0].found.values())):
        for source in SOURCES:
            for attack, names in ATTACKS.items():
                by_head = {head: Tally() for head in HEADS}
                for one in reads:
                    known = Recording(
                        "", "test", one.identity, one.motion, one.true, (one.target,) * 2, np.zeros(0), {}
                    )
                    pair = [{n: kind[source][way][n] for n in names} for kind in (one.found, one.free)]
                    for head in (HEADS[min(one.motion, 1)], "all"):
                        by_head[head].add(known, *pair)
                entry = {head: tally.figures() for head, tally in by_head.items()}
                tallies.setdefault(way, {}).setdefault(source, {})[attack] = entry
    sources = {
        source: {
            "standing": round(float(np.mean([one.standing[source] for one in reads])), 3),
            "likeness": _median([one.likeness[source] for one in reads]),
            "likeness still": _median([one.likeness[source] for one in reads if one.motion == 0]),
        }
        for source in SOURCES
    }
    return {"sources": sources, "found": tallies}


def _median(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 3) if values else None


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared")) / "data"
    parser = argparse.ArgumentParser(prog="python -m model.attackers.standing_blocks", description=__doc__)
    parser.add_argument("--faces", type=Path, default=shared / "faces", help="folder of stills")
    parser.add_argument("--clips", type=Path, default=shared / "clips", help=f"folder with {REAL_CLIP}.mp4")
    parser.add_argument("--scenes", type=int, default=12, help="whose true rate is clear of the shown one")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="read of each, default %(default)g")
    parser.add_argument("--received", default=",".join(RECEIVED), help="as: %(default)s")
    parser.add_argument("--pulse", choices=(CLEAR, NATURAL), default=CLEAR)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation" / "attackers")
    options = parser.parse_args(arguments)
    if options.scenes < 1 or options.jobs < 1:
        parser.error("give 1 scene and 1 job or more")
    options.received = tuple(dict.fromkeys(options.received.split(",")))
    if unknown := set(options.received) - set(RECEIVED):
        parser.error(f"--received {','.join(sorted(unknown))}: choose from {', '.join(RECEIVED)}")
    return options


def study(options: argparse.Namespace, command: str) -> int:
    faces = options.faces if options.faces.is_dir() else None
    scenes = scenes_of(faces, options.scenes, options.seconds)
    if not scenes:
        raise UsageError("no scene's true rate is clear of the shown one: give more --scenes")
    attacked = partial(read_scene, received=options.received, pulse=options.pulse)
    reads = read_all(attacked, scenes, options.jobs)
    figures = figures_of(reads)
    clip = options.clips / f"{REAL_CLIP}.mp4"
    if clip.is_file():
        figures["real"] = real_clip(clip, options.received, options.pulse, options.seconds)
    else:
        print(f"{clip} is not there: no real clip is attacked", file=sys.stderr)
    meta = {
        "command": command,
        "commit": commit_of(),
        "artifact": name_of(load_artifact(None).manifest),
        "pulse": options.pulse,
        "scenes": len(reads),
        "seconds": options.seconds,
        "size": SIZE,
        "subjects": len({one.identity for one in reads}),
    }
    page = write_page(options.out, "standing-blocks", markdown(meta, figures), meta | {"figures": figures})
    print(f"wrote {page}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program("python -m model.attackers.standing_blocks", parse, study, arguments)


if __name__ == "__main__":
    sys.exit(main())
