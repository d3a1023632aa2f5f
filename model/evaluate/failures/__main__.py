"""``python -m model.evaluate.failures``: the worst clips of docs/evaluation/results.json, shown.

Writes docs/evaluation/failures. The clips are made or read again, so that it takes a minute or so a clip.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.code_mark import ROOT
from model.evaluate.__main__ import commit_of
from model.evaluate.clip import READ_SECONDS, EvalClip
from model.evaluate.failures.choose import EDITOR, Case, choose, mean_error
from model.evaluate.failures.draw import draw
from model.evaluate.failures.page import Told, render
from model.evaluate.failures.shown import show
from model.evaluate.pool import Spec
from model.evaluate.program import name_of, run_program
from model.evaluate.real import open_real, real_specs
from model.evaluate.synthetic import SyntheticSpec, open_synthetic, synthetic_specs
from streamfilter.artifact import load_artifact
from streamfilter.errors import UsageError


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared"))
    docs = ROOT / "docs" / "evaluation"
    parser = argparse.ArgumentParser(prog="python -m model.evaluate.failures", description=__doc__)
    parser.add_argument(
        "--results", type=Path, default=docs / "results.json", help="of python -m model.evaluate"
    )
    parser.add_argument("--out", type=Path, default=docs / "failures", help="replaced as a whole")
    parser.add_argument("--count", type=int, default=3, help="clips of each kind of failure")
    parser.add_argument(
        "--pictures", action="store_true", help="with the faces; keep such a page to yourself"
    )
    parser.add_argument("--seconds", type=float, default=READ_SECONDS, help="as given to model.evaluate")
    parser.add_argument("--artifact", type=Path, help="folder of another artifact than the default one")
    parser.add_argument("--clips", type=Path, default=shared / "data" / "clips", help="folder of real clips")
    parser.add_argument("--faces", type=Path, default=shared / "data" / "faces", help="folder of stills")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "eval-cache", help="generated clips")
    options = parser.parse_args(arguments)
    if options.count < 1:
        parser.error("give --count 1 or more")
    return options


def specs_of(options: argparse.Namespace) -> dict[str, Spec]:
    """Every clip that the evaluation may have measured, by name."""
    faces = options.faces if options.faces.is_dir() else None
    specs: list[Spec] = list(synthetic_specs(faces, quick=False, seconds=options.seconds))
    if options.clips.is_dir():
        specs += real_specs(options.clips, quick=False)
    return {spec.name: spec for spec in specs}


def _open(spec: Spec, cache: Path) -> EvalClip:
    return open_synthetic(spec, cache) if isinstance(spec, SyntheticSpec) else open_real(spec, cache)


def evaluate(options: argparse.Namespace, command: str) -> int:
    """Draws the cases and writes the page. Returns 1 where a chosen clip is not at hand."""
    try:
        found = json.loads(options.results.read_text())
        results: list[dict[str, Any]] = found["clips"]
        measured = {r["name"]: r for r in results if EDITOR in r["editors"]}
        cases = choose(results, options.count)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{options.results} is no evaluation's results ({error}): make evaluate") from error
    if not cases:
        raise UsageError(f"{options.results} has no clip that the artifact edited: make evaluate")
    specs, absent, told = specs_of(options), [], []
    meta = {
        "command": command,
        "commit": commit_of(),
        "artifact": name_of(load_artifact(options.artifact).manifest),
        "measured": f"{found['meta']['artifact']}, commit {found['meta']['commit']}",
        "clips": len(measured),
        "errors": sorted(mean_error(result) for result in measured.values()),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent, prefix=f".{options.out.name}-") as place:
        aside = Path(place) / options.out.name
        aside.mkdir()
        for case in cases:
            if case.name not in specs:
                absent.append(case.name)
                continue
            told.append(_draw(case, specs[case.name], measured[case.name], aside, options))
            print(case.name, flush=True)
        (aside / "README.md").write_text(render(told, absent, meta))
        shutil.rmtree(options.out, ignore_errors=True)
        aside.rename(options.out)
    print(f"wrote {options.out / 'README.md'}")
    return 1 if absent else 0


def _draw(case: Case, spec: Spec, result: dict[str, Any], folder: Path, options: argparse.Namespace) -> Told:
    shown = show(_open(spec, options.cache), options.artifact)
    picture = f"{case.name}.png"
    draw(folder / picture, shown, options.pictures)
    return Told(case, result, shown, picture)


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program("python -m model.evaluate.failures", parse, evaluate, arguments)


if __name__ == "__main__":
    sys.exit(main())
