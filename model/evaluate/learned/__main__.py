"""``python -m model.evaluate.learned``: learned estimators and rivals; writes docs/evaluation/rivals.md."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from model.code_mark import ROOT, code_mark, digest_of
from model.estimators.client import LEARNED, EstimatorProcess, worker_python
from model.evaluate.__main__ import commit_of
from model.evaluate.clip import EvalClip
from model.evaluate.learned.measure import Setup, measure_clip
from model.evaluate.learned.report import write
from model.evaluate.pool import Spec
from model.evaluate.program import name_of, run_program
from model.evaluate.real import open_real, real_specs
from model.evaluate.synthetic import SyntheticSpec, open_synthetic, synthetic_specs
from model.rivals.physnet import published_physnet
from model.rivals.privacy_phys import PrivacyPhys
from model.rivals.protocol import Rival
from model.rivals.pulse_edit import PulseEdit
from model.rivals.reference import ReferenceRival, described
from model.rivals.region_edit import RegionEdit
from streamfilter.artifact import load_artifact, write_whole
from streamfilter.errors import SourceError, UsageError

ESTIMATORS_NOTE = """With the weights that open-rppg 0.1.1 publishes, in a process of their own
(`model/estimators`); the rate is the spectral peak of the wave that the network gives.
"""
_SOURCES = (
    "model/rivals/*.py",
    "model/estimators/*.py",
    "model/evaluate/learned/*.py",
    "model/evaluate/*.py",
)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.evaluate.learned", description=__doc__)
    add_options(parser, synthetic=10, seconds=20.0)
    parser.add_argument("--models", default=",".join(LEARNED), help="learned estimators (comma)")
    parser.add_argument("--reference", type=Path, help="a checkpoint of model.reference.train, also compared")
    parser.add_argument(
        "--no-learned", action="store_true", help="neither learned estimators nor Privacy-Phys"
    )
    return parser.parse_args(arguments)


def add_options(parser: argparse.ArgumentParser, synthetic: int, seconds: float) -> None:
    """Artifact, clips and where the page goes, for programs that measure these clips; with their defaults."""
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared"))
    parser.add_argument("--artifact", default="default", help="folder of the artifact, or 'default'")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    parser.add_argument("--clips", type=Path, default=shared / "data" / "clips", help="folder of real clips")
    parser.add_argument("--faces", type=Path, default=shared / "data" / "faces", help="folder of stills")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "learned", help="clips and results")
    parser.add_argument("--synthetic", type=int, default=synthetic, help="how many held-out synthetic clips")
    parser.add_argument(
        "--real", default="evm_face", help="real clips by name (comma), as they are or -planted"
    )
    parser.add_argument("--seconds", type=float, default=seconds, help="read of each synthetic clip")


def specs_of(options: argparse.Namespace) -> list[Spec]:
    faces = options.faces if options.faces.is_dir() else None
    specs: list[Spec] = []
    if options.clips.is_dir():
        wanted = options.real.split(",")
        specs += [spec for spec in real_specs(options.clips, quick=False) if spec.name in wanted]
    specs += synthetic_specs(faces, quick=False, seconds=options.seconds)[: options.synthetic]
    return specs


def evaluate(options: argparse.Namespace, command: str) -> int:
    """Measures every clip and writes the report. Returns 1 where none could be measured."""
    torch.set_num_threads(1)
    artifact = None if options.artifact == "default" else Path(options.artifact)
    manifest = load_artifact(artifact).manifest
    name, direction = name_of(manifest), manifest.pulse_direction
    rivals: dict[str, Rival] = {"pulse-edit": PulseEdit(), "region-edit": RegionEdit(direction)}
    readers, notes, about, reference = {}, [], "", ""
    if options.reference is None:
        notes.append("reference: the paper's own setting takes a trained checkpoint (--reference)")
    else:
        rivals["reference"] = ReferenceRival.load(options.reference)
        about, reference = digest_of(options.reference), described(options.reference)
    with ExitStack() as held:
        if not options.no_learned:
            process = held.enter_context(EstimatorProcess(worker_python()))
            rivals["privacy-phys"] = PrivacyPhys(published_physnet(process))
            readers = {model: process.reader(model) for model in options.models.split(",")}
        setup = Setup(rivals, readers, artifact, direction)
        code = code_mark(_SOURCES, ("report.py",))
        results, start = [], time.monotonic()
        for spec in specs_of(options):
            mark = hashlib.sha256(
                repr((spec.key(), code, name, sorted(rivals), about, sorted(readers))).encode()
            )
            kept = options.cache / "results" / f"{spec.name}-{mark.hexdigest()[:16]}.json"
            try:
                results.append(_measured(spec, setup, kept, options.cache))
            except SourceError as error:
                notes.append(f"{spec.name}: {error}")
            print(f"{time.monotonic() - start:6.0f} s  {spec.name}", flush=True)
    if not results:
        raise UsageError("no clip could be measured: check --clips, --faces, --real and --synthetic")
    meta = {
        "command": command,
        "commit": commit_of(),
        "artifact": name,
        "estimators": ESTIMATORS_NOTE,
        "reference": reference,
        "notes": notes,
    }
    write(options.out, results, meta)
    print(f"wrote {options.out / 'rivals.md'}")
    return 0


def opened(spec: Spec, cache: Path) -> EvalClip:
    """The clip, made in ``cache`` where it is not there yet. Raises SourceError where too little is read."""
    return open_synthetic(spec, cache) if isinstance(spec, SyntheticSpec) else open_real(spec, cache)


def _measured(spec: Spec, setup: Setup, kept: Path, cache: Path) -> dict[str, Any]:
    """The figures of a clip, from an earlier run where nothing has changed since."""
    if kept.is_file():
        known: dict[str, Any] = json.loads(kept.read_text())
        return known
    result = measure_clip(opened(spec, cache), setup)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, json.dumps(result))
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program("python -m model.evaluate.learned", parse, evaluate, arguments)


if __name__ == "__main__":
    sys.exit(main())
