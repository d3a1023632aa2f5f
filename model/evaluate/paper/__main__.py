"""``python -m model.evaluate.paper --dataset pure --folder DIR --out DIR``: the paper's table of a dataset.

From any dataset that `model.datasets` reads; ``docs/datasets.md`` says what each looks like on disk.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from model.code_mark import ROOT
from model.datasets.protocol import Dataset
from model.datasets.registry import DATASETS, open_dataset
from model.datasets.split import split_clips
from model.estimators.client import LEARNED, worker_python
from model.evaluate.__main__ import commit_of
from model.evaluate.clip import LEAST_SECONDS, READ_SECONDS
from model.evaluate.paper.measure import TARGETS
from model.evaluate.paper.report import write
from model.evaluate.paper.work import Job, run_all
from model.evaluate.pool import sorted_out
from model.evaluate.program import name_of, run_program
from model.rivals.reference import described
from streamfilter.artifact import load_artifact
from streamfilter.errors import UsageError

PARTS = ("all", "train", "val", "test")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.evaluate.paper", description=__doc__)
    parser.add_argument("--dataset", required=True, choices=sorted(DATASETS), help="how the folder is read")
    parser.add_argument("--folder", type=Path, required=True, help="where the dataset was unpacked")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for README.md, table.csv, results.json"
    )
    parser.add_argument("--title", default="", help="a word on the clips, for the page")
    parser.add_argument("--jobs", type=int, default=1, help="processes; each holds whole clips in memory")
    parser.add_argument("--limit", type=int, default=0, help="only so many clips; 0: all")
    parser.add_argument("--part", choices=PARTS, default="all", help="of a split by subject")
    parser.add_argument(
        "--seconds", type=float, default=READ_SECONDS, help="read of each clip, %(default)g at most"
    )
    parser.add_argument(
        "--targets", default=",".join(f"{bpm:g}" for bpm in TARGETS), help="bpm (comma), default %(default)s"
    )
    parser.add_argument("--artifact", type=Path, help="folder of another artifact than the default one")
    parser.add_argument("--reference", type=Path, help="a checkpoint of model.reference.train, also compared")
    parser.add_argument("--lpips", type=Path, help="LPIPS weights (model/perceptual.py)")
    parser.add_argument("--models", default=",".join(LEARNED), help="learned estimators (comma)")
    parser.add_argument("--no-learned", action="store_true", help="no learned estimator, no Privacy-Phys")
    parser.add_argument("--no-rivals", action="store_true", help="neither PulseEdit nor Privacy-Phys")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "paper", help="clips and results")
    options = parser.parse_args(arguments)
    if not LEAST_SECONDS < options.seconds <= READ_SECONDS:
        parser.error(f"--seconds {options.seconds:g}: more than {LEAST_SECONDS:g}, {READ_SECONDS:g} at most")
    try:
        options.targets = tuple(float(word) for word in options.targets.split(","))
    except ValueError:
        parser.error(f"--targets {options.targets}: give rates in bpm, 60,80")
    if not all(40.0 <= bpm <= 180.0 for bpm in options.targets):
        parser.error("--targets: give rates from 40 to 180 bpm")
    if options.limit < 0 or options.jobs < 1:
        parser.error("give --limit 0 or more, --jobs 1 or more")
    return options


def names_of(options: argparse.Namespace, dataset: Dataset) -> list[str]:
    """The clips to measure, in the dataset's order. Raises UsageError where none is left."""
    clips = dataset.clips if options.part == "all" else split_clips(dataset)[options.part]
    names = [clip.name for clip in clips]
    if not names:
        raise UsageError(f"the part {options.part} of {options.folder} is empty: give --part all")
    return names[: options.limit or None]


def evaluate(options: argparse.Namespace, command: str) -> int:
    """Measures the clips and writes the table. Returns 1 where a clip failed or none was measured."""
    models, notes = _models(options)
    if options.reference is None:
        notes.append("reference: not run; the paper's own setting takes a trained checkpoint (`--reference`)")
    else:
        notes.append(described(options.reference))
    if options.lpips is None:
        notes.append(
            "LPIPS: –, its backbone's weights are the user's to give (`--lpips`, model/perceptual.py)"
        )
    manifest = load_artifact(options.artifact).manifest
    job = Job(
        dataset=options.dataset,
        folder=options.folder,
        cache=options.cache,
        seconds=options.seconds,
        targets=options.targets,
        artifact=options.artifact,
        reference=options.reference,
        lpips=options.lpips,
        models=models,
        rivals=not options.no_rivals,
    )
    names = names_of(options, open_dataset(options.dataset, options.folder))
    results, without = sorted_out(run_all(job, names, options.jobs), len(names))
    if not results:
        print("no clip could be measured: see above, and python -m model.datasets --verify", file=sys.stderr)
        return 1
    results.sort(key=lambda result: names.index(result["name"]))
    meta = {
        "command": command,
        "commit": commit_of(),
        "artifact": name_of(manifest),
        "dataset": options.dataset,
        "title": options.title,
        "notes": notes,
    } | without
    write(options.out, results, meta, options.targets)
    print(f"wrote {options.out / 'README.md'}")
    return 1 if without["failed"] else 0


def _models(options: argparse.Namespace) -> tuple[tuple[str, ...], list[str]]:
    """The learned estimators to run, and a note where there are none."""
    if options.no_learned:
        return (), ["learned estimators and Privacy-Phys: left out (`--no-learned`)"]
    try:
        worker_python()
    except UsageError as error:
        print(f"{error}; without them and Privacy-Phys", file=sys.stderr)
        return (), [
            "learned estimators and Privacy-Phys: not run, their environment is absent (`make estimators`)"
        ]
    return tuple(options.models.split(",")), []


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program("python -m model.evaluate.paper", parse, evaluate, arguments)


if __name__ == "__main__":
    sys.exit(main())
