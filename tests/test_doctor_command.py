"""physio-cam doctor as a whole, on this machine as it is."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streamfilter.cli.doctor_command import is_coloured, line, run
from streamfilter.doctor.check import Check, Verdict
from streamfilter.errors import UsageError

QUICK = ["--trial", "0.1", "--size", "320x240"]
ALWAYS = ["python", "packages", "settings", "artifact", "engines", "speed", "camera"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Settings in an empty file, so that the tester's own do not matter."""
    (tmp_path / "config.toml").write_text("")
    return {"PHYSIOCAM_CONFIG": str(tmp_path / "config.toml")}


def test_the_findings_as_json(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    code = run([*QUICK, "--json"], environ)
    found = json.loads(capsys.readouterr().out)
    names = [check["name"] for check in found["checks"]]
    assert names[: len(ALWAYS)] == ALWAYS and names[-1] == "virtual camera"
    failed = [check for check in found["checks"] if check["verdict"] == "fail"]
    assert found["failed"] == len(failed)
    assert code == (1 if failed else 0)
    by_name = {check["name"]: check for check in found["checks"]}
    for name in ("python", "packages", "settings", "artifact", "engines"):
        assert by_name[name]["verdict"] == "ok", by_name[name]
    assert "320x240" in by_name["speed"]["what"]
    assert all("the check itself failed" not in check["what"] for check in found["checks"])


def test_the_findings_as_an_aligned_list(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    run(QUICK, environ)
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert "\x1b" not in said
    heads = [text for text in lines if re.match(r"(ok|warn|fail) ", text)]
    assert len(heads) >= len(ALWAYS)
    assert {len(re.match(r"\w+ +(virtual camera|\w+) +", text)[0]) for text in heads} == {22}  # type: ignore[index]


def test_settings_and_artifact_that_cannot_be_read_fail_and_the_rest_goes_on(
    tmp_path: Path, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(environ["PHYSIOCAM_CONFIG"]).write_text(f"artifact = '{tmp_path}'\n")
    assert run([*QUICK, "--json"], environ) == 1
    by_name = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert by_name["settings"]["verdict"] == "ok"
    assert by_name["artifact"]["verdict"] == "fail" and "manifest.json" in by_name["artifact"]["what"]
    assert by_name["engines"]["verdict"] == by_name["speed"]["verdict"] == "warn"
    assert "camera" in by_name
    Path(environ["PHYSIOCAM_CONFIG"]).write_text("heart = 70\n")
    assert run([*QUICK, "--json"], environ) == 1
    by_name = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert by_name["settings"]["verdict"] == "fail" and "heart" in by_name["settings"]["what"]
    assert by_name["artifact"]["verdict"] == "ok"


def test_wrong_options_are_errors_of_usage(environ: dict[str, str]) -> None:
    for arguments in (["--fast"], ["--trial", "0"], ["--trial", "nan"], ["--trial", "inf"], ["--trial", "x"]):
        with pytest.raises(UsageError):
            run(arguments, environ)


def test_what_to_do_stands_below_and_commands_can_be_copied() -> None:
    said = line(Check("camera", Verdict.FAIL, "none", "plug it in:\n  ls /dev"), coloured=False).splitlines()
    assert said[0] == "fail  camera          none"
    assert [text.strip() for text in said[1:]] == ["plug it in:", "ls /dev"]
    assert said[1].index("plug") + 2 == said[2].index("ls")


def test_a_devices_name_cannot_steer_the_terminal() -> None:
    said = line(Check("camera", Verdict.OK, "cam\x1b[2J\rera"), coloured=False)
    assert "\x1b" not in said and "\r" not in said


def test_colour_only_on_a_terminal_that_wants_it() -> None:
    assert is_coloured(Terminal(), {})
    assert not is_coloured(io.StringIO(), {})
    assert not is_coloured(Terminal(), {"NO_COLOR": "1"})
    assert not is_coloured(Terminal(), {"TERM": "dumb"})
    assert line(Check("a", Verdict.OK, "b"), coloured=True).startswith("\x1b[32mok")


def test_without_a_package_the_doctor_still_speaks(environ: dict[str, str]) -> None:
    code = (
        "import sys\n"
        "sys.modules['numpy'] = None\n"  # as if it were not installed
        "from streamfilter.cli.doctor_command import run\n"
        "sys.exit(run(['--json']))\n"
    )
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    (python, packages) = json.loads(done.stdout)["checks"]
    assert python["verdict"] == "ok" and packages["verdict"] == "fail" and "numpy" in packages["what"]
    assert "pip install" in packages["what_to_do"]
