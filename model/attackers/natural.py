"""``python -m model.attackers.natural``: what a natural pulse gains against the detector, and what it costs.

The same scenes through the filter with its own pulse and with natural ones (`streamfilter.natural_pulse`), at
several levels of masking noise, each as it leaves the filter and after a call's codec (`calls`), through
which natural clips go too. For each: how well detectors tell it from natural clips, how far the shown rate
is read off, how often the true one is found. Writes docs/evaluation/attackers/natural.md and .json.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from model.attackers.calls import CALLS, PLANES, after, call_names
from model.attackers.detector import against
from model.attackers.gather import gather_with
from model.attackers.layout import Recording, load
from model.attackers.natural_reading import plain_readings, shown_readings
from model.attackers.natural_report import markdown
from model.attackers.record import record_versions, recordings_mark
from model.attackers.scenes import SECONDS, Scene, draw_scenes
from model.code_mark import ROOT
from model.evaluate.__main__ import commit_of
from model.evaluate.program import name_of, run_program
from model.evaluate.report import write_page
from streamfilter.artifact import load_artifact
from streamfilter.config import CLEAR, NATURAL, FilterSettings
from streamfilter.engine import open_engine
from streamfilter.face.finder import FaceFinder
from streamfilter.face_filter import VideoFilter

FOLDS, SEEDS = 4, 2
NATURALS = ("raw", "painted")
CODECS = f"{PLANES},vp8-1.5,vp8-0.5,h264-1.5"


@dataclass(frozen=True)
class Variant:
    """A pulse, its strength, and the masking noise's share of the artifact's."""

    pulse: str
    strength: float
    masking: float

    def words(self) -> str:
        return f"{self.pulse}, strength {self.strength:g}, masking × {self.masking:g}"


VARIANTS: Mapping[str, Variant] = {
    "out": Variant(CLEAR, 1.0, 1.0),
    "out_natural": Variant(NATURAL, 1.0, 1.0),
    "out_natural_calm": Variant(NATURAL, 1.0, 0.5),
    "out_natural_calmer": Variant(NATURAL, 1.0, 0.25),
    "out_natural_bare": Variant(NATURAL, 1.0, 0.0),
}
VERSIONS = (*NATURALS, *VARIANTS)


def _record(scene: Scene, folder: Path, calls: Sequence[str]) -> Path:
    artifact = load_artifact(None)

    def made(name: str, finder: FaceFinder) -> VideoFilter:
        variant = VARIANTS[name]
        settings = FilterSettings(
            target_bpm=scene.targets[0],
            seed=scene.seed * 10 + list(VARIANTS).index(name),
            strength=variant.strength,
            pulse=variant.pulse,
            masking=variant.masking,
        )
        engine = open_engine(artifact, settings.engine, settings.threads)
        return VideoFilter(settings, artifact, engine, finder)

    return record_versions(scene, folder, VERSIONS, made, calls)


def cache_name(step: str, calls: Sequence[str]) -> str:
    """Names a set of recordings: changes with the network's graph (``step``, its hash), the variants, the
    calls and the code."""
    return recordings_mark(step, VARIANTS, [(name, CALLS.get(name)) for name in calls])


def gathered(scenes: Sequence[Scene], folder: Path, calls: Sequence[str], jobs: int) -> list[Scene]:
    """The scenes that have recordings in ``folder``; those that are there are not made again."""
    refused = gather_with(partial(_record, calls=calls), scenes, folder, jobs)
    return [one for one in scenes if one.key() not in refused]


def figures_of(
    recordings: Sequence[Recording],
    call: str,
    variants: Mapping[str, Variant] = VARIANTS,
    folds: int = FOLDS,
    seeds: int = SEEDS,
) -> dict[str, Any]:
    """The figures of each variant, by its version's name, and of the natural clips, after one call."""
    names = {name: after(name, call) for name in (*NATURALS, *variants)}
    return {
        "natural": {name: plain_readings(recordings, names[name]) for name in NATURALS},
        "variants": {
            variant.words(): {
                "detector": {
                    natural: against(recordings, names[name], names[natural], folds, seeds)
                    for natural in NATURALS
                },
                "readings": shown_readings(recordings, names[name]),
            }
            for name, variant in variants.items()
        },
    }


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(prog="python -m model.attackers.natural", description=__doc__)
    parser.add_argument("--faces", type=Path, default=shared / "data" / "faces", help="folder of stills")
    parser.add_argument("--scenes", type=int, default=96, help="of two thirds train and one third test faces")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="read of each, default %(default)g")
    parser.add_argument("--codecs", default=CODECS, help=f"of {PLANES}, {', '.join(CALLS)}: %(default)s")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "natural", help="recorded scenes")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation" / "attackers")
    options = parser.parse_args(arguments)
    if options.scenes < 2 * FOLDS or options.jobs < 1:
        parser.error(f"give {2 * FOLDS} scenes and 1 job or more")
    return options


def study(options: argparse.Namespace, command: str) -> int:
    calls = call_names(options.codecs)
    torch.set_num_threads(1)
    faces = options.faces if options.faces.is_dir() else None
    manifest = load_artifact(None).manifest
    third = options.scenes // 3
    scenes = [
        *draw_scenes(faces, "test", third, options.seconds),
        *draw_scenes(faces, "train", options.scenes - third, options.seconds),
    ]
    folder = options.cache / cache_name(manifest.files["step.onnx"], calls)
    scenes = gathered(scenes, folder, calls, options.jobs)
    figures, subjects = {}, set()
    for call in calls:  # in turn: all versions at once would fill the memory
        recordings = [load(one, folder, [after(name, call) for name in VERSIONS]) for one in scenes]
        figures[call] = figures_of(recordings, call)
        subjects = {one.identity for one in recordings}
    meta = {
        "command": command,
        "commit": commit_of(),
        "artifact": name_of(manifest),
        "scenes": len(scenes),
        "seconds": options.seconds,
        "subjects": len(subjects),
    }
    page = write_page(options.out, "natural", markdown(meta, figures), meta | {"figures": figures})
    print(f"wrote {page}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program("python -m model.attackers.natural", parse, study, arguments)


if __name__ == "__main__":
    sys.exit(main())
