"""Splits by subject: a person is in one part only, whatever the order or number of their clips."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from model.datasets.protocol import Dataset, DatasetClip
from streamfilter.errors import UsageError

SHARES: Mapping[str, float] = MappingProxyType({"train": 0.7, "val": 0.1, "test": 0.2})


def split_subjects(
    subjects: Iterable[str], shares: Mapping[str, float] = SHARES, seed: int = 0
) -> dict[str, tuple[str, ...]]:
    """The subjects of each part, sorted; depends on the set of subjects, the shares and the seed only.

    Subjects are ranked by a hash and the ranks cut at the shares, each rounded. Raises UsageError where
    shares are negative or do not add up to 1.
    """
    if any(share < 0 for share in shares.values()) or abs(sum(shares.values()) - 1.0) > 1e-9:
        raise UsageError(f"shares {dict(shares)}: give none below 0, and 1 in all")
    ranked = sorted(set(subjects), key=lambda one: hashlib.sha256(f"{seed}:{one}".encode()).digest())
    out, before, total = {}, 0, 0.0
    for part, share in shares.items():
        total += share
        last = round(total * len(ranked))
        out[part] = tuple(sorted(ranked[before:last]))
        before = last
    return out


def split_clips(
    dataset: Dataset, shares: Mapping[str, float] = SHARES, seed: int = 0
) -> dict[str, tuple[DatasetClip, ...]]:
    """The clips of each part, in the dataset's order. Raises UsageError as `split_subjects`."""
    parts = split_subjects(dataset.subjects, shares, seed)
    return {
        part: tuple(clip for clip in dataset.clips if clip.subject in set(subjects))
        for part, subjects in parts.items()
    }
