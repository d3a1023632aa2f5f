"""``python -m model.attackers.dither``: is the edit told by how it is written? Writes attackers/dither.md.

The same scenes through the filter with three dithers: thresholds on a public lattice, thresholds drawn anew
from a secret key, and secret ones that stand still. Each attacker of `lattice` reads the true rate beside the
shown one, with a pulse on the skin and without (chance).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from model.attackers.chance import tally_cells
from model.attackers.gather import read_all
from model.attackers.lattice import LatticeDither, components, noise_power, without_edit
from model.attackers.layout import Recording
from model.attackers.reading import Tally, can_be_found, rate_of
from model.attackers.scenes import FPS, SECONDS, SKIP_SECONDS, Scene, draw_scenes
from model.code_mark import ROOT
from model.data.video import frame_of, render_video
from model.evaluate.__main__ import commit_of
from model.evaluate.program import name_of, run_program
from model.evaluate.report import table, write_page
from streamfilter.artifact import load_artifact
from streamfilter.config import FilterSettings
from streamfilter.dither import Dither
from streamfilter.engine import open_engine
from streamfilter.errors import UsageError
from streamfilter.face_filter import VideoFilter
from streamfilter.rppg.filters import resample
from streamfilter.rppg.heart_rate import heart_rate

SIZE = 256  # pixels, of a picture that the face nearly fills
Floats = npt.NDArray[np.float64]

DITHERS: Mapping[str, Dither] = {
    "public lattice (control)": LatticeDither(),
    "secret, drawn anew (what ships)": Dither(),
    "secret, standing still (natural pulse)": Dither(still=True),
}
ATTACKS = ("mean alone", "lattice", "noise power", "components")
HEADS = ("still", "moving")


@dataclass(frozen=True)
class Read:
    """Of a scene: who, the true and the shown rate, and by dither and attack the rates with the pulse on the
    skin and without."""

    identity: str
    motion: int
    true: float
    target: float
    found: Mapping[str, Mapping[str, Mapping[str, float]]]
    free: Mapping[str, Mapping[str, Mapping[str, float]]]


def read_scene(scene: Scene) -> Read:
    """Filters a scene in every way, and attacks what comes out."""
    cv2.setNumThreads(1)
    portrait = scene.portrait()
    video = render_video(np.random.default_rng(scene.seed), portrait, scene.settings, scene.size)
    ways = [(name, kind, free) for name, kind in DITHERS.items() for free in (False, True)]
    filters = [_filter(scene, kind) for _, kind, _ in ways]
    first = round(SKIP_SECONDS * FPS)
    side = scene.size // 2
    top, left = scene.size // 4, (scene.size - side) // 2
    place = slice(top, top + side), slice(left, left + side)
    taken: list[list[npt.NDArray[np.uint8]]] = [[] for _ in ways]
    try:
        for index, drawn in enumerate(video.frames()):
            bare = frame_of(drawn.pulse_free, drawn.frame.pts, drawn.frame.color)
            for way, made, kept in zip(ways, filters, taken, strict=True):
                out = made.process(bare if way[2] else drawn.frame).frame
                if index >= first:
                    kept.append(out.y[place])
    finally:
        for made in filters:
            made.close()
    times = video.times[first:]
    bvp = resample(video.bvp[first:, None].astype(np.float64), times, FPS)[:, 0]
    rates: dict[bool, dict[str, Any]] = {False: {}, True: {}}
    for (name, _, free), kept in zip(ways, taken, strict=True):
        rates[free][name] = _rates(np.stack(kept), top, left, times, scene.targets[0])
    return Read(
        portrait.identity,
        scene.settings.motion,
        float(heart_rate(bvp, FPS)),
        scene.targets[0],
        rates[False],
        rates[True],
    )


def _filter(scene: Scene, kind: Dither) -> VideoFilter:
    artifact = load_artifact(None)
    settings = FilterSettings(target_bpm=scene.targets[0], seed=scene.seed)
    engine = open_engine(artifact, settings.engine, settings.threads)
    return VideoFilter(settings, artifact, engine, dither=replace(kind, key=scene.seed))


def _rates(
    regions: npt.NDArray[np.uint8], top: int, left: int, times: Floats, target: float
) -> dict[str, Any]:
    traces = {
        "mean alone": regions.mean(axis=(1, 2))[:, None],
        "lattice": np.stack([without_edit(regions, top, left, tiles) for tiles in (1, 3)], axis=1),
        "noise power": noise_power(regions)[:, None],
        "components": components(regions),
    }
    return {
        name: {
            f"{k}": rate_of(column - column.mean(), FPS, (target,))
            for k, column in enumerate(resample(trace, times, FPS).T)
        }
        for name, trace in traces.items()
    }


def figures_of(reads: Sequence[Read]) -> dict[str, dict[str, dict[str, Any]]]:
    """Tallies by dither, attack, and head: "still" (the generator's motion 0), "moving"."""
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for name in DITHERS:
        tallies = {attack: {head: Tally() for head in HEADS} for attack in ATTACKS}
        for one in reads:
            targets = (one.target, one.target)
            known = Recording("", "test", one.identity, one.motion, one.true, targets, np.zeros(0), {})
            if can_be_found(known, targets):
                for attack, by_head in tallies.items():
                    by_head[HEADS[min(one.motion, 1)]].add(
                        known, one.found[name][attack], one.free[name][attack]
                    )
        out[name] = {
            attack: {head: tally.figures() for head, tally in by_head.items()}
            for attack, by_head in tallies.items()
        }
    return out


ABOUT = """An edit of a fraction of a level is written as samples that move by a whole one. These attackers
get every sample of Y unchanged, before any codec (a program that reads the virtual camera), and know the
filter's code, but no key. They look at a square in the middle of the face and read a rate within 3 bpm of the
true one or not, beside the shown one (*found*), and do the same where the skin has no pulse (*chance*). *mean
alone*: the square's mean; *lattice*: the edit is read off the classes of a public pattern and taken from the
mean, in one place and in nine; *noise power*: the scatter of samples, which is larger where the edit is half
a level; *components*: the three strongest common movements of the samples (`model/attackers/lattice.py`).
Intervals of 95 %, by drawing whole faces again."""


def markdown(meta: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    rows = [
        (name, attack, head, *tally_cells(one))
        for name, attacks in figures.items()
        for attack, heads in attacks.items()
        for head, one in heads.items()
        if one["clips"]
    ]
    written = (
        f"Written by `{meta['command']}` at {meta['commit']}: artifact {meta['artifact']}, "
        f"{meta['scenes']} scenes of {meta['seconds']:g} s at {SIZE} x {SIZE}, {meta['subjects']} "
        "faces that the filter was never trained on. "
        "Clips count whose true rate is clear of the shown one's notches."
    )
    head = ("thresholds", "attack", "head", "clips", "found", "chance", "gain (points)")
    return "\n\n".join(["# The dither read backwards", written, ABOUT, table(head, rows)])


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(prog="python -m model.attackers.dither", description=__doc__)
    parser.add_argument("--faces", type=Path, default=shared / "data" / "faces", help="folder of stills")
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="read of each, default %(default)g")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation" / "attackers")
    options = parser.parse_args(arguments)
    if options.scenes < 1 or options.jobs < 1:
        parser.error("give 1 scene and 1 job or more")
    return options


def study(options: argparse.Namespace, command: str) -> int:
    faces = options.faces if options.faces.is_dir() else None
    scenes = draw_scenes(faces, "test", options.scenes, options.seconds, SIZE)
    reads = read_all(read_scene, scenes, options.jobs)
    figures = figures_of(reads)
    if not any(one["clips"] for one in next(iter(figures.values()))[ATTACKS[0]].values()):
        raise UsageError("no scene's true rate is clear of the shown one: give more --scenes")
    meta = {
        "command": command,
        "commit": commit_of(),
        "artifact": name_of(load_artifact(None).manifest),
        "scenes": len(reads),
        "seconds": options.seconds,
        "subjects": len({one.identity for one in reads}),
    }
    page = write_page(options.out, "dither", markdown(meta, figures), meta | {"figures": figures})
    print(f"wrote {page}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program("python -m model.attackers.dither", parse, study, arguments)


if __name__ == "__main__":
    sys.exit(main())
