"""``python -m export.int8 --out DIR``: an int8 artifact, written only if it passes."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from export.int8.acceptance import examine, table, with_serving
from export.int8.quantise import quantised
from model.evaluate.synthetic import open_synthetic, synthetic_specs
from streamfilter.artifact import load_artifact
from streamfilter.errors import PhysioCamError, SinkError

CALIBRATION_SEED = 77  # clips of other draws than those that are examined
CALIBRATION_SECONDS, EXAMINED_SECONDS = 6.0, 20.0


def main(argv: list[str] | None = None) -> int:
    """Command line; 0: written, 1: it does not pass, else the exit codes of ``streamfilter.errors``."""
    parser = argparse.ArgumentParser(prog="python -m export.int8", description=__doc__)
    parser.add_argument("--artifact", type=Path, metavar="DIR", help="default: the packaged one")
    parser.add_argument("--out", type=Path, required=True, help="folder of the int8 artifact")
    parser.add_argument("--faces", type=Path, help="folder of stills; default: the built-in portrait")
    parser.add_argument("--cache", type=Path, default=Path("runs/eval-cache"), help="generated clips")
    parser.add_argument("--seconds", type=float, default=EXAMINED_SECONDS, help="of each examined clip")
    arguments = parser.parse_args(argv)
    try:
        passed = _export(arguments)
    except PhysioCamError as problem:
        print(f"export.int8: {problem}", file=sys.stderr)
        return problem.exit_code
    return 0 if passed else 1


def _export(arguments: argparse.Namespace) -> bool:
    if arguments.out.exists():
        raise SinkError(f"{arguments.out} is there already: give another --out")
    artifact = load_artifact(arguments.artifact)
    drawn = synthetic_specs(arguments.faces, True, CALIBRATION_SEED, CALIBRATION_SECONDS)
    shown = synthetic_specs(arguments.faces, True, seconds=arguments.seconds)
    graph = quantised(artifact, (open_synthetic(spec, arguments.cache).frames() for spec in drawn))
    with tempfile.TemporaryDirectory(dir=arguments.out.resolve().parent) as place:
        made = with_serving(artifact, graph, Path(place) / "artifact")
        clips = [open_synthetic(spec, arguments.cache) for spec in shown]
        lines = examine(artifact, made, clips, Path(place) / "traces")
        print(table(lines))
        if not all(line.met for line in lines):
            print("export.int8: it does not pass: nothing was written", file=sys.stderr)
            return False
        made.path.rename(arguments.out)
    return True


if __name__ == "__main__":
    sys.exit(main())
