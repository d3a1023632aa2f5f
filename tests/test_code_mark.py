"""A mark of code changes with any file that it covers, and with no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.attackers.record import recordings_mark
from model.code_mark import code_mark


def tree(folder: Path, **texts: str) -> Path:
    for name, text in {"one": "1", "two": "2", "left": "3"}.items():
        path = folder / "model" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts.get(name, text))
    return folder


@pytest.mark.parametrize(("changed", "other"), [("one", True), ("two", True), ("left", False)])
def test_changes_with_the_files_that_it_covers(tmp_path: Path, changed: str, other: bool) -> None:
    before = code_mark(["model/*.py"], ["left.py"], tree(tmp_path / "before"))
    after = code_mark(["model/*.py"], ["left.py"], tree(tmp_path / "after", **{changed: "new"}))
    assert (before != after) is other


def test_a_file_that_two_patterns_cover_counts_once(tmp_path: Path) -> None:
    root = tree(tmp_path)
    assert code_mark(["model/*.py"], root=root) == code_mark(["model/one.py", "model/*.py"], root=root)


def test_recordings_of_another_graph_have_another_name() -> None:
    assert recordings_mark("graph") == recordings_mark("graph") != recordings_mark("other")
