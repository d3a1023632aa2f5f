"""Footage by split: stills, real clips, or the built-in portrait where there is neither."""

from __future__ import annotations

from pathlib import Path

from model.data.film import Film, load_film
from model.data.portrait import Portrait, builtin_portrait, load_still
from model.data.splits import Split, require_split, split_of
from streamfilter.errors import UsageError


def still_paths(folder: Path, split: Split) -> list[Path]:
    """The portraits of ``folder`` that belong to ``split``, sorted.

    Raises UsageError where there is none.
    """
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = [p for p in paths if split_of(p.stem) == split]
    if not chosen:
        raise UsageError(f"no portrait of the split {split!r} in {folder}; name them group_group_NN.jpg")
    return chosen


def still(path: Path | None, split: Split) -> Portrait:
    """The portrait at ``path`` (None: the built-in one), refused where it is of another split."""
    portrait = builtin_portrait() if path is None else load_still(path)
    require_split(portrait.identity, split)
    return portrait


def film_paths(folder: Path, split: Split) -> list[Path]:
    """The videos of ``folder`` that belong to ``split``, sorted. Raises UsageError where there is none."""
    kinds = (".mp4", ".mov", ".avi", ".mkv", ".webm")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in kinds)
    chosen = [p for p in paths if split_of(p.stem) == split]
    if not chosen:
        raise UsageError(f"{folder} has no video of the split {split!r} (see model/data/splits.py)")
    return chosen


def film(path: Path, split: Split) -> Film:
    """The real clip at ``path``, refused where it is of another split."""
    require_split(path.stem, split)
    return load_film(path)
