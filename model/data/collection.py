"""Footage by split: the stills of a folder, or the built-in portrait where there is none."""

from __future__ import annotations

from pathlib import Path

from streamfilter.errors import UsageError

from model.data.portrait import Portrait, builtin_portrait, load_still
from model.data.splits import Split, require_split, split_of


def still_paths(folder: Path, split: Split) -> list[Path]:
    """The portraits of ``folder`` that belong to ``split``, sorted.

    Raises UsageError where there is none.
    """
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = [p for p in paths if split_of(p.stem) == split]
    if not chosen:
        raise UsageError(f"{folder} has no portrait of the split {split!r}; name stills like group_group_NN.jpg")
    return chosen


def still(path: Path | None, split: Split) -> Portrait:
    """The portrait at ``path`` (None: the built-in one), refused where it is of another split."""
    portrait = builtin_portrait() if path is None else load_still(path)
    require_split(portrait.identity, split)
    return portrait
