"""The rivals' page: who counts as misled, and the targets of a clip."""

from __future__ import annotations

from typing import Any

import pytest

from model.evaluate.learned.measure import APART_BPM, targets_of
from model.evaluate.learned.report import at_target, misled


@pytest.mark.parametrize("true", [None, *range(40, 181)])
def test_a_clip_of_any_rate_has_two_targets_far_from_it(true: float | None) -> None:
    first, second = targets_of(true)
    assert first != second
    assert true is None or min(abs(first - true), abs(second - true)) >= APART_BPM


def clip(true: float | None, given: float | None, first: float, second: float) -> dict[str, Any]:
    found = {"none": given, "streaming": first, "streaming, second": second}
    return {"true": true, "targets": [90.0, 120.0], "learned": {"Net": found}}


def test_only_a_reader_that_reads_the_input_counts_as_misled() -> None:
    clips = [
        clip(60.0, 61.0, 90.5, 119.0),
        clip(60.0, 75.0, 60.0, 120.0),
        clip(60.0, None, 90.0, 120.0),
        clip(None, 70.0, 90.0, 150.0),
    ]
    assert misled(clips) == {"Net": (1, 2, 2)}
    assert at_target(clips, "Net") == (6, 8)
    assert misled([clip(60.0, 58.0, 95.0, 120.0)]) == {"Net": (1, 2, 1)}
