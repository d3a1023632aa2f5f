"""The parsers of ``physio-cam`` and of a command such as ``physio-cam doctor``."""

from __future__ import annotations

import argparse
from typing import NoReturn

from streamfilter.errors import UsageError


class Parser(argparse.ArgumentParser):
    """Raises UsageError instead of leaving the program; ``--help`` still leaves it, with SystemExit(0)."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See {self.prog} --help.")


class CommandParser(Parser):
    """The parser of ``physio-cam COMMAND``; its options are not to be shortened."""

    def __init__(self, command: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=f"physio-cam {command}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
