"""Remembers figures that cannot have changed: a new artifact does not make the reference editors run again.

A figure is kept under a fingerprint of all that it follows from: the clip's truth, the code, the settings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.code_mark import code_mark, digest_of
from streamfilter.artifact import default_artifact_path, write_whole

_READING = (
    "model/evaluate/[!_]*.py",
    "streamfilter/face/*.py",
    "streamfilter/rppg/*.py",
    "streamfilter/composite.py",
    "streamfilter/dither.py",
    "streamfilter/clock.py",
    "streamfilter/sinks/codec_settings.py",
)
_NOT_READING = ("report.py", "bars.py", "plots.py", "picture.py", "aggregate.py", "pool.py", "memory.py")
_RUNTIME = ("streamfilter/*.py", "streamfilter/engine/*.py")


def fingerprint(
    editor: str, truth: Path, artifact: Path | None, engine: str, direction: Sequence[float], codecs: bool
) -> str:
    """16 hexadecimal digits of everything that the figures of ``editor`` on a clip depend on."""
    parts = [editor, digest_of(truth), code_mark(_READING, _NOT_READING), str(codecs)]
    if editor in ("band-stop", "oracle"):
        parts.append(repr([float(f"{value:.6g}") for value in direction]))
    if editor == "artifact":
        folder = default_artifact_path() if artifact is None else artifact
        parts += [engine, code_mark(_RUNTIME), *(digest_of(path) for path in sorted(folder.iterdir()))]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def recall(folder: Path, name: str, mark: str) -> dict[str, Any] | None:
    """The figures that were kept under this name and fingerprint."""
    path = folder / f"{name}.json"
    if not path.is_file() or not (folder / f"{name}.npz").is_file():
        return None
    kept: dict[str, Any] = json.loads(path.read_text())
    return kept["figures"] if kept["fingerprint"] == mark else None


def keep(folder: Path, name: str, mark: str, figures: dict[str, Any]) -> None:
    """Keeps figures, in place of older ones of the same name."""
    write_whole(folder / f"{name}.json", json.dumps({"fingerprint": mark, "figures": figures}))
