"""``python -m model.attackers``: attackers that know the filter; writes docs/evaluation/attackers."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model.attackers.attacks import inverse, notch
from model.attackers.beside import beside, beyond_the_face
from model.attackers.detector import detector
from model.attackers.differencing import differencing
from model.attackers.gather import COUNTS, QUICK, all_scenes, gather
from model.attackers.layout import Recording, load
from model.attackers.learned import learned
from model.attackers.nets import Fit
from model.attackers.off_skin import off_skin
from model.attackers.record import recordings_mark
from model.attackers.report import write
from model.attackers.scenes import SECONDS, Role, Scene
from model.code_mark import ROOT, code_mark
from model.evaluate.__main__ import commit_of
from model.evaluate.program import name_of, run_program
from streamfilter.artifact import load_artifact, write_whole
from streamfilter.errors import UsageError

_LEAST_SECONDS = 6.0
_LEAST_SUBJECTS = 4  # with recordings, or the folds of the learned attackers are empty


@dataclass(frozen=True)
class Effort:
    """How much is spent on the learned attackers."""

    folds: int
    seeds: int
    fit: Fit


FULL = Effort(4, 3, Fit())
FAST = Effort(2, 1, Fit(steps=20, batch=8))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(prog="python -m model.attackers", description=__doc__)
    parser.add_argument("--artifact", default="default", help="folder of the artifact, or 'default'")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation" / "attackers")
    parser.add_argument("--faces", type=Path, default=shared / "data" / "faces", help="folder of stills")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "attackers", help="recorded scenes")
    parser.add_argument(
        "--beyond",
        type=Path,
        default=ROOT / "docs" / "evaluation" / "beyond-the-face.json",
        help="figures of python -m model.evaluate.beyond: neck and hands",
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="read of each scene, default %(default)g"
    )
    for role, count in COUNTS.items():
        parser.add_argument(f"--{role}", type=int, help=f"scenes of this role, default {count}")
    parser.add_argument("--quick", action="store_true", help="a dozen scenes, little training: does it run?")
    parser.add_argument(
        "--recorded", action="store_true", help="use the scenes that are in the cache, no more"
    )
    options = parser.parse_args(arguments)
    if not _LEAST_SECONDS <= options.seconds <= 60.0:
        parser.error(f"--seconds {options.seconds:g}: give {_LEAST_SECONDS:g} to 60")
    for role in COUNTS:
        if getattr(options, role) is not None and getattr(options, role) < 2:
            parser.error(f"--{role} {getattr(options, role)}: give 2 or more")
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: give 1 or more")
    return options


def counts_of(options: argparse.Namespace) -> dict[Role, int]:
    counts = QUICK if options.quick else COUNTS
    return {role: getattr(options, role) or count for role, count in counts.items()}


def attack(options: argparse.Namespace, command: str) -> int:
    """Gathers the scenes, lets every attacker at them, writes the report."""
    torch.set_num_threads(1)
    artifact = None if options.artifact == "default" else Path(options.artifact)
    manifest = load_artifact(artifact).manifest
    faces = options.faces if options.faces.is_dir() else None
    if faces is None:
        print(f"{options.faces} is not there: the built-in portrait stands in for all faces", file=sys.stderr)
    scenes = all_scenes(faces, counts_of(options), options.seconds)
    cache = options.cache / recordings_mark(manifest.files["step.onnx"])
    refused = {} if options.recorded else gather(scenes, cache, artifact, options.jobs)
    recordings = recorded(scenes, cache)
    by_role = {role: [one for one in recordings if one.role == role] for role in COUNTS}
    if min(len(by_role["train"]), len(by_role["test"])) < 2:
        raise UsageError(
            f"{len(recordings)} of {len(scenes)} scenes are recorded in {cache}, two of train and test are "
            "needed: run again without --recorded"
        )
    effort = FAST if options.quick else FULL
    both = [*by_role["train"], *by_role["test"]]
    subjects = len({one.identity for one in both})
    direction = manifest.pulse_direction
    attacks: dict[str, Callable[[], dict[str, Any]]] = {
        "notch": lambda: notch(by_role["test"], direction),
        "inverse": lambda: inverse(by_role["test"], by_role["train"], direction),
        "beside": lambda: beside(by_role["test"], by_role["heave"]),
        "differencing": lambda: differencing(by_role["test"]),
        "off_skin": lambda: off_skin(by_role["test"]),
    }
    if subjects >= _LEAST_SUBJECTS:
        attacks["detector"] = lambda: detector(both, effort.folds, effort.seeds)
        attacks["learned"] = lambda: learned(both, effort.folds, effort.seeds, effort.fit)
    mark = _mark(recordings, effort)
    figures: dict[str, Any] = {}
    for name, run in attacks.items():
        figures[name] = remembered(cache / f"{name}-{mark}.json", run)
        print(f"{name}: done", flush=True)
    figures["beyond"] = beyond_the_face(options.beyond)
    meta = {
        "command": command,
        "commit": commit_of(),
        "artifact": name_of(manifest),
        "seconds": options.seconds,
        "scenes": {role: len(found) for role, found in by_role.items()},
        "asked": dict(counts_of(options)),
        "subjects": subjects,
        "test subjects": len({one.identity for one in by_role["test"]}),
        "masking": manifest.masking,
        "refused": refused,
        "quick": options.quick,
    }
    print(f"wrote {write(options.out, meta, figures)}")
    return 0


def recorded(scenes: Sequence[Scene], cache: Path) -> list[Recording]:
    """The recordings that are there, in the scenes' order by role and number."""
    there = [scene for scene in scenes if (cache / f"{scene.key()}.npz").is_file()]
    return [load(scene, cache) for scene in sorted(there, key=lambda scene: (scene.role, scene.number))]


def remembered(path: Path, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The figures in ``path``, worked out where it is not there: a run that was cut short goes on."""
    if not path.is_file():
        write_whole(path, json.dumps(run()))
    figures: dict[str, Any] = json.loads(path.read_text())
    return figures


def _mark(recordings: Sequence[Recording], effort: Effort) -> str:
    """Changes with the recordings, the effort and the attackers' code."""
    code = code_mark(["model/attackers/*.py"], ("__main__.py", "report.py", "plots.py", "gather.py"))
    return hashlib.sha256(repr(([one.name for one in recordings], effort, code)).encode()).hexdigest()[:12]


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program("python -m model.attackers", parse, attack, arguments)


if __name__ == "__main__":
    sys.exit(main())
