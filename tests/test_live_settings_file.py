"""The layers of the settings: their weight, their mistakes, and the file to start from."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_settings
from hypothesis import strategies as st

from streamfilter.errors import UsageError
from streamfilter.live.setting_keys import BY_WORD, KEYS, Key, Kind, value_text
from streamfilter.live.settings import LiveSettings
from streamfilter.live.settings_file import DEFAULT, Resolved, resolve, settings_path, template
from streamfilter.live.settings_flags import add_flags, flags_of

# Texts of valid values, by word; the file and the flags write switches and numbers in their own way.
TEXTS: dict[str, tuple[str, ...]] = {
    "hr": ("70", "hide", "scale 0.8", "62.5", "70,10:90"),
    "hr_variability": ("0", "0.25", "1"),
    "pulse": ("clear", "natural"),
    "camera": ("auto", "0", "HD Webcam", "/dev/v4l/by-id/usb-x"),
    "size": ("640x480", "1280x720"),
    "fps": ("15", "29.97", "60"),
    "pixel_format": ("auto", "MJPG", "YUYV", "NV12"),
    "output": ("auto", "/dev/video10", "OBS Virtual Camera"),
    "beyond_face": ("false", "true"),
    "always_on": ("true", "false"),
    "settle": ("0.5", "2"),
    "engine": ("auto", "onnxruntime", "openvino", "cuda", "tensorrt-rtx"),
    "artifact": ("auto", "/somewhere/editor"),
    "threads": ("1", "4"),
    "max_faces": ("1", "9"),
    "seed": ("auto", "0", "12"),
    "web": ("true", "false"),
    "web_port": ("0", "8080"),
    "quiet": ("true", "false"),
}
LAYER = st.fixed_dictionaries({}, optional={word: st.sampled_from(texts) for word, texts in TEXTS.items()})


def toml(values: dict[str, str]) -> str:
    def written(key: Key, text: str) -> str:
        bare = key.kind in (Kind.NUMBER, Kind.WHOLE, Kind.SWITCH) and text != "auto"
        return text if bare else f'"{text}"'

    return "".join(f"{word} = {written(BY_WORD[word], text)}\n" for word, text in values.items())


def environment(values: dict[str, str]) -> dict[str, str]:
    return {BY_WORD[word].variable: text for word, text in values.items()}


def flags(values: dict[str, str]) -> dict[str, object]:
    """Through argparse, as the live command does."""
    arguments: list[str] = []
    for word, text in values.items():
        key = BY_WORD[word]
        if key.kind is Kind.SWITCH:
            arguments.append(key.flag if text == "true" else key.flag.replace("--", "--no-", 1))
        else:
            arguments += [key.flag, text]
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return flags_of(parser.parse_args(arguments))


def test_every_word_is_tried_here_and_is_one_field_of_the_settings() -> None:
    assert set(TEXTS) == set(BY_WORD)
    changed = resolve(flags({word: texts[-1] for word, texts in TEXTS.items()}), {}, Path("absent.toml"))
    assert set(changed.origins.values()) == {key.flag for key in KEYS}


@run_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(LAYER, LAYER, LAYER)
def test_flags_outweigh_variables_outweigh_the_file(
    tmp_path: Path, file: dict[str, str], variables: dict[str, str], given_flags: dict[str, str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(toml(file))
    resolved = resolve(flags(given_flags), environment(variables), path)
    for key in KEYS:
        if key.word in given_flags:
            expected = (given_flags[key.word], key.flag)
        elif key.word in variables:
            expected = (variables[key.word], key.variable)
        elif key.word in file:
            expected = (file[key.word], "config.toml")
        else:
            expected = (value_text(key, LiveSettings()), DEFAULT)
        assert (value_text(key, resolved.settings), resolved.origins[key.word]) == expected


@pytest.fixture
def from_file(tmp_path: Path) -> Callable[[str], Resolved]:
    """Settings from the text of a file."""

    def read(text: str) -> Resolved:
        path = tmp_path / "config.toml"
        path.write_text(text)
        return resolve({}, {}, path)

    return read


WORDS = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12).filter(
    lambda word: word not in BY_WORD
)


@run_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(WORDS)
def test_an_unknown_word_is_an_error_in_every_layer(tmp_path: Path, word: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"fps = 30\n{word} = 1\n")
    with pytest.raises(UsageError, match=rf"config\.toml:2: the setting {word} is unknown"):
        resolve({}, {}, path)
    if word not in ("config", "shared"):
        with pytest.raises(UsageError, match=f"variable PHYSIOCAM_{word.upper()} is unknown"):
            resolve({}, {f"PHYSIOCAM_{word.upper()}": "1"}, Path("absent.toml"))
    with pytest.raises(UsageError, match=f"setting {word} is unknown"):
        resolve({word: "1"}, {}, Path("absent.toml"))


def test_the_closest_known_word_is_named(from_file: Callable[[str], Resolved]) -> None:
    with pytest.raises(UsageError, match=r"did you mean pixel_format\?"):
        from_file('pixelformat = "MJPG"')
    with pytest.raises(UsageError, match=r"did you mean PHYSIOCAM_ALWAYS_ON\?"):
        resolve({}, {"PHYSIOCAM_ALWAYSON": "1"}, Path("absent.toml"))
    with pytest.raises(UsageError, match="the known ones are hr, "):
        from_file("zzzz = 1")


@pytest.mark.parametrize(
    "line",
    [
        *['web_port = "8080"', "web_port = 80.5", "web_port = 70000", "web_port = true"],
        *['fps = "30"', "fps = nan", "hr = true", "hr = 39", 'hr = "fast"', "hr = [70]", "hr = 1979-05-27"],
        *["camera = 1.5", "camera = false", 'camera = ""', "output = {}", "size = 1280", 'size = "big"'],
        *['always_on = "true"', "always_on = 1", 'engine = "abacus"', "engine = 1", "artifact = 1"],
        *['artifact = ""', 'pixel_format = "?"', "seed = -1", 'seed = "x"', 'hr = "absent.csv"', "[hr]"],
        "hr = " + "7" * 400,
    ],
)
def test_a_wrong_value_in_the_file_is_named_by_line_and_word(
    from_file: Callable[[str], Resolved], line: str
) -> None:
    word = re.sub(r"\W", "", line.split("=")[0])
    with pytest.raises(UsageError, match=rf"config\.toml:2: {word}: "):
        from_file("# first\n" + line)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        *[
            ("fps", "fast"),
            ("threads", "1.5"),
            ("web", "perhaps"),
            ("size", "720p"),
            ("seed", "x"),
            ("hr", "39"),
        ],
        *[("settle", "5"), ("engine", "abacus"), ("artifact", " "), ("artifact", "~nobody-of-that-name")],
    ],
)
def test_a_wrong_text_is_named_by_variable_or_flag(word: str, text: str) -> None:
    key = BY_WORD[word]
    with pytest.raises(UsageError, match=f"^{key.flag}: "):
        resolve({word: text}, {}, Path("absent.toml"))
    if text.strip():
        with pytest.raises(UsageError, match=f"^{key.variable}: "):
            resolve({}, {key.variable: text}, Path("absent.toml"))


def test_a_mistake_is_found_even_where_it_is_outweighed(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("hr = 10\n")
    with pytest.raises(UsageError, match="hr"):
        resolve({"hr": "70"}, {}, path)


@pytest.mark.parametrize("content", [b"hr = ", b"\xff\xfe", b"hr = 70\nhr = 80\n", b"fps = " + b"9" * 5000])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(str(path))):
        resolve({}, {}, path)
    with pytest.raises(UsageError, match=re.escape(str(tmp_path))):
        resolve({}, {}, tmp_path)


def test_numbers_of_the_file_are_taken_where_text_is_meant(from_file: Callable[[str], Resolved]) -> None:
    settings = from_file(
        "hr = 62.5\ncamera = 2\nfps = 30\npixel_format = 'mjpeg'\nsize = '640 X 480'"
    ).settings
    assert (settings.target, settings.camera, settings.fps, settings.pixel_format) == (
        "62.5",
        "2",
        30,
        "MJPG",
    )
    assert (settings.width, settings.height) == (640, 480)


@pytest.mark.parametrize("text", ["1", "true", "YES", " on "])
def test_switches_of_the_environment(text: str) -> None:
    assert resolve({}, {"PHYSIOCAM_WEB": text}, Path("absent.toml")).settings.web


def test_paths_of_the_file_start_in_its_folder(from_file: Callable[[str], Resolved], tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("0,64\n")
    settings = from_file('hr = "day.csv"\nartifact = "editor"').settings
    assert settings.target == str(tmp_path / "day.csv")
    assert settings.artifact == tmp_path / "editor"
    assert settings.filter_settings().target_bpm == 64.0


def test_other_variables_and_empty_ones_set_nothing() -> None:
    environ = {"PHYSIOCAM_SHARED": "x", "PHYSIOCAM_HR": " ", "PATH": "x", "PHYSIOCAMERA": "x"}
    resolved = resolve({}, environ, Path("absent.toml"))
    assert resolved.settings == LiveSettings()
    assert set(resolved.origins.values()) == {DEFAULT}


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    environ = {"PHYSIOCAM_CONFIG": str(path)}
    assert settings_path(environ) == path
    with pytest.raises(UsageError, match="PHYSIOCAM_CONFIG"):
        resolve({}, environ)
    path.write_text("hr = 90\n")
    assert resolve({}, environ).origins["hr"] == "mine.toml"
    assert resolve({}, environ).settings.target == "90"


def test_the_usual_place_is_in_the_users_own_folder() -> None:
    assert settings_path({}).parts[-2:] == ("physio-cam", "config.toml")


def test_the_template_sets_nothing_and_uncommented_sets_the_defaults(
    from_file: Callable[[str], Resolved],
) -> None:
    assert set(from_file(template()).origins.values()) == {DEFAULT}
    bare = re.sub(rf"^# (?=({'|'.join(BY_WORD)}) = )", "", template(), flags=re.MULTILINE)
    resolved = from_file(bare)
    assert resolved.settings == LiveSettings()
    assert set(resolved.origins.values()) == {"config.toml"}


def test_the_reference_page_has_a_row_for_every_setting_and_its_default() -> None:
    page = (Path(__file__).parent.parent / "docs" / "settings.md").read_text(encoding="utf-8")
    for key in KEYS:
        row: Any = re.search(rf"^\| `{key.word}` \| (.*?) \|", page, re.MULTILINE)
        assert row is not None, key.word
        assert row[1] == f"`{value_text(key, LiveSettings())}`"
