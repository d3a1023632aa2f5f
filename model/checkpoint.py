"""Checkpoints: everything that a run needs to go on from the very step, and the small one that is exported.

``last.pt`` is full (network, moving average, optimiser, schedule, step, random state); ``best.pt`` holds the
moving average only, with the settings and the conditioning table. Both are dictionaries of plain values and
tensors, read with ``weights_only``, and written aside and renamed, so that a crash leaves the old one.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.configuration import Settings, from_table
from model.physiolatent import PhysioLatent
from model.text import ConditioningTable
from streamfilter.errors import UsageError

VERSION = 1
LAST = "last.pt"
BEST = "best.pt"
Content = dict[str, Any]
COMMON = ("version", "settings", "text_encoder", "bpm", "embedding", "ema", "step", "data", "metrics")


def save(path: Path, content: Content) -> None:
    """Writes ``content`` to ``path`` atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(content, aside)
    aside.replace(path)


def load(path: Path) -> Content:
    """Reads a checkpoint on the CPU. Raises UsageError when it is absent, damaged or of another version."""
    if not path.is_file():
        raise UsageError(f"no checkpoint at {path}: train one first, or correct the path")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise UsageError(f"the checkpoint {path} is damaged ({error}); use another one") from error
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise UsageError(
            f"the checkpoint {path} is not of version {VERSION}: train it again with this program"
        )
    missing = [key for key in COMMON if key not in content]
    if missing:
        raise UsageError(f"the checkpoint {path} lacks {', '.join(missing)}; use another one")
    return content


def settings_of(content: Content) -> Settings:
    """The settings that the checkpoint was trained with."""
    return from_table(content["settings"], "the checkpoint's settings")


def table_of(content: Content) -> ConditioningTable:
    """The conditioning table that the checkpoint was trained with."""
    return ConditioningTable(content["bpm"].numpy(), content["embedding"].numpy())


def network_of(content: Content) -> PhysioLatent:
    """The trained network (moving average of the weights), in evaluation mode."""
    network = PhysioLatent(settings_of(content).network)
    network.load_state_dict(content["ema"])
    return network.eval()


def random_state() -> dict[str, Tensor]:
    """State of torch's generators (drawing of batches and wishes depends on the step alone)."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: dict[str, Tensor]) -> None:
    """Puts back what ``random_state`` took."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
