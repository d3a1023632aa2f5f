"""docs/datasets.md says what the readers say."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.datasets.registry import DATASETS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "datasets.md"


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_the_page_has_each_readers_layout(name: str) -> None:
    text = PAGE.read_text()
    section = text[text.index(f"### `{name}`") :]
    assert section.index(DATASETS[name].layout) < section.index("```\n\n")
