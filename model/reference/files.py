"""Settings and checkpoint files of the reference setting."""

from __future__ import annotations

import os
import pickle
import tomllib
from pathlib import Path
from typing import Any

import torch

from streamfilter.errors import UsageError

VERSION = 1


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises UsageError where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error


def save_content(path: Path, kind: str, content: dict[str, Any]) -> None:
    """Writes a checkpoint of ``kind`` atomically: plain values and tensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save({"kind": kind, "version": VERSION} | content, aside)
    aside.replace(path)


def load_content(path: Path, kind: str) -> dict[str, Any]:
    """Reads a checkpoint on the CPU. Raises UsageError where it is absent, damaged or of another kind."""
    if not path.is_file():
        raise UsageError(f"no {kind} checkpoint at {path}: train one first (docs/reference.md)")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise UsageError(f"the checkpoint {path} is damaged ({error}); use another one") from error
    if not isinstance(content, dict) or content.get("kind") != kind or content.get("version") != VERSION:
        raise UsageError(f"{path} is no {kind} checkpoint of version {VERSION}: give one, or train it again")
    return content
