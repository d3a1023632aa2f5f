"""Secrets: made, written and read, never shown to other users of the machine."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from streamfilter.errors import SinkError, UsageError

MIN_SECRET = 32  # bytes: HS256 asks for a key as long as its hash (RFC 7518, section 3.2)
_LONGEST = 4096


def new_secret() -> str:
    """32 random bytes as 43 characters."""
    return secrets.token_urlsafe(MIN_SECRET)


def check_secret(secret: bytes) -> bytes:
    """``secret`` as it is. Raises UsageError where it has fewer than 32 bytes."""
    if len(secret) < MIN_SECRET:
        raise UsageError(
            f"the secret has {len(secret)} bytes and needs {MIN_SECRET} at least: make one with "
            "physio-relay secret"
        )
    return secret


def write_secret(path: Path) -> None:
    """A new secret in a new file that only its owner reads. Raises SinkError, also where there is one."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as file:
            file.write(new_secret() + "\n")
    except FileExistsError as error:
        raise SinkError(f"{path} exists already and is as it was: move it away first.") from error
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror}.") from error


def read_secret(path: Path) -> bytes:
    """The secret in ``path``, without white space around it.

    Raises UsageError where the file cannot be read, is too long for a secret, or is open to others: their
    group may read it (as mounted secrets often are) and may not write it, everybody else may do nothing.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise UsageError(f"the secret {path} cannot be read: {error.strerror}.") from error
    if os.name == "posix" and mode & (stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP):
        raise UsageError(f"the secret {path} is open to other users of this machine: chmod 600 {path}")
    if len(content) > _LONGEST:
        raise UsageError(f"the secret {path} has more than {_LONGEST} bytes: is it the right file?")
    return content.strip()
