"""``python -m model.attackers.natural``: what a natural pulse gains against the detector, and what it costs.

The same scenes through the filter with its own pulse and with natural ones (`streamfilter.natural_pulse`), at
several levels of masking noise. For each: how well detectors tell it from natural clips, how far the shown
rate is read off, how often the true one is found. Writes docs/evaluation/attackers/natural.md and .json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.attackers.detector import against
from model.attackers.gather import gather_with
from model.attackers.layout import Recording, load
from model.attackers.reading import can_be_found, rates_of
from model.attackers.record import record_versions
from model.attackers.scenes import FPS, SECONDS, Scene, draw_scenes
from model.evaluate.metrics import ATTACKERS, HIT_BPM
from model.evaluate.program import name_of, run_program
from streamfilter.artifact import load_artifact
from streamfilter.config import CLEAR, NATURAL, FilterSettings
from streamfilter.engine import open_engine
from streamfilter.face.finder import FaceFinder
from streamfilter.face_filter import VideoFilter

ROOT = Path(__file__).resolve().parents[2]
FOLDS, SEEDS = 4, 2
NATURALS = ("raw", "painted")


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
    "out_half": Variant(CLEAR, 0.5, 1.0),
    "out_natural": Variant(NATURAL, 1.0, 1.0),
    "out_natural_calm": Variant(NATURAL, 1.0, 0.5),
    "out_natural_bare": Variant(NATURAL, 1.0, 0.0),
}
VERSIONS = (*NATURALS, *VARIANTS)


def _record(scene: Scene, folder: Path) -> Path:
    artifact = load_artifact(None)

    def made(name: str, finder: FaceFinder) -> VideoFilter:
        variant = VARIANTS[name]
        manifest = replace(artifact.manifest, masking=artifact.manifest.masking * variant.masking)
        settings = FilterSettings(
            target_bpm=scene.targets[0],
            seed=scene.seed * 10 + list(VARIANTS).index(name),
            strength=variant.strength,
            pulse=variant.pulse,
        )
        engine = open_engine(artifact, settings.engine, settings.threads)
        return VideoFilter(settings, replace(artifact, manifest=manifest), engine, finder)

    return record_versions(scene, folder, VERSIONS, made)


def gathered(scenes: Sequence[Scene], folder: Path, jobs: int) -> list[Recording]:
    """The scenes' recordings; those of the cache are not made again."""
    refused = gather_with(_record, scenes, folder, jobs)
    return [load(one, folder, VERSIONS) for one in scenes if one.key() not in refused]


def readings(recordings: Sequence[Recording], version: str) -> dict[str, float]:
    """Shares of the readings of POS, CHROM, GREEN, PCA, and their median error to the target in bpm."""
    errors, true, hidden = [], [], []
    for one in recordings:
        target, trace = one.targets[0], one.versions[version].face
        plain = rates_of(trace, FPS, ())
        errors += [abs(plain[name] - target) for name in ATTACKERS]
        if can_be_found(one, (target,)):
            true += [abs(plain[name] - one.true_bpm) <= HIT_BPM for name in ATTACKERS]
            after = rates_of(trace, FPS, (target,))
            hidden += [abs(rate - one.true_bpm) <= HIT_BPM for rate in after.values()]
    return {
        "error": round(float(np.nanmedian(errors)), 2),
        "at target": round(float(np.mean(np.array(errors) <= HIT_BPM)), 3),
        "at the true rate": round(float(np.mean(true)), 3),
        "found after the notch": round(float(np.mean(hidden)), 3),
    }


def figures_of(recordings: Sequence[Recording]) -> dict[str, Any]:
    return {
        variant.words(): {
            "detector": {natural: against(recordings, name, natural, FOLDS, SEEDS) for natural in NATURALS},
            "readings": readings(recordings, name),
        }
        for name, variant in VARIANTS.items()
    }


def markdown(meta: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    lines = [
        "# A natural pulse against the detector",
        "",
        f"Written by `{meta['command']}`: artifact {meta['artifact']}, {meta['scenes']} scenes of "
        f"{meta['seconds']:g} s, {meta['subjects']} faces. Detectors, marks and natural clips are those of "
        "[the attackers' report](README.md); area under the curve with its interval of 95 %, 0.5 is chance.",
        "",
    ]
    names = list(next(iter(figures.values()))["detector"]["raw"]["detectors"])
    lines += [
        "| shown pulse | " + " | ".join(f"{name}, against {n}" for n in NATURALS for name in names) + " |"
    ]
    lines += ["|---" * (1 + len(names) * len(NATURALS)) + "|"]
    for words, table in figures.items():
        cells = [table["detector"][n]["detectors"][name] for n in NATURALS for name in names]
        told = [f"{one['value']:.2f} ({one['low']:.2f} to {one['high']:.2f})" for one in cells]
        lines.append(f"| {words} | " + " | ".join(told) + " |")
    lines += [
        "",
        "Readings by POS, CHROM, GREEN, PCA, within 3 bpm; after the notch as in the report.",
        "",
        "| shown pulse | median error (bpm) | at the target | at the true rate | found after the notch |",
        "|---|---|---|---|---|",
    ]
    for words, table in figures.items():
        read = table["readings"]
        shares = [read["at target"], read["at the true rate"], read["found after the notch"]]
        lines.append(f"| {words} | {read['error']:g} | " + " | ".join(f"{x:.0%}" for x in shares) + " |")
    lines += ["", "Marks that alone tell most, against raw:", ""]
    for words, table in figures.items():
        best = table["detector"]["raw"]["best marks"]
        lines.append(f"- {words}: " + ", ".join(f"{name} {value:.2f}" for name, value in best.items()))
    return "\n".join(lines) + "\n"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(prog="python -m model.attackers.natural", description=__doc__)
    parser.add_argument("--faces", type=Path, default=shared / "data" / "faces", help="folder of stills")
    parser.add_argument("--scenes", type=int, default=96, help="of two thirds train and one third test faces")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="read of each, default %(default)g")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "natural", help="recorded scenes")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation" / "attackers")
    options = parser.parse_args(arguments)
    if options.scenes < 2 * FOLDS or options.jobs < 1:
        parser.error(f"give {2 * FOLDS} scenes and 1 job or more")
    return options


def study(options: argparse.Namespace, command: str) -> int:
    torch.set_num_threads(1)
    faces = options.faces if options.faces.is_dir() else None
    manifest = load_artifact(None).manifest
    third = options.scenes // 3
    scenes = [
        *draw_scenes(faces, "test", third, options.seconds),
        *draw_scenes(faces, "train", options.scenes - third, options.seconds),
    ]
    recordings = gathered(scenes, options.cache / manifest.files["step.onnx"][:12], options.jobs)
    meta = {
        "command": command,
        "artifact": name_of(manifest),
        "scenes": len(recordings),
        "seconds": options.seconds,
        "subjects": len({one.identity for one in recordings}),
    }
    figures = figures_of(recordings)
    options.out.mkdir(parents=True, exist_ok=True)
    for suffix, text in (
        ("md", markdown(meta, figures)),
        ("json", json.dumps(meta | {"figures": figures}, indent=1) + "\n"),
    ):
        part = options.out / f"natural.{suffix}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(options.out / f"natural.{suffix}")
    print(f"wrote {options.out / 'natural.md'}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program("python -m model.attackers.natural", parse, study, arguments)


if __name__ == "__main__":
    sys.exit(main())
