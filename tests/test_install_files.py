"""The files that physio-cam install writes: what they hold, and that the desktop's own tools accept them."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from streamfilter.doctor.desktop_files import (
    Places,
    PlannedFile,
    desktop_command,
    program_command,
    system_files,
    systemd_command,
    user_files,
)
from streamfilter.doctor.loopback import MODPROBE, foreign_options

AWKWARD = "my env/100% a$b"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    home = tmp_path / "home"
    return Places(
        home / ".config", home / ".local/share", home / ".local/state/physio-cam", tmp_path / "root"
    )


@pytest.fixture(params=["env", AWKWARD, 'quo"te\\d'])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An executable, in folders whose names need quoting."""
    path: Path = tmp_path / str(request.param) / "physio-cam"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def named(files: tuple[PlannedFile, ...], name: str) -> PlannedFile:
    return next(file for file in files if file.path.name == name)


def keys(file: PlannedFile) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",), delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys are told apart by case
    parser.read_string(file.content.decode())
    return parser


def test_the_unit_starts_this_program_and_restarts_it_on_failure(places: Places, program: str) -> None:
    unit = keys(named(user_files(places, (program,)), "physio-cam.service"))
    assert unit["Service"]["ExecStart"] == systemd_command((program,)) + " --wait --quiet"
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Service"]["NoNewPrivileges"] == "yes"
    assert unit["Install"]["WantedBy"] == "default.target"


def test_systemd_accepts_the_unit(places: Places, program: str, tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "physio-cam.service"
    unit.write_bytes(named(user_files(places, (program, "--hr", "5$0 %h")), unit.name).content)
    run_time = tmp_path / "run"
    run_time.mkdir()
    done = subprocess.run(
        [tool, "--user", "--man=no", "verify", str(unit)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(run_time)},
        capture_output=True,
        text=True,
        check=False,
    )
    # Unknown keys only warn, and a command that is not there is an error: neither may be said.
    assert (done.returncode, done.stderr) == (0, "")


def test_a_words_special_characters_stand_for_themselves() -> None:
    assert systemd_command(("/a/b", "--hr", "70")) == "/a/b --hr 70"
    assert systemd_command(("/a $b", "$c", "%h", 'd"\\', "")) == r'"/a $b" $$c %%h "d\"\\" ""'
    assert desktop_command(("/a/b", "--web")) == "/a/b --web"
    assert desktop_command(("/a b", "%f", "c$d", "e\\f")) == r'"/a b" %%f "c\\$d" "e\\\\f"'


def test_the_desktop_entry_is_valid(places: Places, program: str, tmp_path: Path) -> None:
    file = named(user_files(places, (program,)), "physio-cam.desktop")
    entry = keys(file)["Desktop Entry"]
    assert entry["Exec"] == desktop_command((program, "--web"))
    assert entry["Icon"] == named(user_files(places, (program,)), "physio-cam.svg").path.stem
    tool = shutil.which("desktop-file-validate")
    if tool is None:
        pytest.skip("desktop-file-validate is not installed; the entry was parsed only")
    written = tmp_path / file.path.name
    written.write_bytes(file.content)
    done = subprocess.run([tool, str(written)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_icon_is_a_square_svg(places: Places) -> None:
    root = ElementTree.fromstring(named(user_files(places, ("x",)), "physio-cam.svg").content)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("width") == root.get("height") == "128"


def test_the_module_gets_the_options_of_the_line_that_the_doctor_gives(places: Places) -> None:
    options, loaded = system_files(places)
    assert options.path == places.root / "etc/modprobe.d/physio-cam.conf"
    assert loaded.path == places.root / "etc/modules-load.d/physio-cam.conf"
    line = 'v4l2loopback devices=1 video_nr=10 exclusive_caps=1 card_label="physio-cam"'
    assert f"options {line}" in options.content.decode().splitlines()
    assert f"sudo modprobe {line}" == MODPROBE
    assert loaded.content.decode().splitlines()[-1] == "v4l2loopback"


def test_no_placeholder_is_left(places: Places) -> None:
    files = (*user_files(places, ("/x",)), *system_files(places))
    assert len(files) == 5
    for file in files:
        assert b"@COMMAND" not in file.content and b"@OPTIONS" not in file.content
        assert b"physio-cam uninstall" in file.content


def test_the_command_starts_the_program_of_this_interpreter() -> None:
    done = subprocess.run([*program_command(), "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("physio-cam")


def test_other_options_of_the_module_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "etc/modprobe.d"
    folder.mkdir(parents=True)
    (folder / "physio-cam.conf").write_text("options v4l2loopback devices=1\n")
    (folder / "obs.conf").write_text("# OBS\noptions  v4l2loopback video_nr=9\n")
    (folder / "audio.conf").write_text("options snd x=1\n# options v4l2loopback devices=3\n")
    assert foreign_options(tmp_path) == [folder / "obs.conf"]
