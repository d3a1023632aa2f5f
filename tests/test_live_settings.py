"""The live run's settings: what is refused, what the filter gets, what a change restarts."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from streamfilter.errors import UsageError
from streamfilter.live.settings import LiveChange, LiveSettings, Part, diff

OTHER_VALUES: dict[str, Any] = {
    "target": "hide",
    "hr_variability": 0.5,
    "pulse": "natural",
    "camera": "0",
    "width": 640,
    "height": 480,
    "fps": 15.0,
    "pixel_format": "YUYV",
    "output": "OBS",
    "beyond_face": False,
    "always_on": True,
    "settle_seconds": 1.0,
    "engine": "onnxruntime",
    "artifact": Path("other"),
    "threads": 2,
    "max_faces": 1,
    "seed": 3,
    "web": True,
    "web_port": 8080,
    "quiet": True,
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("target", value) for value in ("39", "", 70)],
        *[("hr_variability", value) for value in (-0.1, 1.1, "1", True)],
        *[("pulse", value) for value in ("strong", None)],
        *[("camera", value) for value in ("", 0)],
        *[("width", value) for value in (1281, 0, 640.0, True, 99_998)],
        *[("height", value) for value in (-2, 721)],
        *[("fps", value) for value in (0.0, 241.0, float("nan"), "30", True)],
        *[("pixel_format", value) for value in ("", "yuyv", "a b")],
        ("output", " "),
        *[
            (name, value)
            for name in ("beyond_face", "always_on", "web", "quiet")
            for value in (1, "true", None)
        ],
        *[("settle_seconds", value) for value in (0.4, 2.1)],
        ("engine", "abacus"),
        ("artifact", "text"),
        *[("threads", value) for value in (0, 1.5)],
        ("max_faces", 0),
        ("seed", -1),
        *[("web_port", value) for value in (-1, 65536, 80.0, True)],
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: object) -> None:
    with pytest.raises(UsageError):
        LiveSettings(**{name: value})  # type: ignore[arg-type]


def test_the_filter_gets_its_part() -> None:
    settings = LiveSettings(
        **{name: OTHER_VALUES[name] for name in ("hr_variability", "engine", "artifact", "threads", "seed")},
        target="95,10:100",
        max_faces=2,
        settle_seconds=0.5,
    )
    made = settings.filter_settings()
    assert (made.target_bpm, made.strength) == (95.0, 1.0)
    for name in ("hr_variability", "engine", "artifact", "threads", "seed", "max_faces", "settle_seconds"):
        assert getattr(made, name) == getattr(settings, name)
    assert replace(settings, target="hide").filter_settings().strength == 0.0


def test_every_setting_changes_something_when_it_changes_and_nothing_else_does() -> None:
    assert set(OTHER_VALUES) == {entry.name for entry in fields(LiveSettings) if entry.init}
    old = LiveSettings()
    assert diff(old, LiveSettings()) == LiveChange(frozenset(), frozenset())
    for name, value in OTHER_VALUES.items():
        change = diff(old, replace(old, **{name: value}))
        assert bool(change.live) != bool(change.restart), name
        assert change.live <= {name}


def test_a_change_restarts_no_more_than_it_has_to() -> None:
    old = LiveSettings()
    assert diff(old, replace(old, target="90")) == LiveChange(frozenset({"target"}), frozenset())
    assert diff(old, replace(old, camera="1")).restart == {Part.CAMERA}
    assert diff(old, replace(old, output="OBS")).restart == {Part.OUTPUT}
    assert diff(old, replace(old, width=640, height=480)).restart == {Part.CAMERA, Part.OUTPUT}
    assert diff(old, replace(old, engine="openvino", target="hide")) == LiveChange(
        frozenset({"target"}), frozenset({Part.FILTER})
    )


def test_a_file_with_other_contents_is_a_change_of_the_target(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text("0,70\n")
    old = LiveSettings(target=str(path))
    assert diff(old, replace(old)) == LiveChange(frozenset(), frozenset())
    path.write_text("0,80\n")
    assert diff(old, replace(old)).live == {"target"}
    path.unlink()
    assert old.filter_settings().target_bpm == 70.0  # read once: a file that goes away later stops nothing
