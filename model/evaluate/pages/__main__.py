"""``python -m model.evaluate.pages`` (make report): every report of docs/evaluation anew, and its index.

Hours on two cores where nothing is cached. What is absent here is left out, and the index says so. With
``--quick`` every report is made of a few short clips, below runs/report-quick: does all of it run?
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from model.code_mark import ROOT
from model.evaluate.pages.index import write_index
from model.evaluate.pages.parts import DOCS, PAPER_SET, PARTS, QUICK, Part, commands_of, missing
from model.evaluate.program import run_program
from streamfilter.errors import UsageError


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(prog="python -m model.evaluate.pages", description=__doc__)
    parser.add_argument("--only", default=",".join(names), help="which of (comma): " + ", ".join(names))
    parser.add_argument("--index", action="store_true", help="write the index alone, run nothing")
    parser.add_argument("--quick", action="store_true", help=f"a few clips each, into {QUICK}")
    options = parser.parse_args(arguments)
    unknown = set(options.only.split(",")) - set(names)
    if unknown:
        parser.error(f"--only {','.join(sorted(unknown))}: choose from {', '.join(names)}")
    return options


def run_part(part: Part, root: Path, quick: bool = False) -> str:
    """Runs the part's commands in ``root`` until one fails; the state for the index."""
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", root.parent / "shared")) / "data"
    absent = missing(part, {"clips": shared / "clips", "faces": shared / "faces"})
    if absent is not None:
        return f"left out: {absent} is not there"
    if part.name == "paper":
        shutil.rmtree(root / PAPER_SET, ignore_errors=True)  # made anew, so that it follows the code
    start = time.monotonic()
    for words in commands_of(part, root, quick):
        print(f"== {part.name}: python {' '.join(words)}", flush=True)
        code = subprocess.run([sys.executable, *words], cwd=root, check=False).returncode
        if code != 0:
            return f"**failed**: `python {' '.join(words)}` ended with {code}"
    return f"written, {(time.monotonic() - start) / 60:.0f} minutes"


def evaluate(options: argparse.Namespace, command: str, root: Path = ROOT) -> int:
    """Runs the parts in their order and writes the index. Returns 1 where one failed."""
    docs = root / DOCS
    if not docs.is_dir():
        raise UsageError(f"{docs} is not there: run this in a checkout")
    if options.quick:
        docs = root / QUICK
        docs.mkdir(parents=True, exist_ok=True)
    wanted = options.only.split(",")
    states = {}
    for part in PARTS:
        if part.commands and part.name in wanted and not options.index:
            states[part.name] = run_part(part, root, options.quick)
            print(f"== {part.name}: {states[part.name]}", flush=True)
    print(f"wrote {write_index(docs, states, options.quick)}")
    return 1 if any(state.startswith("**failed") for state in states.values()) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program("python -m model.evaluate.pages", parse, evaluate, arguments)


if __name__ == "__main__":
    sys.exit(main())
