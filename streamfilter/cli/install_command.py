"""``physio-cam install`` and ``physio-cam uninstall``: the files of a Linux desktop, in and out again."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from streamfilter.cli.command_parser import CommandParser
from streamfilter.doctor.desktop_files import (
    SERVICE,
    Places,
    PlannedFile,
    program_command,
    system_files,
    user_files,
    user_places,
)
from streamfilter.doctor.installation import (
    LEFT,
    Deed,
    Outcome,
    holds,
    install_files,
    plan_install,
    plan_removal,
    remove_files,
)
from streamfilter.doctor.loopback import MODULE, foreign_options
from streamfilter.doctor.record import read_record
from streamfilter.errors import SinkError, UsageError

_ROOT = Path("/")
_ENABLE = "systemctl --user daemon-reload && systemctl --user enable --now physio-cam"
_DISABLE = "systemctl --user disable --now physio-cam"
_INSTALL_HELP = """\
For this user: a systemd unit (not enabled), a desktop entry and its icon.
For the machine: v4l2loopback with the right options at every start. That needs root; for others, the
commands are printed. Files that are not ours, or were changed since, are left and named (exit code 4).
"""
_UNINSTALL_HELP = """\
Removes what physio-cam install wrote, and nothing else. Files that were changed since are left and named.
"""


def run(arguments: Sequence[str]) -> int:
    """``physio-cam install``. Returns the exit code. Raises UsageError, SinkError."""
    parser = CommandParser("install", _INSTALL_HELP)
    parser.add_argument("--dry-run", action="store_true", help="write nothing, show the files")
    _add_root(parser)
    options = parser.parse_args(arguments)
    _check_system()
    places = user_places(options.root.absolute())
    left = False
    if _for_user(options.root):
        files = user_files(places, program_command())
        left |= _install(files, places.user_record, options.dry_run)
    left |= _install_system(places, options.dry_run)
    if _for_user(options.root) and not options.dry_run:
        print(f"\nTo start physio-cam with your desktop:\n  {_ENABLE}")
    return _exit_code(left)


def run_uninstall(arguments: Sequence[str]) -> int:
    """``physio-cam uninstall``. Returns the exit code. Raises UsageError, SinkError."""
    parser = CommandParser("uninstall", _UNINSTALL_HELP)
    parser.add_argument("--dry-run", action="store_true", help="remove nothing, list the files")
    _add_root(parser)
    options = parser.parse_args(arguments)
    _check_system()
    places = user_places(options.root.absolute())
    outcomes: list[Outcome] = []
    remove: Callable[[Path], list[Outcome]] = plan_removal if options.dry_run else remove_files
    if _for_user(options.root):
        _check_disabled(places)
        outcomes += remove(places.user_record)
    if _may_write_system(options.root):
        outcomes += remove(places.system_record)
    _print_outcomes(outcomes, options.dry_run)
    by_hand = [file.path for file in system_files(places) if holds(file)]
    if by_hand and not options.dry_run:
        _print_removal_by_hand(by_hand, places)
    elif not outcomes:
        print("nothing is installed")
    return 0


def _add_root(parser: CommandParser) -> None:
    parser.add_argument(
        "--root",
        type=Path,
        default=_ROOT,
        metavar="DIR",
        help="only the machine's files, below DIR instead of /",
    )


def _check_system() -> None:
    if not sys.platform.startswith("linux"):
        raise UsageError(
            "there is nothing to install on this system: the virtual camera is that of OBS. "
            "See physio-cam doctor for its steps."
        )


def _for_user(root: Path) -> bool:
    # Under sudo, "the user" would be root, or files in the user's home would belong to root.
    return root == _ROOT and not (os.geteuid() == 0 and "SUDO_UID" in os.environ)


def _may_write_system(root: Path) -> bool:
    return root != _ROOT or os.geteuid() == 0


def _install(files: Sequence[PlannedFile], record: Path, dry_run: bool) -> bool:
    """Whether a file was left as it is."""
    outcomes = (plan_install if dry_run else install_files)(files, record)
    if dry_run:
        _print_contents(files, outcomes)
    else:
        _print_outcomes(outcomes, dry_run)
    return any(outcome.deed in LEFT for outcome in outcomes)


def _install_system(places: Places, dry_run: bool) -> bool:
    files = system_files(places)
    for other in foreign_options(places.root):
        print(f"note: {other} sets options of {MODULE} too; they may win over these")
    if dry_run or _may_write_system(places.root):
        left = _install(files, places.system_record, dry_run)
        if not dry_run and places.root == _ROOT:
            print(f"\nTo load the virtual camera now:\n  sudo modprobe {MODULE}")
        return left
    missing = [file for file in files if not holds(file)]
    if missing:
        print("\nFor the virtual camera at every start of the machine, as root:")
        for file in missing:
            print(f"  {_write_command(file)}")
        print(f"  sudo modprobe {MODULE}")
    return False


def _write_command(file: PlannedFile) -> str:
    lines = " ".join(shlex.quote(line) for line in file.content.decode().splitlines())
    return f"printf '%s\\n' {lines} | sudo tee {shlex.quote(str(file.path))} > /dev/null"


def _check_disabled(places: Places) -> None:
    unit = places.config / "systemd" / "user"
    if unit / SERVICE not in read_record(places.user_record).files:
        return
    if any(os.path.lexists(link / SERVICE) for link in unit.glob("*.wants")):
        raise SinkError(f"{SERVICE} is enabled, removing it now would leave a dead link. First: {_DISABLE}")


def _print_contents(files: Sequence[PlannedFile], outcomes: Sequence[Outcome]) -> None:
    for file, outcome in zip(files, outcomes, strict=True):
        deed = {Deed.WRITTEN: "would be written", Deed.UPDATED: "would be updated"}.get(outcome.deed)
        print(f"{deed or outcome.deed}: {file.path}")
        for line in file.content.decode().splitlines():
            print(f"    {line}".rstrip())
        print()


def _print_outcomes(outcomes: Sequence[Outcome], dry_run: bool) -> None:
    width = max((len(outcome.deed) for outcome in outcomes), default=0)
    for outcome in outcomes:
        deed = "to remove" if dry_run and outcome.deed is Deed.REMOVED else outcome.deed
        print(f"{deed:<{width}}  {outcome.path}")


def _print_removal_by_hand(paths: Sequence[Path], places: Places) -> None:
    named = " ".join(shlex.quote(str(path)) for path in (*paths, places.system_record) if path.exists())
    print(f"\nThese belong to the machine; as root:\n  sudo rm {named}")


def _exit_code(left: bool) -> int:
    if left:
        print(
            "physio-cam: some files were left as they are: move them away and install again, or keep them.",
            file=sys.stderr,
        )
        return SinkError.exit_code
    return 0
