"""A small evaluation from the command line to its report: a generated clip, a planted one, and bad ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest

from model.evaluate.__main__ import main
from model.evaluate.codecs import CODECS, PLAIN
from model.evaluate.editors import NAMES
from model.evaluate.plots import draw_all
from streamfilter.errors import ArtifactError
from tests.made_video import film

pytestmark = pytest.mark.timeout(400)  # one run of all serves every test: slow where a machine is busy

DRAWN, PLANTED = "26-light-motion1-even-15fps-raw", "lp_d10-planted"
SEVEN = ("POS", "CHROM", "GREEN", "ICA", "LGI", "PBV", "OMIT")
ATTACKERS = ("POS", "CHROM", "GREEN", "PCA")

Report = dict[str, Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of "real" clips: one without a pulse of its own, one without colour, one that is no video."""
    folder = tmp_path_factory.mktemp("evaluate")
    clips = folder / "clips"
    clips.mkdir()
    film(clips / "lp_d10.mkv", 7.2, strength=0.0)
    film(clips / "grey.mkv", 1.0, grey=True)
    (clips / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def report(place: Path) -> Report:
    assert main(options(place)) == 0
    return read(place)


def options(place: Path, only: str = f"{DRAWN},{PLANTED},grey,broken", *more: str) -> list[str]:
    folders = ["--clips", "clips", "--faces", "none", "--cache", "cache", "--out", "out"]
    made = [word if word.startswith("--") else str(place / word) for word in folders]
    return [*made, "--only", only, "--jobs", "1", "--seconds", "5.5", *more]


def read(place: Path) -> Report:
    found: Report = json.loads((place / "out" / "results.json").read_text())
    return found


def editors_of(report: Report, name: str) -> dict[str, Report]:
    """The figures of each editor on one clip."""
    found: dict[str, Report] = next(clip["editors"] for clip in report["clips"] if clip["name"] == name)
    return found


def test_every_clip_is_measured_or_named(report: Report) -> None:
    assert [clip["name"] for clip in report["clips"]] == [DRAWN, PLANTED]
    assert [clip["labels"]["source"] for clip in report["clips"]] == ["synthetic", "planted"]
    assert set(report["meta"]["skipped"]) == {"broken", "broken-planted", "grey", "grey-planted"}
    assert "15 show a face and 0 skin" in report["meta"]["skipped"]["grey"]
    assert "cannot be opened as video" in report["meta"]["skipped"]["broken"]
    assert report["meta"]["failed"] == {}


@pytest.mark.parametrize("name", [DRAWN, PLANTED])
def test_the_true_rate_is_read_before_and_the_target_after(report: Report, name: str) -> None:
    clip = next(clip for clip in report["clips"] if clip["name"] == name)
    true, target = clip["true"], clip["target"]
    before, after = clip["editors"]["none"], clip["editors"]["artifact"]
    assert all(abs(before["hr"][estimator] - true) < 6.0 for estimator in ("POS", "CHROM", "GREEN"))
    assert all(abs(after["hr"][estimator] - target) < 6.0 for estimator in SEVEN)
    assert before["hits"] >= 3 and after["hits"] == 0
    assert after["shielded"] == 0


@pytest.mark.parametrize("name", [DRAWN, PLANTED])
def test_the_editors_rank_as_they_must(report: Report, name: str) -> None:
    """Which of two traces is larger is certain on 5.5 s; coherence is not, on so few seconds."""
    found = editors_of(report, name)
    left = {editor: figures["coherence"]["left"] for editor, figures in found.items()}
    assert tuple(found) == NAMES
    assert left["none"] > 0.75
    assert max(left["artifact"], left["oracle"]) < 0.4 * left["none"]
    assert found["none"]["coherence"]["face_mean"] > 0.9
    for editor in ("band-stop", "artifact", "oracle"):
        assert 45.0 < found[editor]["psnr_planes"] < 65.0
        assert found[editor]["ssim_frame"] > 0.99


def test_only_the_chosen_clip_goes_through_the_codecs(report: Report) -> None:
    assert all("codecs" not in figures for figures in editors_of(report, DRAWN).values())
    found = editors_of(report, PLANTED)
    assert [editor for editor in NAMES if "codecs" in found[editor]] == ["band-stop", "artifact"]
    received = found["artifact"]["codecs"]
    assert list(received) == [PLAIN, *CODECS]
    assert received[PLAIN]["hr"] == {name: found["artifact"]["hr"][name] for name in ATTACKERS}
    assert received["H.264 0.5"]["hr"] != received[PLAIN]["hr"]
    assert all(abs(read["hr"]["PCA"] - received[PLAIN]["hr"]["PCA"]) < 3.0 for read in received.values())


def test_the_report_shows_what_it_measured(place: Path, report: Report) -> None:
    text = (place / "out" / "README.md").read_text()
    assert f"- artifact: {report['meta']['artifact']}" in text and "(step.onnx " in text
    assert f"| {DRAWN} | {report['clips'][0]['true']:.1f} |" in text
    assert "| fps 15 | 1 |" in text
    assert "## Not measured\n\n- broken: " in text
    assert "## Failed" not in text
    for name in ("leak_map.png", "motion.png"):
        assert f"]({name})" in text
        assert_is_drawn(place / "out" / name)


def assert_is_drawn(path: Path) -> None:
    picture = cv2.imread(str(path))
    assert picture is not None and min(picture.shape[:2]) > 200
    assert picture.std() > 5.0


def test_spectra_and_waves_are_drawn_of_a_still_clip(place: Path, report: Report, tmp_path: Path) -> None:
    still = report["clips"][0] | {"labels": report["clips"][0]["labels"] | {"motion": 0}}
    traces = place / "cache" / "traces"
    names = draw_all([still], traces, tmp_path)
    assert names == ["motion.png", "leak_map.png", "spectra.png", "traces.png"]
    for name in names:
        assert_is_drawn(tmp_path / name)
    assert draw_all([report["clips"][1]], traces, tmp_path) == []  # a planted clip has no motion level


def test_a_second_run_reads_the_figures_of_the_first(place: Path, report: Report) -> None:
    """The videos are gone: whatever were computed anew would fail."""
    videos = list((place / "cache").glob("*/input.mkv"))
    assert len(videos) >= 2
    for video in videos:
        video.rename(video.with_suffix(".aside"))
    try:
        assert main(options(place, f"{DRAWN},{PLANTED}")) == 0
    finally:
        for video in videos:
            video.with_suffix(".aside").rename(video)
    assert read(place)["clips"] == report["clips"]


def test_a_failing_clip_is_named_and_loses_no_other(
    place: Path, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    """A truth that is cut off is a fault, not a clip with too little to read."""
    folder = next(path for path in (place / "cache").iterdir() if path.name.startswith(PLANTED))
    whole = (folder / "truth.npz").read_bytes()
    (folder / "truth.npz").write_bytes(whole[: len(whole) // 2])
    try:
        assert main(options(place, f"{DRAWN},{PLANTED}", "--editors", "none")) == 1
    finally:
        (folder / "truth.npz").write_bytes(whole)
    assert f"1 clips failed: {PLANTED}" in capsys.readouterr().err
    found = read(place)
    assert editors_of(found, DRAWN) == {"none": editors_of(report, DRAWN)["none"]}
    assert list(found["meta"]["failed"]) == [PLANTED]
    assert f"## Failed\n\n- {PLANTED}: BadZipFile" in (place / "out" / "README.md").read_text()


def test_workers_of_their_own_give_the_same(place: Path, report: Report) -> None:
    out = place / "out"
    shutil.rmtree(out)
    words = options(place, f"{DRAWN},broken-planted", "--editors", "none")
    words[words.index("--jobs") + 1] = "2"
    assert main(words) == 0
    found = read(place)
    assert editors_of(found, DRAWN) == {"none": editors_of(report, DRAWN)["none"]}
    assert found["meta"]["skipped"] == {
        "broken-planted": report["meta"]["skipped"]["broken-planted"],
    }


def test_nothing_to_measure_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(options(tmp_path, "no clip of this name")) == 1
    printed = capsys.readouterr().err
    assert "no real clips" in printed
    assert "the built-in portrait stands in" in printed
    assert "no clip could be evaluated" in printed
    assert list(tmp_path.iterdir()) == []


def test_a_missing_artifact_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*options(tmp_path), "--artifact", str(tmp_path / "nowhere")]
    assert main(words) == ArtifactError.exit_code
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1].startswith("error: ") and "nowhere" in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("words", [("--seconds", "4"), ("--seconds", "60"), ("--editors", "none,magic")])
def test_options_out_of_range_are_refused(
    words: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*options(tmp_path), *words])
    assert words[0] in capsys.readouterr().err
