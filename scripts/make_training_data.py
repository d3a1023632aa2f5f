"""Makes clips with exact labels for training: resumable, one seed a clip.

python scripts/make_training_data.py --stills FACES --out runs/data/train --count 800 --split train
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.data.clip import generate_clip
from model.data.collection import still, still_paths
from model.data.portrait import Portrait
from model.data.settings import draw_settings
from model.data.splits import SPLITS, Split
from model.data.store import clip_names, write_clip


@lru_cache(maxsize=8)
def _portrait(path: Path | None, split: Split) -> Portrait:
    return still(path, split)


def _make(job: tuple[int, argparse.Namespace, list[Path | None]]) -> int:
    index, options, stills = job
    rng = np.random.default_rng([options.seed, SPLITS.index(options.split), index])
    # Each identity is used once before any is used again.
    order = np.random.default_rng([options.seed, index // len(stills)]).permutation(len(stills))
    footage = _portrait(stills[order[index % len(stills)]], options.split)
    settings = draw_settings(rng, footage.ita, frames=options.frames)
    write_clip(options.out, f"{index:05d}", generate_clip(rng, footage, settings))
    return index


def _report(made: Iterable[int], count: int, frames: int) -> None:
    began = time.perf_counter()
    for done, index in enumerate(made, 1):
        speed = done * frames / (time.perf_counter() - began)
        print(f"clip {index:05d}: {done}/{count} made, {speed:.0f} frames/s", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--stills", type=Path, help="folder of aligned portraits (default: the built-in one)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips")
    parser.add_argument("--count", type=int, default=800)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=SPLITS, default="train")
    options = parser.parse_args(argv)
    stills = [None] if options.stills is None else still_paths(options.stills, options.split)
    have = set(clip_names(options.out)) if options.out.exists() else set()
    jobs = [(i, options, stills) for i in range(options.count) if f"{i:05d}" not in have]
    if options.workers <= 1:
        _report(map(_make, jobs), len(jobs), options.frames)
    else:
        with get_context("spawn").Pool(options.workers) as pool:
            _report(pool.imap_unordered(_make, jobs), len(jobs), options.frames)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
