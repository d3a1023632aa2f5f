"""The filter's settings: their ranges, unknown keys, and what can change while the filter runs."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.config import MAX_BPM, MIN_BPM, FilterSettings, diff
from streamfilter.errors import UsageError


@given(
    target_bpm=st.floats(MIN_BPM, MAX_BPM),
    hr_variability=st.floats(0, 1),
    strength=st.floats(0, 1),
    threads=st.integers(1, 64),
    seed=st.none() | st.integers(0, 2**63 - 1),
    max_faces=st.integers(1, 64),
    settle_seconds=st.floats(0, 30),
    engine=st.sampled_from(["auto", "onnxruntime", "openvino", "cuda", "tensorrt-rtx"]),
)
def test_every_value_in_range_is_kept(**values: Any) -> None:
    settings = FilterSettings(**values)
    assert {name: getattr(settings, name) for name in values} == values
    assert FilterSettings.from_mapping(values) == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("target_bpm", 39.9),
        ("target_bpm", 180.1),
        ("target_bpm", float("nan")),
        ("target_bpm", "70"),
        ("target_bpm", None),
        ("hr_variability", -0.1),
        ("hr_variability", 1.1),
        ("strength", 2),
        ("strength", True),
        ("engine", "tensorrt"),
        ("artifact", 5),
        ("threads", 0),
        ("threads", 1.5),
        ("seed", -1),
        ("seed", "x"),
        ("max_faces", 0),
        ("max_faces", True),
        ("settle_seconds", -1.0),
        ("settle_seconds", float("inf")),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=name):
        FilterSettings.from_mapping({name: value})


def test_unknown_keys_fail() -> None:
    with pytest.raises(UsageError, match="unknown setting heart_rate: the settings are target_bpm"):
        FilterSettings.from_mapping({"heart_rate": 70})


def test_an_artifact_may_be_given_as_text() -> None:
    assert FilterSettings.from_mapping({"artifact": "mine"}).artifact == Path("mine")
    assert FilterSettings.from_mapping({"artifact": None}).artifact is None


def test_settings_do_not_change_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        FilterSettings().target_bpm = 80  # type: ignore[misc]


def test_diff_tells_live_changes_from_restarts() -> None:
    old = FilterSettings()
    assert diff(old, replace(old)) == diff(old, old)
    change = diff(old, replace(old, target_bpm=90, threads=2, strength=0.5))
    assert change.live == {"target_bpm", "strength"}
    assert change.restart == {"threads"}


def test_diff_knows_every_setting() -> None:
    others: dict[str, Any] = {
        "target_bpm": 90.0,
        "hr_variability": 0.0,
        "strength": 0.5,
        "pulse": "natural",
        "masking": 0.5,
        "engine": "openvino",
        "artifact": Path("x"),
        "threads": 2,
        "seed": 1,
        "max_faces": 1,
        "settle_seconds": 2.0,
        "beyond_face": False,
    }
    assert set(others) == {entry.name for entry in fields(FilterSettings)}
    for name, value in others.items():
        change = diff(FilterSettings(), FilterSettings(**{name: value}))
        assert change.live | change.restart == {name}
