"""Training windows from clips on disk: which window each step takes depends on seed, step and process only,
so that a resumed run reads what an uninterrupted one would have."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from model.data.clip import Clip
from model.data.label import render_label_torch
from model.data.store import ClipDataset
from model.leak import Pulse
from model.losses import Labels
from model.objective import Batch, pool_to
from streamfilter.errors import UsageError

Key = tuple[float, float]  # which clip and where in it, both 0..1
GRID = 18  # cells on a side of the network's edits, for a crop of 72
REFRESH_SECONDS = 60.0
_HARDLY_SKIN = 1e-3  # share of skin below which a cell's colour is that of all its pixels


class WindowSource(Dataset[Batch]):
    """Windows of ``frames`` frames, by key. With ``growing``, clips written since are looked for now and then
    (a run on data that is still being made; then it does not resume to the same windows)."""

    def __init__(self, folder: Path, frames: int, growing: bool = False, grid: int = GRID) -> None:
        self.clips = ClipDataset(folder, window=frames, label=False)
        self.frames, self.growing, self.grid = frames, growing, grid
        self._looked = time.monotonic()

    def __len__(self) -> int:
        return len(self.clips)

    def fingerprint(self) -> str:
        """sha256 over names and sizes of the clips' files: tells whether a run goes on with the same data."""
        digest = hashlib.sha256()
        for name in self.clips.names:
            for path in sorted(self.clips.path.glob(f"{name}.*")):
                digest.update(f"{path.name}:{path.stat().st_size}\n".encode())
        return digest.hexdigest()

    def __getitem__(self, key: Key) -> Batch:
        if self.growing and time.monotonic() - self._looked > REFRESH_SECONDS:
            self.clips.refresh()
            self._looked = time.monotonic()
        clip = self.clips.clip(min(int(key[0] * len(self.clips)), len(self.clips) - 1))
        spare = len(clip.bvp) - self.frames
        if spare < 0:
            raise UsageError(
                f"windows of {self.frames} frames do not fit clips of {len(clip.bvp)}: shorten window.frames"
            )
        return window(clip, min(int(key[1] * (spare + 1)), spare), self.frames, self.grid)


def window(clip: Clip, start: int, frames: int, grid: int = GRID) -> Batch:
    """One window of a clip (no batch axis), its label and skin pooled to ``grid`` cells on a side."""
    part = slice(start, start + frames)
    pictures = np.ascontiguousarray(np.moveaxis(clip.observed[part], -1, 1)).astype(np.float32)
    crop = torch.from_numpy(pictures).mul_(1.0 / 65535.0)
    mask = torch.from_numpy(clip.skin[part].astype(np.float32))[:, None].mul_(1.0 / 255.0)
    skin = pool_to(mask, grid)
    field, direction = torch.from_numpy(clip.field[part].copy()), torch.from_numpy(clip.direction.copy())
    # A cell's label is what its skin shows, each pixel weighted by how far it is skin, as whoever reads the
    # picture weights it: of a cell that skin fills by half, all of its pulse; of one that is half skin all
    # over, half of it.
    shown = pool_to(mask * mask, grid) / (skin + _HARDLY_SKIN)
    pulse = render_label_torch(shown[None], field[None], direction[None])[0]
    colour = (pool_to(crop * mask, grid) + _HARDLY_SKIN * pool_to(crop, grid)) / (skin + _HARDLY_SKIN)
    dt = torch.from_numpy(clip.dt[part].astype(np.float32))
    rate = float(clip.rate[part].mean()) / 60.0 if clip.settings.strength > 0 else 0.0
    wave = torch.from_numpy(clip.bvp[part].astype(np.float32))
    times = torch.from_numpy((clip.times[part] - clip.times[start]).astype(np.float32))
    labels = Labels(colour, pulse, skin)
    return Batch(crop, labels, Pulse(wave, times, torch.tensor(rate)), dt[:, None])


def collate(items: Sequence[Batch]) -> Batch:
    """Stacks windows into a batch."""
    return Batch(
        torch.stack([item.crop for item in items]),
        Labels(*(torch.stack(part) for part in zip(*(item.labels for item in items), strict=True))),
        Pulse(*(torch.stack(part) for part in zip(*(item.pulse for item in items), strict=True))),
        torch.stack([item.dt for item in items]),
    )


class StepSampler(Sampler[list[Key]]):
    """Keys of the batches of steps ``first`` to ``last`` - 1 for process ``rank`` of ``world``.

    Each pass over the clips takes every clip once, in an order of its own.
    """

    def __init__(
        self, clips: int, batch: int, first: int, last: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self.clips, self.batch, self.first, self.last = clips, batch, first, last
        self.seed, self.rank, self.world = seed, rank, world

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[Key]]:
        order: dict[int, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}
        for step in range(self.first, self.last):
            keys: list[Key] = []
            where = np.random.default_rng((self.seed, 1, step, self.rank)).random(self.batch)
            for index in range(self.batch):
                position = (step * self.world + self.rank) * self.batch + index
                epoch, place = divmod(position, self.clips)
                if epoch not in order:
                    order = {epoch: np.random.default_rng((self.seed, 2, epoch)).permutation(self.clips)}
                keys.append(((float(order[epoch][place]) + 0.5) / self.clips, float(where[index])))
            yield keys


def fixed_keys(count: int) -> list[Key]:
    """Keys of ``count`` windows spread over all clips, always the same ones."""
    return [((index + 0.5) / count, (index * 0.618) % 1.0) for index in range(count)]


def loader(source: WindowSource, sampler: StepSampler, workers: int) -> DataLoader[Batch]:
    """Batches in the sampler's order, read ahead by ``workers`` processes."""
    return DataLoader(
        source,
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=workers,
        prefetch_factor=2 if workers else None,
        pin_memory=torch.cuda.is_available(),
    )
