"""Small signals, labels and clips that the tests of losses and training share."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.data.clip import generate_clip
from model.data.portrait import builtin_portrait
from model.data.settings import ClipSettings
from model.data.store import write_clip
from model.leak import Pulse
from model.losses import Labels

FPS = 30.0


def beats(bpm: float, frames: int = 300, start: float = 0.0) -> Tensor:
    """A sine of ``bpm``: (1, frames)."""
    time = torch.arange(frames) / FPS
    return torch.sin(2 * math.pi * bpm / 60.0 * time + start)[None]


def make_labels(size: float, bpm: float = 72.0, frames: int = 96, grid: int = 6) -> Labels:
    """An evenly lit face that fills the middle columns; its pulse has amplitude ``size`` in G."""
    skin = torch.zeros(1, frames, 1, grid, grid)
    skin[..., 1:-1] = 1.0
    direction = torch.tensor([0.43, 1.0, 0.69])[:, None, None]
    pulse = size * beats(bpm, frames)[..., None, None, None] * direction * skin
    free = torch.tensor([0.7, 0.5, 0.4])[:, None, None].expand(1, frames, 3, grid, grid)
    return Labels(free * (1.0 + pulse), pulse, skin)


def make_pulse(bpm: float = 72.0, frames: int = 96) -> Pulse:
    """The pulse of ``make_labels``."""
    return Pulse(beats(bpm, frames), torch.arange(frames)[None] / FPS, torch.tensor([bpm / 60.0]))


def write_clips(folder: Path, count: int = 2, frames: int = 72) -> Path:
    """Clips of the built-in portrait with a known pulse."""
    portrait = builtin_portrait()
    for index in range(count):
        about = ClipSettings(frames=frames, motion=0, hr=70.0 + 20.0 * index, strength=0.008)
        write_clip(folder, f"{index:05d}", generate_clip(np.random.default_rng(index), portrait, about))
    return folder
