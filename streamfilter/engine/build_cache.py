"""What is made once for this machine and kept: engines of a GPU, the outcome of the engines' trial.

A file's name holds all that it depends on, so that nothing stale is found: hash of the artifact, card, and
versions of the libraries. Files are written aside and moved into place; two processes at once both win.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

_LOG = logging.getLogger(__name__)
PROGRAM = "physio-cam"


def cache_folder() -> Path:
    """Where the user's caches of this program lie; it may not exist yet."""
    import platformdirs

    return platformdirs.user_cache_path(PROGRAM)


def cache_name(stem: str, parts: Iterable[str], ending: str) -> str:
    """A file name that differs wherever one of ``parts`` does."""
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"{stem}-{digest[:16]}{ending}"


def read_cached(path: Path) -> bytes | None:
    """The content, or None where there is none or it cannot be read (which the log says)."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _LOG.warning("the cache %s cannot be read (%s): it is made anew", path, error.strerror)
        return None


def write_cached(path: Path, content: bytes) -> bool:
    """Write a file whole; False where the cache cannot be written (which the log says), no error: what is not
    kept is made again next time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(aside).replace(path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
    except OSError as error:
        _LOG.warning("the cache %s cannot be written (%s): it is made again next time", path, error.strerror)
        return False
    return True
