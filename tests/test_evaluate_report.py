"""The report: bars fail where the figures are bad, and nothing is left behind where writing fails."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from model.evaluate.aggregate import NOTHING_READ, errors, summary
from model.evaluate.bars import evaluate_bars
from model.evaluate.program import run_program
from model.evaluate.report import write_report

SEVEN = ("POS", "CHROM", "GREEN", "ICA", "LGI", "PBV", "OMIT", "PCA")
META = {
    "command": "c",
    "commit": "x",
    "artifact": "a",
    "skip_seconds": 1.5,
    "skipped": {"lost": "no face"},
    "failed": {},
}


def figures(error: float | None, leak: float, hits: int, psnr: float) -> dict[str, Any]:
    return {
        "hr": dict.fromkeys(SEVEN, 100.0),
        "error": dict.fromkeys(SEVEN, error),
        "notch": dict.fromkeys(("POS", "CHROM", "GREEN", "PCA"), 53.0 if hits else 150.0),
        "hits": hits,
        "early_hits": hits,
        "coherence": {
            "face_mean": leak,
            "face_max": leak,
            "patch_mean": leak,
            "patch_p90": leak,
            "left": leak,
        },
        "psnr": psnr,
        "psnr_planes": psnr,
        "ssim_face": 0.999,
        "ssim_frame": 0.999,
        "flicker": 1.0,
        "shielded": 0,
    }


def result(motion: int, tone: str, artifact: dict[str, Any], name: str = "clip") -> dict[str, Any]:
    labels = {"source": "synthetic", "motion": motion, "tone": tone, "light": "even", "fps": 30.0}
    return {
        "name": name,
        "labels": labels | {"camera": "raw"},
        "target": 100.0,
        "true": 53.0,
        "seconds": 30.0,
        "editors": {
            "none": figures(47.0, 0.9, 4, 99.0),
            "band-stop": figures(0.1, 0.6, 4, 51.0),
            "artifact": artifact,
            "oracle": figures(0.1, 0.1, 0, 52.0),
        },
        "pulse_free": {"hits": 1, "notch": {}, "coherence": {}},
    }


def all_clips(artifact: dict[str, Any]) -> list[dict[str, Any]]:
    return [result(m, t, artifact, f"clip{m}{t}") for m in (0, 4) for t in ("light", "dark")]


def test_good_figures_pass_every_bar_that_was_measured() -> None:
    bars = evaluate_bars(all_clips(figures(0.2, 0.12, 0, 52.5)))
    assert len(bars) > 10
    assert {bar.what: bar.passed for bar in bars if bar.passed is False} == {}


@pytest.mark.parametrize(
    ("artifact", "part"),
    [
        (figures(0.7, 0.12, 0, 52.5), "error to the target"),
        (figures(None, 0.12, 0, 52.5), "error to the target"),
        (figures(0.2, 0.3, 0, 52.5), "coherence with the true pulse, face, still"),
        (figures(0.2, 0.4, 0, 52.5), "half the band-stop"),
        (figures(0.2, 0.12, 3, 52.5), "notch attack"),
        (figures(0.2, 0.12, 0, 47.0), "PSNR over the face, strong"),
        (figures(0.2, 0.12, 0, 50.5), "PSNR against the oracle"),
    ],
)
def test_each_bad_figure_fails_its_bar(artifact: dict[str, Any], part: str) -> None:
    failed = [bar.what for bar in evaluate_bars(all_clips(artifact)) if bar.passed is False]
    assert any(part in what for what in failed), failed


def test_dark_skin_may_not_fare_worse() -> None:
    clips = [*all_clips(figures(0.2, 0.1, 0, 52.0))]
    for clip in clips:
        if clip["labels"]["tone"] == "dark":
            clip["editors"]["artifact"] = figures(0.2, 0.125, 0, 52.0)
    failed = [bar.what for bar in evaluate_bars(clips) if bar.passed is False]
    assert any("dark against light" in what and "coherence" in what for what in failed)
    assert not any("dark against light skin: error" in what for what in failed)


def test_no_reading_counts_as_a_large_error() -> None:
    found = errors(all_clips(figures(None, 0.1, 0, 52.0)), "artifact")
    assert set(found.values()) == {NOTHING_READ}
    assert summary(all_clips(figures(0.5, 0.1, 0, 52.0)), "artifact")["error_mean"] == pytest.approx(0.5)


def test_the_report_is_whole_and_says_what_failed(tmp_path: Path) -> None:
    out = tmp_path / "docs" / "evaluation"
    out.parent.mkdir()

    def draw(folder: Path) -> Sequence[str]:
        (folder / "motion.png").write_bytes(b"png")
        return ["motion.png"]

    write_report(out, all_clips(figures(0.7, 0.12, 0, 52.0)), META, draw)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "motion.png", "results.json"]
    text = (out / "README.md").read_text()
    assert "**fail**" in text
    assert "motion.png" in text
    assert "- lost: no face" in text
    written = json.loads((out / "results.json").read_text())
    assert [clip["name"] for clip in written["clips"]] == [
        "clip0light",
        "clip0dark",
        "clip4light",
        "clip4dark",
    ]


def test_a_failed_report_leaves_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    out.mkdir()
    (out / "README.md").write_text("old")

    def draw(folder: Path) -> Sequence[str]:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_report(out, all_clips(figures(0.2, 0.1, 0, 52.0)), META, draw)
    assert (out / "README.md").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation"]


@pytest.mark.parametrize(("found", "verdict"), [(150.0, True), (55.0, False)])
def test_the_clip_of_known_pulse_has_its_own_table_and_bars(
    found: float, verdict: bool, tmp_path: Path
) -> None:
    clip = result(0, "light", figures(0.2, 0.12, 0, 52.5), "evm_face-seed2")
    clip["labels"]["source"] = "real"
    del clip["pulse_free"], clip["editors"]["oracle"]
    artifact = clip["editors"]["artifact"]
    artifact["notch"] = {"POS": 150.0, "CHROM": None, "GREEN": found, "PCA": 150.0}
    artifact["codecs"] = {"yuv420p": artifact | {"hr": {"POS": 90.4}}, "VP8 0.5": dict(artifact)}
    bars = {bar.what: bar for bar in evaluate_bars([clip])}
    assert bars["evm_face.mp4, target 90: rate after the notch"].passed is verdict
    assert bars["after VP8 0.5: notch attack"].passed is verdict
    assert bars["after VP8 0.5: POS, CHROM, GREEN, PCA at the target"].passed is True
    write_report(tmp_path / "out", [clip], META, lambda folder: [])
    text = (tmp_path / "out" / "README.md").read_text()
    assert "| artifact, seed 2 | yuv420p | 90.4 / – / – / – | " in text
    assert f"| 150.0 / – / {found:.1f} / 150.0 |" in text


def test_a_page_names_a_command_that_can_be_typed_again() -> None:
    given = []

    def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
        return argparse.Namespace()

    def evaluate(_options: argparse.Namespace, command: str) -> int:
        given.append(command)
        return 0

    assert run_program("python -m x", parse, evaluate, ["--title", "two clips, not PURE"]) == 0
    assert given == ["python -m x --title 'two clips, not PURE'"]
