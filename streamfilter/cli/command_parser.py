"""The parser of a command such as ``physio-cam doctor``."""

from __future__ import annotations

import argparse
from typing import NoReturn

from streamfilter.errors import UsageError


class CommandParser(argparse.ArgumentParser):
    """Raises UsageError instead of leaving the program; ``--help`` still leaves it, with SystemExit(0)."""

    def __init__(self, command: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=f"physio-cam {command}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See {self.prog} --help.")
