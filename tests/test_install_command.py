"""physio-cam install and uninstall on a real file system: what is written, left, and taken away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamfilter.cli.install_command import run, run_uninstall
from streamfilter.doctor.desktop_files import PlannedFile
from streamfilter.doctor.installation import (
    Deed,
    install_files,
    plan_install,
    plan_removal,
    remove_files,
)
from streamfilter.errors import SinkError, UsageError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux desktops only")


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every path below ``folder`` with its content (None: a folder)."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of an ordinary user: what needs root is not written there."""
    folder = tmp_path / "home"
    (folder / ".config").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SUDO_UID", raising=False)
    for name in ("CONFIG", "DATA", "STATE"):
        monkeypatch.delenv(f"XDG_{name}_HOME", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return folder


UNIT = ".config/systemd/user/physio-cam.service"
ENTRY = ".local/share/applications/physio-cam.desktop"
ICON = ".local/share/icons/hicolor/scalable/apps/physio-cam.svg"
RECORD = ".local/state/physio-cam/installed.json"


def test_install_and_uninstall_leave_the_home_as_it_was(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".config/other.toml").write_text("kept")
    before = tree(home)
    assert run([]) == 0
    files = {name for name, content in tree(home).items() if content is not None}
    assert files == {UNIT, ENTRY, ICON, RECORD, ".config/other.toml"}
    said = capsys.readouterr().out
    assert "systemctl --user enable --now physio-cam" in said
    assert run_uninstall([]) == 0
    assert tree(home) == before


def test_install_twice_changes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run([])
    first = tree(home)
    capsys.readouterr()
    assert run([]) == 0
    assert tree(home) == first
    assert capsys.readouterr().out.count("there already") == 3


def test_the_machines_files_are_printed_as_commands_that_write_them(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run([])
    commands = [line for line in capsys.readouterr().out.splitlines() if "| sudo tee" in line]
    assert len(commands) == 2
    by_hand = tmp_path / "by_hand"
    for name in ("modprobe.d", "modules-load.d"):
        (by_hand / "etc" / name).mkdir(parents=True)
    for command in commands:
        here = command.replace("sudo tee /etc", f"tee {by_hand}/etc")
        subprocess.run(["sh", "-c", here], check=True)
    rooted = tmp_path / "rooted"
    assert run(["--root", str(rooted)]) == 0
    assert tree(by_hand / "etc") == tree(rooted / "etc")
    assert "options v4l2loopback" in (rooted / "etc/modprobe.d/physio-cam.conf").read_text()


def test_root_writes_the_machines_files_only_and_removes_them(home: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    before, user = tree(root), tree(home)
    assert run(["--root", str(root)]) == 0
    assert (root / "etc/modules-load.d/physio-cam.conf").is_file()
    assert tree(home) == user
    assert run_uninstall(["--root", str(root)]) == 0
    assert tree(root) == before


def test_a_dry_run_shows_the_files_and_writes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(home)
    assert run(["--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "ExecStart=" in said and "options v4l2loopback" in said and str(home / ENTRY) in said
    assert tree(home) == before
    run([])
    installed = tree(home)
    assert run_uninstall(["--dry-run"]) == 0
    assert tree(home) == installed


def test_a_foreign_file_is_left_and_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unit = home / UNIT
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    assert run([]) == SinkError.exit_code
    assert unit.read_text() == "[Service]\nExecStart=/bin/true\n"
    assert f"left, not ours  {unit}" in capsys.readouterr().out
    assert (home / ENTRY).is_file()
    assert run_uninstall([]) == 0
    assert unit.is_file() and not (home / ENTRY).exists()


def test_a_changed_file_is_left_and_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run([])
    unit = home / UNIT
    changed = unit.read_text() + "# mine\n"
    unit.write_text(changed)
    assert run([]) == SinkError.exit_code
    assert unit.read_text() == changed
    capsys.readouterr()
    assert run_uninstall([]) == 0
    assert f"left, changed since  {unit}" in capsys.readouterr().out
    assert unit.read_text() == changed
    assert {name for name, content in tree(home).items() if content is not None} == {UNIT}


def test_a_link_in_a_files_place_is_not_followed(home: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    unit = home / UNIT
    unit.parent.mkdir(parents=True)
    unit.symlink_to(precious)
    assert run([]) == SinkError.exit_code
    assert unit.is_symlink() and precious.read_text() == "precious"


def test_an_enabled_service_is_not_pulled_away(home: Path) -> None:
    run([])
    wants = home / ".config/systemd/user/default.target.wants"
    wants.mkdir()
    (wants / "physio-cam.service").symlink_to(home / UNIT)
    with pytest.raises(SinkError, match="systemctl --user disable"):
        run_uninstall([])
    assert (home / UNIT).is_file()
    (wants / "physio-cam.service").unlink()
    assert run_uninstall([]) == 0
    assert not (home / UNIT).exists()


def test_under_sudo_no_file_of_root_lands_in_the_home(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1000")
    before = tree(home)
    assert run(["--root", str(tmp_path / "root")]) == 0
    assert tree(home) == before


def test_nothing_to_uninstall(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_uninstall([]) == 0
    assert "nothing is installed" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made_is_an_error_and_the_rest_can_be_removed(home: Path) -> None:
    (home / ".local").write_text("a file where a folder should be")
    with pytest.raises(SinkError, match="local"):
        run([])


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 1, "files": {"a": "b"}, "folders": []}'])
def test_a_damaged_record_is_an_error_that_names_it(home: Path, content: str) -> None:
    record = home / RECORD
    record.parent.mkdir(parents=True)
    record.write_text(content)
    with pytest.raises(SinkError, match=r"installed\.json"):
        run([])
    with pytest.raises(SinkError, match=r"installed\.json"):
        run_uninstall([])
    assert record.read_text() == content and not (home / UNIT).exists()


def test_an_unknown_option_is_an_error_of_usage(home: Path) -> None:
    for command in (run, run_uninstall):
        with pytest.raises(UsageError, match="--force"):
            command(["--force"])


def test_a_newer_version_updates_its_own_file(tmp_path: Path) -> None:
    path, record = tmp_path / "a/b/file", tmp_path / "state/installed.json"
    assert [outcome.deed for outcome in install_files([PlannedFile(path, b"old")], record)] == [Deed.WRITTEN]
    newer = [PlannedFile(path, b"new")]
    assert [outcome.deed for outcome in plan_install(newer, record)] == [Deed.UPDATED]
    assert path.read_bytes() == b"old"
    assert [outcome.deed for outcome in install_files(newer, record)] == [Deed.UPDATED]
    assert path.read_bytes() == b"new"
    assert [outcome.deed for outcome in plan_removal(record)] == [Deed.REMOVED]
    remove_files(record)
    assert not (tmp_path / "a").exists() and not record.exists()


def test_a_file_that_went_is_no_error(tmp_path: Path) -> None:
    path, record = tmp_path / "file", tmp_path / "state/installed.json"
    install_files([PlannedFile(path, b"x")], record)
    path.unlink()
    assert [outcome.deed for outcome in remove_files(record)] == [Deed.GONE]


def test_the_record_lists_what_is_there_even_when_the_next_file_fails(tmp_path: Path) -> None:
    (tmp_path / "wall").write_text("")
    record = tmp_path / "state/installed.json"
    with pytest.raises(SinkError):
        install_files([PlannedFile(tmp_path / "a", b"1"), PlannedFile(tmp_path / "wall/b", b"2")], record)
    assert list(json.loads(record.read_text())["files"]) == [str(tmp_path / "a")]
    remove_files(record)
    assert not (tmp_path / "a").exists() and (tmp_path / "wall").is_file()
