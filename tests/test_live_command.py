"""``physio-cam`` live, as a program of its own on simulated devices: what it says and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from streamfilter.cli.main import main

ROOT = Path(__file__).parent.parent

# The command as it is, but for the devices; a filter that is asked to hang does so when SIGINT comes.
SCRIPT = """
import sys, threading, time
import streamfilter.cli.live_command as live
from streamfilter.cli.main import main
from streamfilter.errors import ArtifactError, SourceError
from streamfilter.live.ports import SystemClock
from streamfilter.live.supervisor import Parts
from tests.live_devices import SimulatedCamera, SimulatedOutput
from tests.live_simulation import MarkFilter, marked

kind = sys.argv[1]
clock = SystemClock()
camera = SimulatedCamera(clock, lambda index, seconds: marked(seconds))
output = SimulatedOutput(clock)
attempts = []

def open_camera(name):
    attempts.append(name)
    if kind == "no camera" or (kind == "late camera" and len(attempts) < 2):
        raise SourceError("there is no camera: plug one in")
    return camera.open()

def make_filter():
    if kind == "no artifact":
        raise ArtifactError("there is no artifact: put it back")
    made = MarkFilter()
    if kind == "hangs":
        made.before = lambda: made.count > 10 and time.sleep(60)
    return made

live._WAIT_PERIOD = live._LEFT_BEHIND = 0.3
live.parts_of = lambda settings: Parts(open_camera, output.open, make_filter, lambda: ("a",), lambda: "test")
code = main(sys.argv[2:])
print("opened", camera.opened, "closed", camera.closed, "written", output.count > 0, "threads", [
    thread.name for thread in threading.enumerate() if thread.name.startswith("physio-cam")])
sys.exit(code)
"""


def start(kind: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, kind, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PHYSIOCAM_CONFIG": "", "PYTHONUNBUFFERED": "1"},
    )


def until_said(process: subprocess.Popen[str], word: str) -> str:
    assert process.stderr is not None
    said = ""
    while word not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


def test_a_run_says_what_it_opened_shows_its_state_and_ends_on_time() -> None:
    process = start("", "--hr", "90", "--duration", "1.5")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "camera: simulated camera, 160x120 at 30 fps, YUYV" in err
    assert "virtual camera: simulated output" in err
    assert "engine: test, heart rate: 90" in err
    assert "filtering" in err.splitlines()
    assert "opened 1 closed 1 written True threads []" in out
    quiet = start("", "--quiet", "--duration", "0.5")
    assert quiet.communicate(timeout=60)[1] == ""
    assert quiet.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="SIGINT can be sent to one process on POSIX only")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_in_order(number: signal.Signals) -> None:
    process = start("")
    until_said(process, "filtering")
    asked = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - asked < 3.0  # the interpreter's own end included; the run's is under 1 s
    assert process.returncode == 0, err
    assert "opened 1 closed 1 written True threads []" in out
    assert "Traceback" not in err


@pytest.mark.skipif(os.name != "posix", reason="SIGINT can be sent to one process on POSIX only")
def test_a_filter_that_hangs_does_not_keep_the_program() -> None:
    process = start("hangs")
    until_said(process, "too slow")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "the filter thread did not end in time" in err
    assert "terminate called" not in err


@pytest.mark.parametrize(("kind", "code"), [("no camera", 3), ("no artifact", 5)])
def test_what_is_missing_at_the_start_is_said_in_one_line(kind: str, code: int) -> None:
    process = start(kind, "--duration", "5")
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert err.startswith("physio-cam: there is no ") and len(err.splitlines()) == 1
    assert "threads []" in out


def test_a_camera_that_is_not_there_yet_is_waited_for_when_asked() -> None:
    process = start("late camera", "--wait", "--duration", "1")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "waiting: there is no camera: plug one in" in err and "filtering" in err
    assert "opened 1 closed 1" in out


def test_the_page_is_served_while_it_runs_and_needs_its_token() -> None:
    process = start("", "--web", "--duration", "20")
    said = until_said(process, "page: ")
    link = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", said)
    assert link is not None
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(link[0], timeout=10) as answer:
        assert answer.status == 200
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(link[0].partition("?")[0], timeout=10)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_settings_that_are_wrong_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PHYSIOCAM_HR", "500")
    assert main(["--duration", "1"]) == 2
    assert "PHYSIOCAM_HR" in capsys.readouterr().err
