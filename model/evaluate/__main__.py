"""``python -m model.evaluate``: compares the editors and writes docs/evaluation."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from model.code_mark import ROOT
from model.evaluate.clip import LEAST_SECONDS, READ_SECONDS, SKIP_SECONDS
from model.evaluate.editors import NAMES, WANTED
from model.evaluate.plots import draw_all
from model.evaluate.pool import Spec, Task, run_all, sorted_out
from model.evaluate.program import name_of, run_program
from model.evaluate.real import real_specs
from model.evaluate.report import write_report
from model.evaluate.synthetic import synthetic_specs
from streamfilter.artifact import load_artifact


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(prog="python -m model.evaluate", description=__doc__)
    parser.add_argument("--artifact", default="default", help="folder of the artifact, or 'default'")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    parser.add_argument("--quick", action="store_true", help="6 synthetic and 2 real clips")
    parser.add_argument(
        "--seconds", type=float, default=READ_SECONDS, help="read of each synthetic clip, default %(default)g"
    )
    parser.add_argument("--clips", type=Path, default=shared / "data" / "clips", help="folder of real clips")
    parser.add_argument("--faces", type=Path, default=shared / "data" / "faces", help="folder of stills")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "eval-cache", help="generated clips")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--editors", default=",".join(NAMES), help="which of: " + ", ".join(NAMES))
    parser.add_argument("--only", default="", help="run only clips whose name contains one of these (comma)")
    parser.add_argument("--no-codecs", action="store_true", help="leave the codecs out")
    options = parser.parse_args(arguments)
    if not LEAST_SECONDS < options.seconds <= READ_SECONDS:
        parser.error(
            f"--seconds {options.seconds:g}: give more than {LEAST_SECONDS:g}, {READ_SECONDS:g} at most"
        )
    unknown = set(options.editors.split(",")) - set(NAMES)
    if unknown:
        parser.error(f"--editors {','.join(sorted(unknown))}: choose from {', '.join(NAMES)}")
    return options


def specs_of(options: argparse.Namespace) -> list[Spec]:
    faces = options.faces if options.faces.is_dir() else None
    if faces is None:
        print(
            f"{options.faces} is not there: the built-in portrait stands in (not held out)", file=sys.stderr
        )
    specs: list[Spec] = list(synthetic_specs(faces, options.quick, seconds=options.seconds))
    if options.clips.is_dir():
        specs += real_specs(options.clips, options.quick)
    else:
        print(f"{options.clips} is not there: no real clips", file=sys.stderr)
    wanted = options.only.split(",")
    return [spec for spec in specs if any(part in spec.name for part in wanted)]


def commit_of() -> str:
    """The commit that runs. The pages themselves do not count as a change: `make report` writes many."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    name = git("rev-parse", "--short", "HEAD") or "unknown"
    changed = git("status", "--porcelain", "-uno", "--", ".", ":!docs/evaluation")
    return name + (" with uncommitted changes" if changed else "")


def evaluate(options: argparse.Namespace, command: str) -> int:
    """Runs what the options say and writes the report. Returns 1 where a clip failed or none was measured."""
    editors = tuple(name for name in NAMES if name in options.editors.split(","))
    artifact = None if options.artifact == "default" else Path(options.artifact)
    direction, name = WANTED, "not run"
    if "artifact" in editors:
        manifest = load_artifact(artifact).manifest
        direction = manifest.pulse_direction
        name = name_of(manifest)
    tasks = [
        Task(spec, editors, artifact, direction, options.cache, options.engine, not options.no_codecs)
        for spec in specs_of(options)
    ]
    results, without = sorted_out(run_all(tasks, options.jobs), len(tasks))
    if not results:
        print("no clip could be evaluated: check --clips, --faces and --only", file=sys.stderr)
        return 1
    order = {task.spec.name: k for k, task in enumerate(tasks)}
    results.sort(key=lambda r: order[r["name"]])
    meta = {
        "command": command,
        "commit": commit_of(),
        "artifact": name,
        "skip_seconds": SKIP_SECONDS,
    } | {kind: dict(sorted(names.items())) for kind, names in without.items()}
    write_report(
        options.out, results, meta, lambda folder: draw_all(results, options.cache / "traces", folder)
    )
    print(f"wrote {options.out / 'README.md'}")
    if without["failed"]:
        print(f"{len(without['failed'])} clips failed: {', '.join(without['failed'])}", file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program("python -m model.evaluate", parse, evaluate, arguments)


if __name__ == "__main__":
    sys.exit(main())
