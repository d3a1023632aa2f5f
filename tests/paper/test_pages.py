"""make report: parts run in order, what is absent or fails is named, the index links what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from model.evaluate.pages.__main__ import evaluate, main, parse, run_part
from model.evaluate.pages.index import write_index
from model.evaluate.pages.parts import PARTS, QUICK, REFERENCE, Part, commands_of
from streamfilter.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


def part(*words: str, needs: tuple[str, ...] = ()) -> Part:
    return Part("one", "one.md", "a report", (words,), needs=needs)


def test_a_part_is_run_in_the_checkout_and_its_failure_is_named(tmp_path: Path) -> None:
    wrote = run_part(part("-c", "open('here', 'w').write('x')"), tmp_path)
    assert wrote.startswith("written") and (tmp_path / "here").is_file()
    assert "ended with 3" in run_part(part("-c", "raise SystemExit(3)"), tmp_path)


def test_what_is_absent_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHYSIOCAM_SHARED", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PHYSIOCAM_ESTIMATORS", str(tmp_path / "nothing"))
    failing = ("-c", "raise SystemExit(3)")
    assert "clips is not there" in run_part(part(*failing, needs=("clips",)), tmp_path)
    assert "make estimators" in run_part(part(*failing, needs=("estimators",)), tmp_path)


def test_the_index_links_what_is_there_only(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("x")
    (tmp_path / "webrtc.md").write_text("x")
    (tmp_path / "leak_map.png").write_bytes(b"x")
    page = write_index(tmp_path, {"paper": "left out: something"}).read_text()
    links = set(re.findall(r"\]\(([^)]+)\)", page))
    assert links == {"README.md", "webrtc.md", "leak_map.png"}
    assert page.count("there, written by hand") == page.count("there, from an earlier run") == 1
    assert all(one.page in page for one in PARTS)
    assert "left out: something" in page and "not run yet" in page
    assert "A quick run" not in page and "A quick run" in write_index(tmp_path, {}, quick=True).read_text()


def test_the_index_alone_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "docs" / "evaluation").mkdir(parents=True)
    assert evaluate(parse(["--index"]), "", tmp_path) == 0
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["index.md"]


def test_a_quick_report_shortens_every_command_and_writes_aside(tmp_path: Path) -> None:
    run = [one for one in PARTS if one.commands]
    for one in run:
        quick, whole = commands_of(one, tmp_path, True), commands_of(one, tmp_path, False)
        assert all(len(short) > len(long) for short, long in zip(quick, whole, strict=True))
        out = Path(quick[-1][-1])
        assert quick[-1][-2] == "--out" and out / Path(one.page).name == QUICK / one.page
    assert len({commands_of(one, tmp_path, True)[-1][-1] for one in run}) > 1


@pytest.mark.parametrize("name", ["rivals", "paper"])
def test_the_reference_is_compared_where_it_was_trained(name: str, tmp_path: Path) -> None:
    compared = next(one for one in PARTS if one.name == name)
    assert "--reference" not in commands_of(compared, tmp_path, False)[-1]
    (tmp_path / REFERENCE).parent.mkdir(parents=True)
    (tmp_path / REFERENCE).write_bytes(b"x")
    assert commands_of(compared, tmp_path, False)[-1][-2:] == ("--reference", str(REFERENCE))


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nothing"])
    with pytest.raises(UsageError, match="checkout"):
        evaluate(parse(["--index"]), "", tmp_path)


def test_the_committed_reports_have_no_dead_link() -> None:
    docs = ROOT / "docs" / "evaluation"
    assert (docs / "index.md").is_file()
    for page in docs.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page}: {link}"
