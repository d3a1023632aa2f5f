"""Marks of code and files: figures that are kept go by the name of all that they follow from."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_mark(patterns: Collection[str], without: Collection[str] = (), root: Path = ROOT) -> str:
    """SHA-256, hexadecimal, of the checkout's files that fit one of the globs and have none of the names
    ``without``; read once, as the running program's code is."""
    return _code_mark(tuple(patterns), tuple(without), root)


@cache
def _code_mark(patterns: tuple[str, ...], without: tuple[str, ...], root: Path) -> str:
    paths = sorted({path for pattern in patterns for path in root.glob(pattern)})
    text = "".join(digest_of(path) for path in paths if path.name not in without)
    return hashlib.sha256(text.encode()).hexdigest()
