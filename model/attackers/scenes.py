"""The scenes that the attackers learn from and are tried on: faces by split, drawn heart rates and targets.

The target is drawn apart from the true rate and knows nothing of it: kept away from the truth, as in
model/evaluate, it would itself tell an attacker where the truth is not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from model.data.collection import still_paths
from model.data.portrait import Portrait, builtin_portrait, load_still
from model.data.process import Rng
from model.data.settings import ClipSettings, draw_settings
from model.data.splits import SPLITS, Split, require_split

FPS = 30.0
SKIP_SECONDS = 1.5  # not read: the filter settles behind its shield
RATES = (48.0, 110.0)  # bpm, of the true pulse and of the shown one
CACHE_VERSION = 1
SECONDS = 10.0  # that are read of each scene
SIZE = 176  # pixels; the face's box takes about two thirds of the side
MOTION = (0.3, 0.3, 0.2, 0.1, 0.1)  # share of the scenes by motion level 0..4
HEAVE = 0.4  # pixels of vertical head motion with each beat where it is planted (0.5 mm of a face of 150 mm)

Role = Literal["train", "test", "heave"]


@dataclass(frozen=True)
class Scene:
    """One generated scene. ``still`` None is the built-in portrait; ``targets`` the shown rates A and B, bpm.

    Role "heave" is a test scene whose head moves with each beat (ballistocardiography); the others' do not.
    """

    role: Role
    number: int
    still: Path | None
    settings: ClipSettings
    targets: tuple[float, float]
    size: int = SIZE

    @property
    def seed(self) -> int:
        """Of pixels, pulse, filter; a scene of role "heave" is the test scene of its number."""
        base = {"train": 1, "test": 3, "heave": 3}[self.role]
        return base * 1_000_000 + self.number

    def key(self) -> str:
        """Names the scene's cache: changes with everything that changes its pixels."""
        about = asdict(replace(self, still=None))
        about |= {"still": None if self.still is None else self.still.name, "version": CACHE_VERSION}
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
        return f"{self.role}-{self.number:04d}-{digest}"

    def portrait(self) -> Portrait:
        """The face. Raises UsageError where its identity is of another split."""
        if self.still is None:
            return builtin_portrait()
        portrait = load_still(self.still)
        require_split(portrait.identity, _split(self.role))
        return portrait


def _split(role: Role) -> Split:
    return "train" if role == "train" else "test"


def draw_scenes(
    faces: Path | None, role: Role, count: int, seconds: float, size: int = SIZE, first: int = 0
) -> list[Scene]:
    """``count`` scenes of ``role`` of ``seconds`` that can be read; each is the same whatever the count."""
    stills: Sequence[Path | None] = [None] if faces is None else still_paths(faces, _split(role))
    return [_draw(role, first + n, stills, seconds, size) for n in range(count)]


def _draw(role: Role, number: int, stills: Sequence[Path | None], seconds: float, size: int) -> Scene:
    rng = np.random.default_rng([7, SPLITS.index(_split(role)), number])
    still = stills[int(rng.permutation(len(stills))[number % len(stills)])]
    settings = scene_settings(rng, seconds)
    if role == "heave":
        settings = replace(settings, motion=min(settings.motion, 1))
    targets = (float(np.round(rng.uniform(*RATES))), float(np.round(rng.uniform(*RATES))))
    return Scene(role, number, still, settings, targets, size)


def scene_settings(rng: Rng, seconds: float) -> ClipSettings:
    """A call's scene at 30 frames a second: a pulse of 0.25 to 0.6 % on well-lit skin of any tone."""
    strength = float(np.exp(rng.uniform(np.log(0.0025), np.log(0.006))))
    return draw_settings(
        rng,
        ita=25.0,
        frames=round((SKIP_SECONDS + seconds) * FPS),
        fps=FPS,
        codec="none",
        hr=float(np.round(rng.uniform(*RATES), 1)),
        strength=strength,
        motion=int(rng.choice(len(MOTION), p=MOTION)),
        exposure=float(rng.uniform(0.75, 1.05)),
        noise=float(rng.uniform(0.8, 2.2)),
        jitter=0.02,
    )
