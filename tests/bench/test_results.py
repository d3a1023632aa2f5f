"""Results as JSON, and what a comparison says of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamfilter.bench.bars import bars
from streamfilter.bench.cli import main
from streamfilter.bench.compare import compare, differences
from streamfilter.bench.report import markdown
from streamfilter.bench.results import Results, from_json, to_json
from streamfilter.bench.rivals import BACKGROUND
from streamfilter.errors import UsageError
from tests.bench.bench_results import made_results


def test_json_keeps_every_figure() -> None:
    results = made_results()
    assert from_json(to_json(results), "x") == results


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda made: "not json", "no JSON"),
        (lambda made: "[]", "no result"),
        (lambda made: json.dumps({**made, "format": 99}), "another version"),
        (lambda made: json.dumps({**made, "more": 1}), "more"),
        (lambda made: json.dumps({key: made[key] for key in made if key != "steps"}), "steps"),
        (lambda made: json.dumps({**made, "threads": "1"}), "int is expected"),
        (lambda made: json.dumps({**made, "frames": 3}), "list is expected"),
    ],
)
def test_what_is_no_result_is_refused(change: Callable[[dict[str, Any]], str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        from_json(change(json.loads(to_json(made_results()))), "x")


def verdicts(old: Results, new: Results) -> dict[str, str]:
    return {change.what: change.verdict for change in compare(old, new)}


FRAMES = "filter, onnxruntime, 720p, 1 face"


def test_a_run_against_itself_is_the_same_throughout() -> None:
    assert set(verdicts(made_results(), made_results()).values()) == {"same"}


@pytest.mark.parametrize(
    ("ms", "spread", "verdict"),
    [(8.0, 0.01, "better"), (12.0, 0.01, "worse"), (10.3, 0.01, "same"), (12.0, 0.2, "same")],
)
def test_a_change_counts_only_beyond_the_noise(ms: float, spread: float, verdict: str) -> None:
    assert verdicts(made_results(), made_results(ms, spread=spread))[FRAMES] == verdict


def test_more_streams_are_better_and_rivals_are_compared_too() -> None:
    found = verdicts(made_results(streams=8), made_results(streams=12))
    assert found["streams, engine, threads, onnxruntime, 720p"] == "better"
    assert found[f"rival, {BACKGROUND}, 720p, 1 face"] == "same"
    assert (
        verdicts(made_results(streams=12), made_results(streams=8))[
            "streams, engine, threads, onnxruntime, 720p"
        ]
        == "worse"
    )


def test_from_no_allocation_to_some_is_worse() -> None:
    none = made_results()
    none = replace(none, allocations=(replace(none.allocations[0], per_frame=0.0, places=()),))
    what = "allocations a frame, onnxruntime, 720p"
    assert verdicts(none, made_results())[what] == "worse"
    assert verdicts(made_results(), none)[what] == "better"
    assert verdicts(none, none)[what] == "same"


def test_what_makes_runs_hard_to_compare_is_said() -> None:
    old, new = made_results(), made_results(load=1.8)
    new = replace(new, machine=replace(new.machine, cpu="Another CPU"))
    said = "\n".join(differences(old, new))
    assert "Some CPU then, Another CPU now" in said and "busy now (load 1.8" in said
    assert differences(old, old) == []
    assert differences(old, replace(old, starts=())) == [
        "measured then only: memory, auto, 720p; start to first frame, auto, 720p"
    ]


def test_the_command_compares_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, ms in (("old.json", 10.0), ("new.json", 20.0)):
        (tmp_path / name).write_text(to_json(made_results(ms)), encoding="utf-8")
    assert main(["--compare", str(tmp_path / "old.json"), str(tmp_path / "new.json")]) == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.startswith(FRAMES))
    assert "+100.0 %" in line and line.endswith("worse")
    assert "0 better, 3 worse" in out


def test_bars_are_met_and_missed_by_their_own_figures() -> None:
    good = {bar.what: bar.met for bar in bars(made_results(frame_ms=9.0, step_ms=1.0, streams=8))}
    poor = {bar.what: bar.met for bar in bars(made_results(frame_ms=13.0, step_ms=2.0, streams=7))}
    assert [good[what] for what in good] == [True, True, True, True, False]  # two allocations a frame
    assert not any(poor.values()) and set(poor) == set(good)


def test_the_page_says_machine_figures_and_what_is_missing() -> None:
    page = markdown(made_results(), {"stages": "stages.png"})
    assert "programs were busy" not in page and "programs were busy" in markdown(made_results(load=1.8), {})
    assert "| processor | Some CPU, 2 processors |" in page
    assert "| 720p | 1 | onnxruntime | 100 | 10.0 ± 1 % |" in page
    assert re.search(r"\| 12\.0 \| 12\.\d \| 14\.0 \| 10\.0 / 10\.0 \(onnxruntime\) \| 1\.20 \|", page)
    assert "![Where a frame's time goes](stages.png)" in page and "rate.png" not in page
    assert "- rival sliding-mean not measured: for a test" in page
    heads = [line for line in page.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in heads)
