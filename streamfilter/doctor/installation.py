"""Putting files in place, and taking exactly those away again.

A file that is not ours, or that somebody has changed since, is never overwritten and never removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from streamfilter.doctor.desktop_files import PlannedFile
from streamfilter.doctor.record import Record, read_record, write_record
from streamfilter.errors import SinkError


class Deed(StrEnum):
    """What happened to a file."""

    WRITTEN = "written"
    UPDATED = "updated"
    CURRENT = "there already"
    FOREIGN = "left, not ours"
    CHANGED = "left, changed since"
    REMOVED = "removed"
    GONE = "gone already"


LEFT = frozenset({Deed.FOREIGN, Deed.CHANGED})


@dataclass(frozen=True, slots=True)
class Outcome:
    path: Path
    deed: Deed


def plan_install(files: Sequence[PlannedFile], record_path: Path) -> list[Outcome]:
    """What :func:`install_files` would do. Raises SinkError where the record cannot be understood."""
    record = read_record(record_path)
    return [Outcome(file.path, _standing(file, record)) for file in files]


def install_files(files: Sequence[PlannedFile], record_path: Path) -> list[Outcome]:
    """Put each file in place and note it in the record.

    Raises SinkError where a folder or file cannot be written; what was written until then is in the record.
    """
    record = read_record(record_path)
    outcomes = []
    for file in files:
        deed = _standing(file, record)
        if deed not in LEFT:
            record = _put(file, deed, record, record_path)
        outcomes.append(Outcome(file.path, deed))
    return outcomes


def plan_removal(record_path: Path) -> list[Outcome]:
    """What :func:`remove_files` would do. Raises SinkError where the record cannot be understood."""
    record = read_record(record_path)
    return [Outcome(path, _end(path, digest)) for path, digest in record.files.items()]


def remove_files(record_path: Path) -> list[Outcome]:
    """Remove what the record lists, unless it was changed, then the folders that were made, if empty.

    A changed file is its owner's from now on: the record, which goes too, forgets it. Raises SinkError where
    a file cannot be removed; the record then still lists what is left.
    """
    record = read_record(record_path)
    if not record.files and not record_path.exists():
        return []
    outcomes = []
    for path, digest in record.files.items():
        deed = _end(path, digest)
        if deed is Deed.REMOVED:
            with _told(path, "removed"):
                path.unlink()
        outcomes.append(Outcome(path, deed))
    with _told(record_path, "removed"):
        record_path.unlink()
    for folder in reversed(record.folders):
        with contextlib.suppress(OSError):  # somebody else keeps something there by now
            folder.rmdir()
    return outcomes


def holds(file: PlannedFile) -> bool:
    """Whether the file is in place as planned, whoever put it there."""
    return _digest(file.path) == hashlib.sha256(file.content).hexdigest()


def _standing(file: PlannedFile, record: Record) -> Deed:
    if not os.path.lexists(file.path):
        return Deed.WRITTEN
    # The very same bytes are ours even if the record was lost.
    if holds(file):
        return Deed.CURRENT
    recorded = record.files.get(file.path)
    if recorded is None:
        return Deed.FOREIGN
    return Deed.UPDATED if _digest(file.path) == recorded else Deed.CHANGED


def _end(path: Path, recorded: str) -> Deed:
    if not os.path.lexists(path):
        return Deed.GONE
    return Deed.REMOVED if _digest(path) == recorded else Deed.CHANGED


def _digest(path: Path) -> str | None:
    """The sha256 of a plain file; None for what is none: a link was not made by us."""
    if path.is_symlink() or not path.is_file():
        return None
    with _told(path, "read"):
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _put(file: PlannedFile, deed: Deed, record: Record, record_path: Path) -> Record:
    with _told(file.path, "written"):
        folders = [*_make_folders(file.path.parent), *_make_folders(record_path.parent)]
        if deed is Deed.WRITTEN:
            # "x": should another program be quicker, its file stays.
            with file.path.open("xb") as stream:
                stream.write(file.content)
        elif deed is Deed.UPDATED:
            staged = file.path.with_name(file.path.name + ".part")
            staged.write_bytes(file.content)
            staged.replace(file.path)
        if deed is not Deed.CURRENT:
            file.path.chmod(0o644)
        digest = hashlib.sha256(file.content).hexdigest()
        made = (*record.folders, *folders)
        record = replace(record, files={**record.files, file.path: digest}, folders=made)
        write_record(record_path, record)
    return record


def _make_folders(folder: Path) -> list[Path]:
    """Make the folder and those above it; returns the new ones, outermost first."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        made.mkdir()
    return missing[::-1]


@contextlib.contextmanager
def _told(path: Path, deed: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SinkError(
            f"{error.filename or path} cannot be {deed} ({error.strerror}): check who may write there"
        ) from error
