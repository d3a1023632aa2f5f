"""The audit log: who asked for which edit, when, with which artifact. One JSON line for each event.

Who is the token's id: the clinic's own records say to whom it sent that link. No address, no picture, no
heart rate but the one that was asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from streamfilter.artifact import default_artifact_path
from streamfilter.contract import MANIFEST
from streamfilter.errors import ArtifactError, SinkError
from streamfilter.manifest import parse_manifest
from streamfilter.relay.ports import Edit, Refusal, Role

_AT = "@sha256:"


def artifact_id(folder: Path | None) -> str:
    """``NAME@sha256:DIGEST`` of the artifact in ``folder`` (None: the packaged one).

    The digest is that of its manifest, which holds the digest of every other file. Raises ArtifactError.
    """
    path = (folder or default_artifact_path()) / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}): give an artifact's folder") from error
    return parse_manifest(content, path).name + _AT + hashlib.sha256(content).hexdigest()


class AuditLog:
    """Appends to ``path`` (None: standard output). ``clock``: Unix seconds.

    The file is opened for each line, so that it may be moved away at any time; only its owner reads it.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock

    def open(self) -> None:
        """Finds out at the start whether lines can be written. Raises SinkError."""
        try:
            self._append(b"")
        except OSError as error:
            raise SinkError(f"the audit log {self._path} cannot be written: {error.strerror}") from error

    def session(
        self,
        event: str,
        room: str,
        role: Role,
        session: str,
        edit: Edit | None,
        artifact: str,
        grant_id: str,
    ) -> None:
        """One event: ``joined``, ``edit``, ``left``, ``refused``. ``artifact``: as :func:`artifact_id`'s.

        Raises Refusal (503) where the line cannot be written: what leaves no trace is not done.
        """
        name, _, digest = artifact.partition(_AT)
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "who": grant_id,
            "room": room,
            "role": str(role),
            "session": session,
            "edit": None if edit is None else {"bpm": edit.bpm, "variability": edit.variability},
            "artifact": name,
            "artifact_sha256": digest or None,
        }
        try:
            self._append(json.dumps(line).encode("ascii") + b"\n")
        except OSError as error:
            raise Refusal(503, "the audit log cannot be written", retry_after=30.0) from error

    def _append(self, line: bytes) -> None:
        """One write for a line, so that lines of several processes do not mix."""
        if self._path is None:
            sys.stdout.write(line.decode("ascii"))
            sys.stdout.flush()
            return
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.write(file, line) != len(line):
                raise OSError(28, "no space for a whole line")
        finally:
            os.close(file)
