"""What is kept of a scene: its versions' traces and the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.attackers.scenes import FPS, SKIP_SECONDS, Scene

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]


CELLS = 9  # the crop's 72 cells in blocks of 8
WIDE = 8  # the whole picture in 8 x 8 places
ALL = ("raw", "free", "out", "out_b", "out_free", "painted")
VERSIONS: Mapping[str, tuple[str, ...]] = {
    "train": ("raw", "out", "painted"),
    "test": ALL,
    "heave": ("raw", "out"),
}
WITH_POINTS = ("raw", "free", "out")  # versions, of these roles:
POINT_ROLES = ("test", "heave")


@dataclass(frozen=True)
class Version:
    """T frames at 30 a second. ``face`` (T, 3) R, G, B over the skin, ``cells`` (T, 9, 9, 3) R, G, B of the
    box, ``wide`` (T, 8, 8, 3) Y, U, V of the picture in grey levels, ``pixels`` (T, 9) `pixel_statistics`,
    ``points`` (T, P) vertical place of points on the face in pixels (P = 0: not followed), ``regions``
    (T, 5, 3) R, G, B of each of `regions.REGIONS` (NaN: there is none)."""

    face: Array64
    cells: Array32
    wide: Array32
    pixels: Array32
    points: Array32
    regions: Array64


@dataclass(frozen=True)
class Recording:
    """A scene's versions and the truth: ``bvp`` (T,), its mean rate, the targets, and who it was."""

    name: str
    role: str
    identity: str
    motion: int
    true_bpm: float
    targets: tuple[float, float]
    bvp: Array64
    versions: Mapping[str, Version]


def load(scene: Scene, folder: Path, names: Sequence[str] | None = None) -> Recording:
    """A recording of the cache, of the role's versions or of ``names``.

    Jitter may cost a frame, so that every scene of a length gives one less."""
    length = scene.settings.frames - round(SKIP_SECONDS * FPS) - 1
    with np.load(folder / f"{scene.key()}.npz") as data:
        stored = {key: data[key] for key in data.files}
    parts = ("face", "cells", "wide", "pixels", "points", "regions")
    versions = {
        name: Version(**{part: stored[f"{name}.{part}"][:length] for part in parts})
        for name in names or VERSIONS[scene.role]
    }
    return Recording(
        name=scene.key(),
        role=scene.role,
        identity=str(stored["identity"]),
        motion=scene.settings.motion,
        true_bpm=float(stored["true"]),
        targets=scene.targets,
        bvp=stored["bvp"][:length],
        versions=versions,
    )
