"""Entry point of ``physio-cam``: options in, exit code out; no traceback for what is expected."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence

from streamfilter.cli.arguments import build_parser
from streamfilter.errors import Interrupted, PhysioCamError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with ``argv`` (None: the program's own) and returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        options = build_parser().parse_args(arguments)
        return _run(options)
    except SystemExit as leaving:  # argparse, after --help and --version
        return leaving.code if isinstance(leaving.code, int) else 0
    except PhysioCamError as error:
        _say(str(error), debug)
        return error.exit_code
    except KeyboardInterrupt:
        _say("stopped at once; no output was written.", debug)
        return Interrupted.exit_code
    except Exception as error:  # noqa: BLE001  # the last resort of a command line
        _say(
            f"unexpected error, {type(error).__name__}: {error}. Nothing was written. "
            "Run again with --debug and report what it prints.",
            debug,
        )
        return PhysioCamError.exit_code


def _run(options: argparse.Namespace) -> int:
    if options.input is None:
        raise UsageError(
            "give --input: this version filters files, live cameras come in a later one. "
            "Example: physio-cam --hr 70 --input clip.mp4 --output out.mp4"
        )
    if options.output is None:
        raise UsageError("give --output: where the filtered video goes, as in --output out.mp4")
    from streamfilter.cli.filter_command import run_filter  # after the options: --help needs no engine

    return run_filter(options)


def _say(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"physio-cam: {message}", file=sys.stderr)
