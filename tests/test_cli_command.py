"""The command line: options, exit codes, what is said, Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter import __version__
from streamfilter.cli.filter_command import summary
from streamfilter.cli.interrupt import stop_on_interrupt
from streamfilter.cli.main import main
from streamfilter.cli.progress import ProgressBar, progress_line
from streamfilter.cli.schedule import parse_schedule
from streamfilter.errors import UsageError
from streamfilter.file_pipeline import Progress, RunReport, TargetChange
from tests.media_clips import video_times, write_clip

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("text", "start", "changes"),
    [
        ("70", 70, []),
        ("62.5", 62.5, []),
        ("70,10:90,25:60", 70, [(10, 90), (25, 60)]),
        ("0:80,1.5:40", 80, [(1.5, 40)]),
        ("40,1:180", 40, [(1, 180)]),
    ],
)
def test_heart_rates_and_schedules_are_read(
    text: str, start: float, changes: list[tuple[float, float]]
) -> None:
    assert parse_schedule(text) == (start, tuple(TargetChange(*change) for change in changes))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "500",
        "39.9",
        "180.1",
        "nan",
        "inf",
        "-70",
        "70,90",
        "70,10:500",
        "70,10:",
        "70,:80",
        "70,0:80",
        "70,20:80,10:90",
        "70,10:80,10:90",
        "5:80",
        "70,nan:80",
        "70,-3:80",
        "70,,",
        "70:",
    ],
)
def test_impossible_heart_rates_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--hr"):
        parse_schedule(text)


@given(st.text(max_size=12))
@settings(max_examples=50)
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        start, changes = parse_schedule(text)
    except UsageError:
        return
    assert all(40 <= bpm <= 180 for bpm in (start, *(change.bpm for change in changes)))


def test_help_names_every_exit_code_and_loads_no_engine() -> None:
    script = "import sys; from streamfilter.cli.main import main; code = main(['--help']); " + (
        "print(sorted(set(sys.modules) & {'onnxruntime', 'openvino', 'av', 'cv2'})); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for code in (0, 1, 2, 3, 4, 5, 6, 130):
        assert f"\n  {code:>3}  " in done.stdout
    loaded = done.stdout.splitlines()[-1]
    assert "onnxruntime" not in loaded
    assert "openvino" not in loaded


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--crf", "20"], 2, "--input"),
        (["--lossless"], 2, "--input"),
        (["--duration", "0"], 2, "--duration"),
        (["--hr", "500"], 2, "40 to 180"),
        (["--camera", "no such camera", "--duration", "1"], 3, "no such camera"),
        (["--input", "{clip}", "--output", "{out}", "--camera", "0"], 2, "--camera"),
        (["--input", "{clip}", "--output", "{out}", "--duration", "5"], 2, "--duration"),
        (["config", "--nonsense"], 2, "config --help"),
        (["nonsense"], 2, "nonsense"),
        (["--input", "{clip}"], 2, "--output"),
        (["--input", "{clip}", "--output", "{out}", "--hr", "500"], 2, "40 to 180"),
        (["--input", "{clip}", "--output", "{out}", "--hr-variability", "2"], 2, "variability"),
        (["--input", "{clip}", "--output", "{out}", "--engine", "abacus"], 2, "abacus"),
        (["--input", "{clip}", "--output", "{out}", "--crf", "99"], 2, "0 (best) to 51"),
        (["--input", "{clip}", "--output", "{out}", "--lossless"], 2, ".mkv"),
        (["--input", "{clip}", "--output", "{out}", "--fps", "0/0"], 2, "rate"),
        (["--input", "{clip}", "--output", "{out}", "--seed", "-1"], 2, "seed"),
        (["--input", "{clip}", "--output", "{out}", "--nonsense"], 2, "--nonsense"),
        (["--input", "{clip}", "--output", "{clip}", "--overwrite"], 2, "input itself"),
        (["--input", "{clip}", "--output", "{out}xyz"], 2, "mp4xyz"),
        (["--input", "{out}", "--output", "{out}"], 3, "does not exist"),
        (["--input", "{clip}", "--output", "{folder}/no/such/out.mp4"], 4, "Create it"),
        (["--input", "{clip}", "--output", "{out}", "--artifact", "{folder}/none"], 5, "none"),
    ],
)
def test_exit_codes_and_messages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    names = {"clip": write_clip(tmp_path / "in.mp4"), "out": tmp_path / "out.mp4", "folder": tmp_path}
    before = sorted(tmp_path.iterdir())
    assert main([argument.format(**names) for argument in arguments]) == code
    message = capsys.readouterr().err
    assert said in message
    assert message.startswith("physio-cam: ")
    assert "Traceback" not in message
    assert len(message.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_debug_shows_the_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--debug", "--input", str(tmp_path / "no.mp4"), "--output", str(tmp_path / "out.mp4")]) == 3
    assert "Traceback" in capsys.readouterr().err


SCRIPT = """
import sys
import streamfilter.face_filter
from streamfilter.cli.main import main
from tests.plain_filters import Recorder

class Slow(Recorder):
    engine = type("Engine", (), {"name": "test"})

streamfilter.face_filter.build_filter = lambda settings: Slow(delay=float(sys.argv[1]))
sys.exit(main(sys.argv[2:]))
"""


def start(delay: float, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(delay), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_a_run_says_frames_rate_faces_engine_and_shields(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4", audio="aac", width=64)
    process = start(0, "--input", str(clip), "--output", str(tmp_path / "out.mp4"))
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "10 frames" in out
    for part in ("fps", "faces: 1", "engine: test", "shielded: 0", str(tmp_path / "out.mp4")):
        assert part in out
    assert err == ""
    again = start(0, "--quiet", "--overwrite", "--input", str(clip), "--output", str(tmp_path / "out.mp4"))
    assert again.communicate(timeout=30) == ("", "")
    assert again.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="SIGINT can be sent to one process on POSIX only")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_playable_shorter_file(tmp_path: Path, number: signal.Signals) -> None:
    clip = write_clip(tmp_path / "in.mp4", pts=list(range(1000)), audio="aac")
    output = tmp_path / "out.mp4"
    process = start(0.02, "--input", str(clip), "--output", str(output))
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob(".out.*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.4)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert "stopped early" in out
    assert "Traceback" not in err
    assert 0 < len(video_times(output)) < 1000
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


_TWICE = """
import signal
from streamfilter.cli.interrupt import stop_on_interrupt

before = signal.getsignal(signal.SIGINT)
with stop_on_interrupt() as stop:
    assert not stop()
    signal.raise_signal(signal.SIGINT)
    assert stop()
    print("once")
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        print("twice")
assert signal.getsignal(signal.SIGINT) is before
print("back")
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGINT can be sent to one process on POSIX only")
def test_a_second_ctrl_c_ends_at_once_and_handlers_are_put_back() -> None:
    """In a process of its own: in one that has run every native library of the tests, the kernel could not
    set up the handler's frame (a segmentation fault within ``raise``)."""
    done = subprocess.run(
        [sys.executable, "-c", _TWICE], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["once", "twice", "back"]), done.stderr


def test_outside_the_main_thread_no_handler_is_set() -> None:
    stops: list[bool] = []

    def work() -> None:
        with stop_on_interrupt() as stop:
            stops.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert stops == [False]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_shows_on_terminals_only_and_wipes_itself() -> None:
    for stream, quiet, shown in (
        (Terminal(), False, True),
        (Terminal(), True, False),
        (io.StringIO(), False, False),
    ):
        bar = ProgressBar(stream, quiet)
        bar(Progress(3, 10, 0.5, 0))
        assert ("3/10 frames, 6.0 fps" in stream.getvalue()) == shown
        bar.clear()
        assert stream.getvalue() == "" if not shown else stream.getvalue().endswith(" \r")


@given(done=st.integers(1, 10**6), total=st.none() | st.integers(1, 10**6), elapsed=st.floats(0, 1e6))
def test_the_bars_line_is_sound_for_any_counts(done: int, total: int | None, elapsed: float) -> None:
    line = progress_line(Progress(done, total, elapsed, 2))
    assert f"{done}/{total or '?'} frames" in line
    assert "2 shielded" in line
    if total:
        bar = line[1 : line.index("]")]
        assert len(bar) == 30
        assert set(bar) <= {"#", "."}


def test_the_summary_of_a_stopped_run_says_what_is_where(tmp_path: Path) -> None:
    report = RunReport("in", tmp_path / "o.mp4", 0, 1.0, 0, 0, 0, (), None, (), stopped_early=True)
    assert "nothing written" in summary(report, "x")
