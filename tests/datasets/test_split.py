"""Splits by subject, as properties."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.datasets.registry import open_dataset
from model.datasets.split import SHARES, split_clips, split_subjects
from streamfilter.errors import UsageError
from tests.datasets import layouts

SUBJECTS = st.lists(st.text("abcs0123456789", min_size=1, max_size=5), max_size=60)
CUTS = st.lists(st.integers(0, 10), min_size=1, max_size=4).filter(lambda parts: sum(parts) > 0)


def shares_of(parts: list[int]) -> dict[str, float]:
    return {f"part{k}": part / sum(parts) for k, part in enumerate(parts)}


@given(SUBJECTS, CUTS, st.integers(0, 5))
def test_every_subject_is_in_exactly_one_part(subjects: list[str], cuts: list[int], seed: int) -> None:
    parts = split_subjects(subjects, shares_of(cuts), seed)
    placed = [one for part in parts.values() for one in part]
    assert sorted(placed) == sorted(set(subjects))


@given(SUBJECTS, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(subjects: list[str], random: object) -> None:
    other = subjects * 2
    random.shuffle(other)  # type: ignore[attr-defined]
    assert split_subjects(subjects) == split_subjects(other)


@given(st.sets(st.text("ab01", min_size=1, max_size=6), max_size=60), CUTS)
def test_parts_are_as_large_as_their_shares(subjects: set[str], cuts: list[int]) -> None:
    shares = shares_of(cuts)
    for part, found in split_subjects(subjects, shares).items():
        assert abs(len(found) - shares[part] * len(subjects)) <= 1.0


def test_another_seed_is_another_split() -> None:
    subjects = [f"s{k}" for k in range(40)]
    assert split_subjects(subjects, seed=1) != split_subjects(subjects, seed=2)


def test_shares_have_to_add_up() -> None:
    with pytest.raises(UsageError, match="1 in all"):
        split_subjects(["a"], {"train": 0.5, "test": 0.4})


def test_a_subjects_clips_stay_together(tmp_path: Path) -> None:
    for subject in ("s1", "s2", "s3"):
        for task in ("T1", "T2"):
            layouts.ubfc_phys(tmp_path, subject, task, count=1)
    parts = split_clips(open_dataset("ubfc-phys", tmp_path), {"train": 2 / 3, "test": 1 / 3})
    assert {part: len(clips) for part, clips in parts.items()} == {"train": 4, "test": 2}
    subjects = {part: {clip.subject for clip in clips} for part, clips in parts.items()}
    assert not subjects["train"] & subjects["test"]
    assert set(SHARES) == {"train", "val", "test"}
