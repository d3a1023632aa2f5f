"""Entry point of ``physio-cam``: options in, exit code out; no traceback for what is expected."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from streamfilter.cli.arguments import COMMANDS, parse_arguments
from streamfilter.errors import Interrupted, PhysioCamError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with ``argv`` (None: the program's own) and returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        return _run(arguments)
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


def _run(arguments: list[str]) -> int:
    if arguments and arguments[0] in {name for name, _ in COMMANDS}:
        return _run_command(arguments[0], [given for given in arguments[1:] if given != "--debug"])
    options = parse_arguments(arguments)
    # Imported after the options: --help needs no engine.
    if options.input is not None:
        from streamfilter.cli.filter_command import run_filter

        return run_filter(options)
    from streamfilter.cli.live_command import run_live

    return run_live(options)


def _run_command(name: str, arguments: list[str]) -> int:
    match name:
        case "devices":
            from streamfilter.cli.devices_command import run
        case "doctor":
            from streamfilter.cli.doctor_command import run
        case "config":
            from streamfilter.cli.config_command import run
        case "install":
            from streamfilter.cli.install_command import run
        case _:
            from streamfilter.cli.install_command import run_uninstall as run
    return run(arguments)


def _say(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"physio-cam: {message}", file=sys.stderr)
