"""``physio-cam config``: what settings hold, and whence."""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from streamfilter.errors import SinkError, UsageError
from streamfilter.live.setting_keys import KEYS, value_text
from streamfilter.live.settings_file import Resolved, resolve, settings_path, template
from streamfilter.live.settings_flags import add_flags, flags_of


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See physio-cam config --help.")


def run(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Prints the table, or does what ``--path`` or ``--init`` ask for, and returns the exit code.

    ``environ`` None is the process's. Raises UsageError for settings or options that are wrong, SinkError
    where the file exists already or cannot be written.
    """
    environ = os.environ if environ is None else environ
    options = _parser().parse_args(arguments)
    path = settings_path(environ)
    if options.path:
        print(path)
    elif options.init:
        write_template(path)
        print(f"wrote {path}: every setting is in it, as a comment.")
    else:
        there = "" if path.exists() else " (not there; physio-cam config --init makes it)"
        print(f"file: {path}{there}\n\n{table(resolve(flags_of(options), environ, path))}")
    return 0


def table(resolved: Resolved) -> str:
    """One aligned row for each setting: its word, its value, its origin."""
    rows = [("setting", "value", "from")]
    rows += [(key.word, value_text(key, resolved.settings), resolved.origins[key.word]) for key in KEYS]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{word:<{first}}  {value:<{second}}  {origin}" for word, value, origin in rows)


def write_template(path: Path) -> None:
    """Writes the template aside and moves it to ``path``. Raises SinkError, also where ``path`` exists."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(temporary, path)
    except OSError as error:
        raise SinkError(f"{path} cannot be written ({error.strerror}). Nothing was left behind.") from error


def _write_whole(temporary: Path, path: Path) -> None:
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.write(template())
            file.flush()
            os.fsync(file.fileno())
        _move(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _move(temporary: Path, path: Path) -> None:
    """A rename that never replaces: raises SinkError where there is something at ``path``."""
    try:
        if os.name == "nt":
            temporary.rename(path)
        else:
            path.hardlink_to(temporary)
    except FileExistsError as error:
        raise SinkError(f"{path} exists already and is as it was: edit it, or move it away first.") from error


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="physio-cam config",
        description="Shows what settings hold, and whence each: file, PHYSIOCAM_ variable or flag.",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--path", action="store_true", help="print where the settings file is")
    action.add_argument(
        "--init", action="store_true", help="write a settings file to start from, if there is none"
    )
    add_flags(parser)
    return parser
