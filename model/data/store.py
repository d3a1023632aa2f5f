"""Clips on disk, three files a clip so that training can map them and read while more are written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from model.data.clip import Clip
from model.data.label import render_label_torch
from model.data.settings import ClipSettings
from streamfilter.errors import UsageError

_SMALL = ("field", "direction", "bvp", "rate", "phase", "times", "dt")


def write_clip(path: Path, name: str, clip: Clip) -> None:
    """Writes ``clip`` as ``name`` under the folder ``path``; it is there once ``name.npz`` is."""
    path.mkdir(parents=True, exist_ok=True)
    np.save(path / f"{name}.observed.npy", clip.observed)
    np.save(path / f"{name}.skin.npy", clip.skin)
    about = {"identity": clip.identity, "ita": clip.ita, "hr": clip.hr, "settings": asdict(clip.settings)}
    part = path / f"{name}.part.npz"
    np.savez(part, about=json.dumps(about), **{key: getattr(clip, key) for key in _SMALL})
    part.replace(path / f"{name}.npz")


def write_shard(path: Path, clips: Iterable[Clip]) -> None:
    """Writes clips as 00000, 00001, … under the folder ``path``."""
    for index, clip in enumerate(clips):
        write_clip(path, f"{index:05d}", clip)


def clip_names(path: Path) -> list[str]:
    """The names of the clips that are complete in the folder ``path``, sorted."""
    return sorted(p.stem for p in path.glob("*.npz") if not p.stem.endswith(".part"))


def read_clip(path: Path, name: str) -> Clip:
    """The clip ``name`` of the folder ``path``; its pictures stay on disk (memory-mapped, read-only)."""
    with np.load(path / f"{name}.npz") as small:
        about = json.loads(str(small["about"]))
        arrays = {key: small[key] for key in _SMALL}
    stored: dict[str, Any] = about["settings"]
    settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
    return Clip(
        observed=np.load(path / f"{name}.observed.npy", mmap_mode="r"),
        skin=np.load(path / f"{name}.skin.npy", mmap_mode="r"),
        hr=about["hr"],
        identity=about["identity"],
        ita=about["ita"],
        settings=ClipSettings(**settings),
        **arrays,
    )


class ClipDataset(Dataset[dict[str, torch.Tensor]]):
    """Windows of ``window`` frames of the clips in a folder; new clips are seen after ``refresh()``.

    Item ``i`` is a dict: ``observed`` (T, 3, S, S) float32 0..1, ``skin`` (T, 1, S, S) 0..1, ``field``
    (T, 10), ``direction`` (3,), ``bvp``, ``dt``, ``rate``, ``phase`` (T,), and scalars ``hr`` (bpm, mean
    of the clip), ``strength``, ``ita``, ``motion``, ``fps``, ``clip`` (its index). With ``label`` also
    ``p`` (T, 3, S, S), the exact label; or make it per batch with `render_label_torch`. The window starts
    at random with ``seed``, at ``start`` where that is given. Raises UsageError for a folder with no clip
    or a window longer than the clips.
    """

    def __init__(
        self, path: Path | str, window: int = 160, seed: int = 0, start: int | None = None, label: bool = True
    ) -> None:
        self.path = Path(path)
        self.window = window
        self.start = start
        self.label = label
        self._rng = np.random.default_rng(seed)
        self._clips: dict[str, Clip] = {}
        self.names: list[str] = []
        self.refresh()

    def refresh(self) -> int:
        """Looks for clips written since; returns how many there are."""
        self.names = clip_names(self.path)
        if not self.names:
            raise UsageError(f"no clips in {self.path}; make some with scripts/make_training_data.py")
        return len(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def clip(self, index: int) -> Clip:
        """The whole clip ``index``, memory-mapped."""
        name = self.names[index]
        if name not in self._clips:
            self._clips[name] = read_clip(self.path, name)
        return self._clips[name]

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        clip = self.clip(index)
        spare = len(clip.bvp) - self.window
        if spare < 0:
            raise UsageError(f"a window of {self.window} frames does not fit clips of {len(clip.bvp)}")
        start = int(self._rng.integers(spare + 1)) if self.start is None else min(self.start, spare)
        part = slice(start, start + self.window)
        observed = _channels_first(clip.observed[part]).astype(np.float32) * np.float32(1.0 / 65535.0)
        skin = clip.skin[part][:, None].astype(np.float32) * np.float32(1.0 / 255.0)
        item = {
            "observed": torch.from_numpy(observed),
            "skin": torch.from_numpy(skin),
            "field": torch.from_numpy(clip.field[part].copy()),
            "direction": torch.from_numpy(clip.direction.copy()),
        }
        for key in ("bvp", "dt", "rate", "phase"):
            item[key] = torch.from_numpy(np.asarray(getattr(clip, key)[part], np.float32))
        settings = clip.settings
        scalars: dict[str, Any] = {"hr": clip.hr, "strength": settings.strength, "ita": clip.ita}
        scalars |= {"motion": settings.motion, "fps": settings.fps, "clip": index}
        for key, value in scalars.items():
            item[key] = torch.tensor(float(value))
        if self.label:
            item["p"] = render_label_torch(
                item["skin"][None], item["field"][None], item["direction"][None]
            )[0]
        return item


def _channels_first(pictures: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    return np.ascontiguousarray(np.moveaxis(pictures, -1, 1))
