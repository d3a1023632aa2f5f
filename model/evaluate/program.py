"""What the evaluation's two programs share: how they are run, and how they name what they measured."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence

from streamfilter.contract import Manifest
from streamfilter.errors import PhysioCamError


def run_program(
    program: str,
    parse: Callable[[Sequence[str] | None], argparse.Namespace],
    evaluate: Callable[[argparse.Namespace, str], int],
    arguments: Sequence[str] | None,
) -> int:
    """``evaluate`` with the options and the command line in words; its exit code, a known error's own."""
    options = parse(arguments)
    words = sys.argv[1:] if arguments is None else list(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        return evaluate(options, shlex.join([*program.split(), *words]))
    except PhysioCamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def name_of(manifest: Manifest) -> str:
    """The artifact's name and the start of its graph's hash."""
    return f"{manifest.name} (step.onnx {manifest.files['step.onnx'][:12]})"
