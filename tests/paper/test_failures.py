"""The failure page: which clips are chosen, and a real run over a small film."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import pytest

from model.evaluate.aggregate import SEVEN
from model.evaluate.failures.__main__ import main
from model.evaluate.failures.choose import choose
from tests.made_video import film

Result = dict[str, Any]


def result(name: str, off: float | None, leak: float | None = None, hits: int | None = None) -> Result:
    figures: dict[str, Any] = {
        "hr": dict.fromkeys(SEVEN, 90.0),
        "error": dict.fromkeys(SEVEN, off),
        "notch": dict.fromkeys(("POS", "CHROM", "GREEN", "PCA"), 70.0),
        "coherence": {} if leak is None else {"face_mean": leak, "patch_mean": leak},
    }
    if hits is not None:
        figures["hits"] = hits
    return {"name": name, "true": 60.0, "target": 90.0, "editors": {"artifact": figures, "none": {}}}


def test_the_worst_of_each_kind_are_chosen_once() -> None:
    clips = [
        result("fine", 0.1, 0.1, 0),
        result("unread", None, 0.2, 0),
        result("off", 20.0, 0.3, 0),
        result("leaking", 0.1, 0.9, 4),
        result("found", 0.1, 0.2, 3),
        {"name": "not edited", "editors": {"none": {}}},
    ]
    cases = {case.name: case.why for case in choose(clips, 2)}
    assert list(cases) == ["unread", "off", "leaking", "found"]
    assert "60.0 bpm" in cases["unread"][0]
    assert len(cases["leaking"]) == 2 and "4 of 4" in cases["leaking"][1]
    assert any("coherence" in why for why in cases["off"])


def test_a_kind_with_nothing_wrong_shows_nothing() -> None:
    assert [case.name for case in choose([result("clean", 0.0, 0.0, 0)], 3)] == []


@pytest.mark.timeout(300)
def test_the_page_shows_the_clip_and_names_what_is_not_at_hand(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    film(clips / "lp_x.mkv", 7.2, strength=0.0)
    results = tmp_path / "results.json"
    cases = [result("lp_x-planted", 9.0, 0.5, 2), result("gone", 5.0)]
    results.write_text(json.dumps({"meta": {"artifact": "some", "commit": "abc"}, "clips": cases}))
    out = tmp_path / "out"
    (out / "old").mkdir(parents=True)
    given = ["--results", results, "--out", out, "--clips", clips, "--faces", tmp_path / "none"]
    assert main([*map(str, given), "--cache", str(tmp_path / "cache")]) == 1
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "lp_x-planted.png"]
    page = (out / "README.md").read_text()
    assert "![lp_x-planted](lp_x-planted.png)" in page
    assert "error to the target 9.0 bpm" in page and "2 of 4 read the true rate" in page
    assert "Not at hand here: gone" in page
    picture = cv2.imread(str(out / "lp_x-planted.png"))
    assert picture is not None and picture.shape[1] > 600 and picture.std() > 5


def test_other_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.json").write_text("{}")
    assert main(["--results", str(tmp_path / "results.json"), "--out", str(tmp_path / "out")]) == 2
    assert "make evaluate" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
