"""The record of what was installed: which files, with which content, in which new folders."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streamfilter.errors import SinkError

_FORMAT = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Record:
    """``files`` maps each absolute path to the sha256 of what was written; ``folders`` were made for them."""

    files: Mapping[Path, str] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()


def read_record(path: Path) -> Record:
    """The record at ``path``, empty where there is none. Raises SinkError where it cannot be understood."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Record()
    except (OSError, ValueError) as error:
        raise _bad(path, str(error)) from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise _bad(path, f"it has no format {_FORMAT}")
    files, folders = data.get("files"), data.get("folders")
    if not isinstance(files, dict) or not isinstance(folders, list):
        raise _bad(path, "it lists no files and folders")
    for name, digest in files.items():
        if not Path(name).is_absolute() or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise _bad(path, f"the entry {name!r} is not a path with its sha256")
    for name in folders:
        if not isinstance(name, str) or not Path(name).is_absolute():
            raise _bad(path, f"the folder {name!r} is not an absolute path")
    return Record({Path(name): digest for name, digest in files.items()}, tuple(map(Path, folders)))


def write_record(path: Path, record: Record) -> None:
    """Write the record; the file appears whole or not at all, in a folder that exists. Raises OSError."""
    data = {
        "format": _FORMAT,
        "files": {str(name): digest for name, digest in record.files.items()},
        "folders": [str(folder) for folder in record.folders],
    }
    staged = path.with_name(path.name + ".part")
    staged.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    staged.replace(path)


def _bad(path: Path, what: str) -> SinkError:
    return SinkError(
        f"the record of what was installed, {path}, cannot be used: {what}. "
        "Remove it, and the files that physio-cam install wrote, by hand."
    )
