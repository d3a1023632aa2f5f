"""The rivals' page: who counts as misled, and the targets of a clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from model.evaluate.learned.measure import APART_BPM, targets_of
from model.evaluate.learned.report import at_target, bars, misled, row_of, write


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


@pytest.mark.parametrize("reference", ["", "reference: compact VAE, step 1 of 2"])
def test_the_page_says_which_reference_it_is(reference: str, tmp_path: Path) -> None:
    meta = {"command": "c", "commit": "d", "artifact": "e", "estimators": "", "notes": []}
    clips = [{"name": "a", "true": 60.0, "learned": {}, "editors": {"none": figures(0.1, 1, 50.0)}}]
    write(tmp_path, clips, meta | {"reference": reference})
    page = (tmp_path / "rivals.md").read_text()
    assert ("- reference: compact VAE" in page) == bool(reference)


def figures(left: float, hits: int, psnr: float) -> dict[str, Any]:
    names = ("POS", "CHROM", "GREEN", "PCA", "ICA", "LGI", "PBV", "OMIT")
    read = {
        "error": dict.fromkeys(names, 0.5),
        "coherence": {"face_mean": 0.2, "patch_mean": 0.2, "left": left},
        "hits": hits,
        "notch": dict.fromkeys(names[:4], 100.0),
    }
    return {"planes": read, "rgb": read, "psnr": psnr, "psnr_planes": psnr}


def test_the_bars_compare_with_the_best_of_the_others() -> None:
    ours = [figures(0.1, 1, 50.0), figures(0.1, 0, 50.0), figures(9.0, 0, 50.0)]
    theirs = [figures(0.7, 0, 50.6), figures(0.8, 0, 50.6), figures(0.7, 0, 50.6)]
    clips = [
        {"learned": {}, "editors": {"none": a, "streaming": a, "reference": b}}
        for a, b in zip(ours, theirs, strict=True)
    ]
    assert row_of(clips, "streaming", "planes").left == 0.1  # one clip by chance does not rule it
    held = {what: ok for what, _, _, ok in bars(clips)}
    assert held["leakage, left, read from planes"] and held["leakage, face, read from rgb"]
    assert not held["leakage, found, read from planes"]
    assert held["PSNR YUV"] and held["error to target, read from planes"]
