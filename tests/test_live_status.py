"""The live status of the terminal: its text, its width, and how it is redrawn."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.cli.live_status import LiveStatus, state_text, status_lines, text_width
from streamfilter.live.status import Pulse, State, Status

RUNNING = Status(
    state=State.FILTERING,
    camera="Integrated Camera",
    output="PhysioCam",
    fps_in=30.02,
    fps_out=29.98,
    latency_p50=8.6,
    latency_p99=14.2,
    frames=9000,
    watchers=2,
    pulse=Pulse(true=63.4, shown=70.2, wanted=70.0),
)
TROUBLED = replace(
    RUNNING,
    state=State.SHIELDED,
    reason="the face is lost",
    dropped={"overload": 3, "the output is busy": 12},
    shielded={"settling": 60},
    restarts=1,
    pulse=Pulse(wanted=None),
    watchers=None,
)
NAMES = st.text(max_size=40)
COUNTS = st.dictionaries(NAMES, st.integers(1, 10**9), max_size=4)
RATES = st.none() | st.floats(40.0, 200.0)


def test_all_is_well() -> None:
    assert status_lines(RUNNING, 100) == [
        "filtering   Integrated Camera > PhysioCam",
        "30.0 > 30.0 fps   latency 9 / 14 ms   dropped 0",
        "your heart rate 63 bpm   others read 70 bpm   asked for 70   2 watching",
    ]


def test_trouble_is_told_with_its_causes() -> None:
    assert status_lines(TROUBLED, 130) == [
        "shielded: the face is lost   Integrated Camera > PhysioCam",
        "30.0 > 30.0 fps   latency 9 / 14 ms   dropped 15 (the output is busy 12, overload 3)   "
        "shielded 60 (settling 60)   restarts 1",
        "your heart rate --   others read --   asked for none",
    ]


def test_a_narrow_terminal_gets_what_matters_most() -> None:
    assert status_lines(TROUBLED, 60) == [
        "shielded: the face is lost   Integrated Camera > PhysioCam",
        "30.0 > 30.0 fps   latency 9 / 14 ms   dropped 15",
        "your heart rate --   others read --   asked for none",
    ]
    assert status_lines(TROUBLED, 20) == ["shielded: the fac...", "30.0 > 30.0 fps", "your heart rate --"]


@pytest.mark.parametrize("state", [State.STARTING, State.WAITING, State.STOPPED])
def test_where_no_picture_passes_one_line_says_it(state: State) -> None:
    lines = status_lines(replace(RUNNING, state=state, reason="nobody watches"), 100)
    assert lines == [f"{state.value}: nobody watches   Integrated Camera > PhysioCam"]


def test_a_device_name_cannot_steer_the_terminal() -> None:
    lines = status_lines(replace(RUNNING, camera="Cam\x1b[2J\r\n\x9b1A\u202e"), 100)
    assert lines[0] == "filtering   Cam?[2J???1A? > PhysioCam"


@given(
    state=st.sampled_from(State),
    reason=st.none() | NAMES,
    camera=NAMES,
    dropped=COUNTS,
    shielded=COUNTS,
    true=RATES,
    watchers=st.none() | st.integers(0, 99),
    latency=st.none() | st.floats(0, 1e6),
    width=st.integers(-3, 200),
)
def test_no_line_is_wider_than_asked(
    state: State,
    reason: str | None,
    camera: str,
    dropped: dict[str, int],
    shielded: dict[str, int],
    true: float | None,
    watchers: int | None,
    latency: float | None,
    width: int,
) -> None:
    status = replace(
        RUNNING,
        state=state,
        reason=reason,
        camera=camera,
        dropped=dropped,
        shielded=shielded,
        latency_p50=latency,
        latency_p99=latency,
        watchers=watchers,
        pulse=Pulse(true=true),
    )
    lines = status_lines(status, width)
    assert 1 <= len(lines) <= 3
    for line in lines:
        assert text_width(line) <= max(width, 10)
        assert "\n" not in line and "\x1b" not in line and "\r" not in line


def test_wide_characters_take_two_columns() -> None:
    assert text_width("カメラ") == 6 and text_width("e\u0301") == 1
    lines = status_lines(replace(RUNNING, state=State.WAITING, reason="カメラ" * 9), 20)
    assert lines == ["waiting: カメラカ..."]


class Pipe(io.StringIO):
    encoding = "utf-8"


class Terminal(Pipe):
    def isatty(self) -> bool:
        return True


def screen(written: str, columns: int) -> list[str]:
    """The rows that a terminal shows after ``written``: it wraps, and knows the codes that are used."""
    rows, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[\d*[AKJ]|.|\n", written):
        if token == "\r":
            column = 0
        elif token == "\n":
            row, column = row + 1, 0
            rows.extend([""] * (row + 1 - len(rows)))
        elif token.endswith("A") and token[0] == "\x1b":
            row = max(0, row - int(token[2:-1]))
        elif token in ("\x1b[K", "\x1b[J"):
            rows[row] = rows[row][:column]
            rows = rows[: row + 1] if token == "\x1b[J" else rows
        else:
            if column == columns:
                row, column = row + 1, 0
                rows.extend([""] * (row + 1 - len(rows)))
            rows[row] = rows[row][:column].ljust(column) + token + rows[row][column + 1 :]
            column += 1
    return rows


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_the_status_is_redrawn_in_place(terminal: Terminal) -> None:
    terminal.write("$ physio-cam\n")
    drawn = LiveStatus(terminal, columns=lambda: 100)
    for second, status in enumerate((TROUBLED, replace(RUNNING, state=State.WAITING), RUNNING)):
        drawn.update(status, float(second))
        assert screen(terminal.getvalue(), 100) == ["$ physio-cam", *status_lines(status, 99)]


def test_twice_a_second_at_most(terminal: Terminal) -> None:
    drawn = LiveStatus(terminal, columns=lambda: 100)
    drawn.update(RUNNING, 10.0)
    before = terminal.getvalue()
    drawn.update(TROUBLED, 10.4)
    assert terminal.getvalue() == before
    drawn.update(TROUBLED, 10.5)
    assert screen(terminal.getvalue(), 100) == status_lines(TROUBLED, 99)


def test_a_message_stands_above_the_status(terminal: Terminal) -> None:
    drawn = LiveStatus(terminal, columns=lambda: 100)
    drawn.update(RUNNING, 10.0)
    drawn.say("the camera\x1b[2J is back")
    assert screen(terminal.getvalue(), 100) == ["the camera?[2J is back", ""]
    drawn.update(RUNNING, 10.1)
    assert screen(terminal.getvalue(), 100) == ["the camera?[2J is back", *status_lines(RUNNING, 99)]
    drawn.clear()
    assert screen(terminal.getvalue(), 100) == ["the camera?[2J is back", ""]


def test_a_window_made_narrower_keeps_no_remains(terminal: Terminal) -> None:
    """The terminal wraps what is drawn; the next drawing must begin where the first row went."""
    columns = 100
    drawn = LiveStatus(terminal, columns=lambda: columns)
    drawn.update(RUNNING, 0.0)
    before = screen(terminal.getvalue(), 100)
    wrapped = sum(-(-len(row) // 40) for row in before)
    columns = 40
    terminal.truncate(0)
    terminal.seek(0)
    terminal.write("\n".join(before))  # as the narrow window shows it
    drawn.update(RUNNING, 1.0)
    assert wrapped > len(before)
    assert screen(terminal.getvalue(), 40) == status_lines(RUNNING, 39)


def test_a_pipe_gets_changes_of_state_only() -> None:
    pipe = Pipe()
    drawn = LiveStatus(pipe)
    lost = replace(RUNNING, state=State.SHIELDED, reason="the face is lost")
    for index, status in enumerate((RUNNING, replace(RUNNING, fps_in=12.0), lost, lost, RUNNING)):
        drawn.update(status, float(index))
    drawn.clear()
    assert pipe.getvalue() == "filtering\nshielded: the face is lost\nfiltering\n"


def test_no_heart_rate_and_no_escape_code_reaches_a_log() -> None:
    pipe = Pipe()
    LiveStatus(pipe).update(RUNNING, 0.0)
    assert not re.search(r"\d|\x1b", pipe.getvalue())
    assert state_text(TROUBLED) == "shielded: the face is lost"


def test_a_dumb_terminal_gets_plain_lines(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    LiveStatus(terminal).update(RUNNING, 0.0)
    assert terminal.getvalue() == "filtering\n"


def test_quiet_says_nothing(terminal: Terminal) -> None:
    for stream in (terminal, Pipe()):
        drawn = LiveStatus(stream, quiet=True)
        drawn.update(TROUBLED, 0.0)
        drawn.say("the camera is back")
        drawn.clear()
        assert stream.getvalue() == ""


def test_a_name_that_the_terminal_cannot_write_is_no_error() -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as stream:
        LiveStatus(stream).update(replace(RUNNING, reason="Kamera für カ"), 0.0)
        stream.flush()
        assert raw.getvalue() == b"filtering: Kamera f?r ?\n"
