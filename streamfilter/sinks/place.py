"""Writing beside the output and moving into place, so that an output is whole or absent."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from streamfilter.errors import SinkError, UsageError


def check_parent(path: Path) -> None:
    """Raises SinkError if the folder that ``path`` would stand in does not exist."""
    if not path.parent.is_dir():
        raise SinkError(f"the folder {path.parent} does not exist. Create it, or choose another output.")


def check_output(path: Path, source: Path | None, overwrite: bool) -> None:
    """Refuses an output that would destroy something.

    Raises UsageError if it is the input itself, SinkError if it exists and ``overwrite`` is off, if it is no
    regular file, or if its folder does not exist.
    """
    check_parent(path)
    if not path.exists():
        return
    if source is not None and source.exists() and path.samefile(source):
        raise UsageError(f"the output {path} is the input itself. Choose another output.")
    if not path.is_file():
        raise SinkError(f"{path} exists and is no regular file. Choose another output.")
    if not overwrite:
        raise SinkError(f"{path} exists already. Choose another output, or give --overwrite to replace it.")


def temporary_beside(path: Path) -> Path:
    """An unused hidden name in the folder of ``path`` (a move within one folder is atomic)."""
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")


def move_into_place(temporary: Path, path: Path, overwrite: bool) -> None:
    """Flushes ``temporary`` to the disk and renames it to ``path``.

    Raises SinkError if ``path`` has come into being meanwhile and ``overwrite`` is off; OSError of the disk.
    """
    with temporary.open("rb+") as file:  # Windows flushes writable files only
        os.fsync(file.fileno())
    if not overwrite and path.exists():
        raise SinkError(f"{path} has been created by another program meanwhile. Choose another output.")
    temporary.replace(path)


def write_error(path: Path, error: Exception) -> SinkError:
    """The SinkError for a failed write to ``path``, with advice by its cause."""
    code = getattr(error, "errno", None)
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if code in (errno.ENOSPC, errno.EDQUOT):
        advice = "The disk is full: free some space, or choose an output on another disk."
    elif code in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "Change the folder's permissions, or choose another output."
    else:
        advice = "Choose another output or format."
    return SinkError(f"{path} cannot be written ({reason}). {advice} Nothing was left behind.")
