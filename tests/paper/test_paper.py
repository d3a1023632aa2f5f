"""The paper's table from the command line: a dataset in UBFC-rPPG's exact layout, one clip of it unusable."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame

from model.data.portrait import builtin_portrait
from model.data.settings import ClipSettings
from model.data.video import render_video
from model.datasets.registry import open_dataset
from model.evaluate.metrics import rgb_of
from model.evaluate.paper.__main__ import main
from model.evaluate.paper.clips import open_dataset_clip
from model.evaluate.paper.published import ROWS
from model.evaluate.paper.report import render
from model.evaluate.paper.table import rows_of
from model.perceptual import ConvolutionBackbone
from streamfilter.errors import SourceError
from streamfilter.rppg.coherence import coherence

pytestmark = pytest.mark.timeout(400)  # one run of all serves every test: slow where a machine is busy

FPS, SECONDS, TRUE = 15, 8.2, 83.0
METHODS = {"streaming", "pulse-edit", "region-edit", "band-stop", "oracle"}

Report = dict[str, Any]


def subject(folder: Path, number: int, seconds: float) -> None:
    """A still face with a known pulse as raw AVI, its wave as the sensor's three lines."""
    place = folder / f"subject{number}"
    place.mkdir(parents=True)
    settings = ClipSettings(frames=round(seconds * FPS), fps=FPS, motion=0, hr=TRUE, strength=0.006)
    video = render_video(np.random.default_rng(number), builtin_portrait(), settings, 160)
    with av.open(str(place / "vid.avi"), "w") as container:
        stream = container.add_stream("rawvideo", rate=Fraction(FPS))
        stream.height, stream.width, stream.pix_fmt = 160, 160, "bgr24"
        for drawn in video.frames():
            picture = VideoFrame.from_ndarray(rgb_of(drawn.frame), format="rgb24")
            container.mux(stream.encode(picture.reformat(format="bgr24")))
        container.mux(stream.encode(None))
    times = np.asarray(video.times - video.times[0])
    lines = (video.bvp, np.full(times.size, TRUE), times)
    text = "\n".join("  ".join(f"{value:.7e}" for value in line) for line in lines)
    (place / "ground_truth.txt").write_text(text + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper")
    subject(folder / "ubfc", 3, SECONDS)
    subject(folder / "ubfc", 4, 2.0)
    torch.manual_seed(0)
    widths = (64, 128, 256)
    heads = [torch.rand(width) for width in widths]
    torch.save({"backbone": ConvolutionBackbone(widths).state_dict(), "heads": heads}, folder / "lpips.pt")
    return folder


def options(place: Path, *more: str) -> list[str]:
    folders = ["--folder", "ubfc", "--out", "out", "--cache", "cache"]
    made = [word if word.startswith("--") else str(place / word) for word in folders]
    given = ["--dataset", "ubfc2", "--no-learned", "--seconds", "5.5", "--targets", "60,120"]
    return [*made, *given, "--lpips", str(place / "lpips.pt"), *more]


@pytest.fixture(scope="module")
def report(place: Path) -> Report:
    assert main(options(place)) == 0
    found: Report = json.loads((place / "out" / "results.json").read_text())
    return found


def test_the_table_has_every_method_target_and_estimator(report: Report) -> None:
    keys = {(row["method"], row["target"], row["estimator"], row["read"]) for row in report["rows"]}
    wanted = {
        (method, target, estimator, read)
        for method in METHODS
        for target in (60.0, 120.0, None)
        for estimator in ("POS", "CHROM", "PCA")
        for read in ("written", "call")
    }
    assert keys == wanted


def test_the_input_shows_the_true_rate_and_the_streaming_editor_the_target(report: Report) -> None:
    clip = report["clips"][0]
    assert abs(clip["true"] - TRUE) < 4.0
    for row in report["rows"]:
        if row["method"] == "streaming" and row["target"] is not None:
            assert abs(row["input_mae"] - abs(clip["true"] - row["target"])) < 4.0
            assert row["output_mae"] < 4.0
            assert row["output_mape"] == pytest.approx(100.0 * row["output_mae"] / row["target"])
            assert row["unread"] == 0


def test_a_method_is_read_as_it_writes_and_as_a_call_takes_it(report: Report) -> None:
    found = report["clips"][0]["methods"]
    for method, own in (("streaming", "planes"), ("region-edit", "rgb")):
        figures = found[method]["120"]
        off = {kind: abs(figures[kind]["hr"]["POS"] - 120.0) for kind in ("planes", "rgb")}
        rows = {
            row["read"]: row["output_mae"]
            for row in report["rows"]
            if (row["method"], row["target"], row["estimator"]) == (method, 120.0, "POS")
        }
        assert rows == {"written": pytest.approx(off[own]), "call": pytest.approx(off["planes"])}


def test_the_oracle_knows_the_contact_wave(report: Report) -> None:
    found = {m: report["clips"][0]["methods"][m]["120"] for m in METHODS}
    before = report["clips"][0]["input"]["coherence"]
    assert before["face_mean"] > 0.9 and before["left"] > 0.9
    assert found["oracle"]["planes"]["coherence"]["left"] < 0.1
    assert found["streaming"]["planes"]["coherence"]["left"] < 0.5


def test_fidelity_is_measured(report: Report) -> None:
    for row in report["rows"]:
        assert 35.0 < row["psnr"] < 65.0
        assert 0.9 < row["ssim"] <= 1.0
        assert row["lpips"] > 0.0


def test_a_clip_that_cannot_be_measured_is_named(report: Report, place: Path) -> None:
    assert list(report["meta"]["skipped"]) == ["subject4"]
    page = (place / "out" / "README.md").read_text()
    assert "subject4: " in page and "under 6.5 s" in page


def test_the_page_has_the_papers_layout_and_marks_what_is_published(report: Report, place: Path) -> None:
    page = (place / "out" / "README.md").read_text()
    assert "| PhysioLatent (the paper) | PURE | average | 38.96 | 0.98 | – | 44.01 | 10.00 | 10.09 |" in page
    assert page.count("*published, unconfirmed*") > page.count("| *published* |") >= 1
    assert "Privacy-Phys: left out" in page and "reference: not run" in page


def test_the_csv_holds_the_same_rows(report: Report, place: Path) -> None:
    with (place / "out" / "table.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(report["rows"]) + len(ROWS)
    measured = [line for line in lines if line["source"] == "measured"]
    for line, row in zip(measured, report["rows"], strict=True):
        assert float(line["output_mae"]) == pytest.approx(row["output_mae"], rel=1e-5)
        assert line["target"] == ("average" if row["target"] is None else f"{row['target']:g}")


def test_a_second_run_measures_nothing_again(report: Report, place: Path) -> None:
    kept = {path: path.stat().st_mtime_ns for path in (place / "cache" / "results").iterdir()}
    assert len(kept) == 1 + len(METHODS)
    assert main(options(place)) == 0
    again = json.loads((place / "out" / "results.json").read_text())
    assert again["rows"] == report["rows"]
    assert kept == {path: path.stat().st_mtime_ns for path in (place / "cache" / "results").iterdir()}


def test_an_estimator_that_reads_nothing_counts() -> None:
    after = {"hr": {"POS": 90.0, "CHROM": None, "PCA": 90.0}, "coherence": {}}
    figures: Report = {"planes": after, "rgb": after, "learned": {}}
    figures |= {"psnr": 50.0, "psnr_planes": 55.0, "ssim_face": 1.0, "lpips": None}
    result = {"name": "a", "input": {"hr": dict.fromkeys(("POS", "CHROM", "PCA"), 70.0)}}
    rows = rows_of([result | {"methods": {"streaming": {"80": figures}}}], "plain", (80.0,))
    assert [row.target for row in rows if row.read == "written"] == 3 * [80.0, None]
    found = {row.estimator: row for row in rows if row.read == "written"}
    assert (found["POS"].output_mae, found["POS"].output_mape, found["POS"].unread) == (10.0, 12.5, 0)
    assert (found["CHROM"].output_mae, found["CHROM"].unread) == (60.0, 1)
    assert found["POS"].input_mae == 10.0 and found["POS"].lpips is None


def test_a_method_that_ran_on_fewer_clips_says_so_and_leaves_the_input_alone() -> None:
    after = {"hr": dict.fromkeys(("POS", "CHROM", "PCA"), 80.0), "coherence": {}}
    figures: Report = {"planes": after, "rgb": after, "learned": {}}
    figures |= {"psnr": 50.0, "psnr_planes": 55.0, "ssim_face": 1.0, "lpips": None}
    clips = []
    for name, before, methods in (("a", 70.0, ("streaming", "oracle")), ("b", 50.0, ("streaming",))):
        about = {"name": name, "subject": name, "attributes": {}, "true": before, "seconds": 10.0}
        read = {"hr": dict.fromkeys(("POS", "CHROM", "PCA"), before)}
        made = {method: {"80": figures, "90": figures} for method in methods}
        clips.append(about | {"input": read, "methods": made})
    meta: Report = {"command": "c", "commit": "d", "artifact": "e", "dataset": "plain", "title": ""}
    meta |= {"notes": [], "skipped": {}, "failed": {}}
    page = render(clips, rows_of(clips, "plain", (80.0, 90.0)), meta)
    by_estimator = page[page.index("## By estimator") :]
    assert "| input | 25.00 | 25.00 | 25.00 |" in by_estimator  # (10 + 30 + 20 + 40) / 4, as for streaming
    assert "| oracle (1 of 2 clips) | 5.00" in by_estimator and "| streaming | 5.00" in by_estimator
    assert page.count("| 1 of 2 clips |") == 6  # two targets and their average, each read in two ways


def test_the_known_pulse_is_what_follows_the_contact_wave(place: Path, tmp_path: Path) -> None:
    clip = open_dataset("ubfc2", place / "ubfc").clips[0]
    made = open_dataset_clip(clip, 5.5, tmp_path)
    assert made.pulse is not None and made.true_bpm is not None
    field, wave = (part[slice(*made.read)] for part in (made.pulse.field[:, 0], made.pulse.bvp))
    assert coherence(field.astype(np.float64), wave, made.fps, made.true_bpm) > 0.9
    assert 0.002 < np.abs(field).max() < 0.02
    assert made.pulse.direction[1] == pytest.approx(1.0)
    assert made.pulse.direction[0] < 0.8


def test_a_clip_that_is_too_short_is_refused(place: Path, tmp_path: Path) -> None:
    clip = open_dataset("ubfc2", place / "ubfc").clips[1]
    with pytest.raises(SourceError, match=r"under 6\.5 s"):
        open_dataset_clip(clip, 5.5, tmp_path)


def test_wrong_settings_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(options(place, "--folder", str(place / "nowhere"))) == SourceError.exit_code
    assert "nowhere" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(options(place, "--targets", "20"))
