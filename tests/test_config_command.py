"""``physio-cam config``: the table, the path, the file to start from."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from streamfilter.cli.config_command import run
from streamfilter.errors import SinkError, UsageError
from streamfilter.live.setting_keys import KEYS
from streamfilter.live.settings_file import template


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the settings file would be; neither it nor its folder is there."""
    return tmp_path / "folder" / "config.toml"


@pytest.fixture
def environ(path: Path) -> dict[str, str]:
    return {"PHYSIOCAM_CONFIG": str(path)}


def test_the_table_says_what_holds_and_whence(
    path: Path, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path.parent.mkdir()
    path.write_text("fps = 15\nthreads = 2\n")
    assert run(["--hr", "scale 0.8", "--web"], environ | {"PHYSIOCAM_THREADS": "3"}) == 0
    title, empty, *lines = capsys.readouterr().out.splitlines()
    assert title == f"file: {path}" and not empty
    origin = lines[0].index("from")
    value = lines[0].index("value")
    # Cut at the columns of the head: a row that is not aligned comes out wrong.
    rows = {line[:value].rstrip(): (line[value:origin].rstrip(), line[origin:]) for line in lines[1:]}
    assert list(rows) == [key.word for key in KEYS]
    assert rows["hr"] == ("scale 0.8", "--hr")
    assert rows["web"] == ("true", "--web")
    assert rows["threads"] == ("3", "PHYSIOCAM_THREADS")
    assert rows["fps"] == ("15", "config.toml")
    assert rows["size"] == ("1280x720", "default")


def test_init_writes_the_template_once(
    path: Path, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--init"], environ) == 0
    assert str(path) in capsys.readouterr().out
    assert path.read_text() == template()
    assert tomllib.loads(path.read_text()) == {}
    path.write_text("hr = 90\n")
    with pytest.raises(SinkError, match="exists already"):
        run(["--init"], environ)
    assert path.read_text() == "hr = 90\n"
    assert list(path.parent.iterdir()) == [path]


def test_init_follows_no_link_that_leads_nowhere(path: Path, environ: dict[str, str]) -> None:
    path.parent.mkdir()
    path.symlink_to(path.parent / "elsewhere")
    with pytest.raises(SinkError, match="exists already"):
        run(["--init"], environ)
    assert list(path.parent.iterdir()) == [path]


def test_init_says_where_it_cannot_write(path: Path, environ: dict[str, str]) -> None:
    path.parent.write_text("a file where the folder should be")
    with pytest.raises(SinkError, match="cannot be written"):
        run(["--init"], environ)


def test_the_path_is_printed_whatever_the_settings_are(
    path: Path, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path.parent.mkdir()
    path.write_text("nonsense")
    assert run(["--path"], environ) == 0
    assert capsys.readouterr().out == f"{path}\n"


@pytest.mark.parametrize(
    "arguments", [["--path", "--init"], ["stray"], ["--hr"], ["--hr", "10"], ["--bogus"]]
)
def test_wrong_options_are_refused(path: Path, arguments: list[str]) -> None:
    path.parent.mkdir()
    path.touch()
    with pytest.raises(UsageError):
        run(arguments, {"PHYSIOCAM_CONFIG": str(path)})
