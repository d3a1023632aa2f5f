"""Makes clips with exact labels for training: resumable, one seed a clip.

python scripts/make_training_data.py --stills FACES --out runs/data/train --count 800 --split train
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.data.clip import generate_clip
from model.data.collection import film, film_paths, still, still_paths
from model.data.film import Film, generate_film_clip
from model.data.portrait import Portrait
from model.data.settings import draw_settings
from model.data.splits import SPLITS, Split
from model.data.store import clip_names, write_clip


@lru_cache(maxsize=8)
def _portrait(path: Path | None, split: Split) -> Portrait:
    return still(path, split)


@lru_cache(maxsize=3)
def _film(path: Path, split: Split) -> Film:
    return film(path, split)


@dataclass(frozen=True)
class Job:
    """One clip: its number, its footage (a still, None for the built-in one, or a video), and its seed."""

    index: int
    name: str
    footage: Path | None
    is_film: bool
    options: argparse.Namespace


def _make(job: Job) -> str:
    options = job.options
    rng = np.random.default_rng([options.seed, SPLITS.index(options.split), int(job.is_film), job.index])
    if job.is_film:
        assert job.footage is not None
        reel = _film(job.footage, options.split)
        clip = generate_film_clip(rng, reel, draw_settings(rng, reel.ita, frames=options.frames, motion=3))
    else:
        footage = _portrait(job.footage, options.split)
        clip = generate_clip(rng, footage, draw_settings(rng, footage.ita, frames=options.frames))
    write_clip(options.out, job.name, clip)
    return job.name


def _jobs(options: argparse.Namespace) -> list[Job]:
    """The clips that are wanted and not there yet."""
    jobs = []
    if options.clips is not None:
        films = film_paths(options.clips, options.split)
        each = -(-options.film_count // len(films))  # a film is opened once for all its clips
        names = [f"film{i:05d}" for i in range(options.film_count)]
        jobs += [Job(i, n, films[i // each], True, options) for i, n in enumerate(names)]
    stills: list[Path | None] = [None]
    if options.stills is not None:
        stills = list(still_paths(options.stills, options.split))
    for index in range(options.count):
        # Each identity is used once before any is used again.
        order = np.random.default_rng([options.seed, index // len(stills)]).permutation(len(stills))
        jobs.append(Job(index, f"{index:05d}", stills[order[index % len(stills)]], False, options))
    have = set(clip_names(options.out)) if options.out.exists() else set()
    return [job for job in jobs if job.name not in have]


def _report(made: Iterable[str], count: int, frames: int) -> None:
    began = time.perf_counter()
    for done, name in enumerate(made, 1):
        speed = done * frames / (time.perf_counter() - began)
        print(f"clip {name}: {done}/{count} made, {speed:.0f} frames/s", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--stills", type=Path, help="folder of aligned portraits (default: the built-in one)")
    parser.add_argument("--clips", type=Path, help="folder of real clips to put a pulse on (default: none)")
    parser.add_argument("--film-count", type=int, default=120, help="clips of real footage, besides --count")
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips")
    parser.add_argument("--count", type=int, default=800)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=SPLITS, default="train")
    options = parser.parse_args(argv)
    jobs = _jobs(options)
    if options.workers <= 1:
        _report(map(_make, jobs), len(jobs), options.frames)
    else:
        with get_context("spawn").Pool(options.workers) as pool:
            _report(pool.imap_unordered(_make, jobs), len(jobs), options.frames)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
