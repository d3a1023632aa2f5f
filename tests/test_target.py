"""What is shown: the forms of a target, courses over time, and the slow following of the true rate."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.errors import UsageError
from streamfilter.live.target import (
    DEFAULT_BPM,
    MAX_FILE_BYTES,
    MAX_SCALE_SLOPE,
    Curve,
    FixedRate,
    Hidden,
    RatePoint,
    Scaled,
    Schedule,
    Shown,
    Target,
    anchored,
    parse_target,
    read_curve,
    shown,
)

RATES = st.floats(40.0, 180.0)
TIMES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=8, unique=True).map(sorted)


@st.composite
def targets(draw: st.DrawFn) -> Target:
    """Any target but a file."""
    if draw(st.booleans()):
        points = [RatePoint(0.0, draw(RATES))]
        points += [RatePoint(seconds, draw(RATES)) for seconds in draw(TIMES)]
        return Schedule(tuple(points))
    return draw(
        st.one_of(RATES.map(FixedRate), st.just(Hidden()), st.floats(0.3, 3.0).map(Scaled)),
    )


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("70", FixedRate(70.0)),
        (" 62.5 ", FixedRate(62.5)),
        ("40", FixedRate(40.0)),
        ("180", FixedRate(180.0)),
        ("hide", Hidden()),
        ("scale 0.8", Scaled(0.8)),
        (" scale   3 ", Scaled(3.0)),
        ("70,10:90", Schedule((RatePoint(0.0, 70.0), RatePoint(10.0, 90.0)))),
        ("0:80,1.5:40", Schedule((RatePoint(0.0, 80.0), RatePoint(1.5, 40.0)))),
    ],
)
def test_every_form_is_read(text: str, target: Target) -> None:
    assert parse_target(text) == target


@given(targets())
def test_a_targets_text_reads_back_as_the_target(target: Target) -> None:
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "fast",
            "39.9",
            "180.1",
            "nan",
            "inf",
            "-70",
            "70 80",
            "Hide",
            "hide 1",
            "70,90",
            "70,10:500",
        ),
        *("scale", "scale 0.29", "scale 3.1", "scale nan", "scale x", "scale 0.8 1", "scale0.8", "5:70"),
        *("day.txt", "~nobody-of-that-name/day.csv"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_target(text)


def test_the_refusal_lists_the_forms() -> None:
    with pytest.raises(UsageError, match=r"'fast'.*hide.*scale 0\.8.*day\.csv"):
        parse_target("fast")


@pytest.mark.parametrize("head", ["", "seconds,bpm\n", "\ufeffTime, BPM\r\n", "\n\n"])
def test_a_file_is_read_with_or_without_a_header(tmp_path: Path, head: str) -> None:
    path = tmp_path / "Day.CSV"
    path.write_text(head + "0,70\n\n10, 90.5\n", encoding="utf-8")
    assert parse_target(str(path)) == Curve(path, (RatePoint(0.0, 70.0), RatePoint(10.0, 90.5)))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("0,70\n10,x\n", ":2: "),
        ("seconds,bpm\n0,70\n\n5,39\n", ":4: "),
        ("0,70\n0,80\n", ":2: "),
        ("5,70\n4,80\n", ":2: "),
        ("-1,70\n", ":1: "),
        ("0,nan\n", ":1: "),
        ("0,70,1\n", ":1: "),
        ("0;70\n", ":1: "),
        ("O,70\n", ":1: "),
        ("bpm,seconds\n70,0\n", ":1: "),
        ("0,70\nseconds,bpm\n", ":2: "),
        ('0,70\n"' + "9" * 200_000 + '"', ":2: "),
        ("", " holds no rows"),
        ("seconds,bpm\n", " holds no rows"),
    ],
)
def test_a_files_mistake_is_named_by_file_and_line(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "day.csv"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        parse_target(str(path))
    assert f"{path}{place}" in str(caught.value)


def test_what_is_no_readable_file_is_refused(tmp_path: Path) -> None:
    binary, large, folder = tmp_path / "binary.csv", tmp_path / "large.csv", tmp_path / "folder.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    large.write_bytes(b"0" * (MAX_FILE_BYTES + 1))
    folder.mkdir()
    for path in (binary, large, folder, tmp_path / "absent.csv"):
        with pytest.raises(UsageError, match=path.name):
            read_curve(path)


def test_only_files_are_anchored(tmp_path: Path) -> None:
    assert anchored("day.csv", tmp_path) == str(tmp_path / "day.csv")
    assert anchored(str(tmp_path / "day.csv"), Path("elsewhere")) == str(tmp_path / "day.csv")
    assert anchored("scale 0.8", tmp_path) == "scale 0.8"


def test_a_schedule_steps_and_a_curve_runs_straight() -> None:
    points = (RatePoint(0.0, 60.0), RatePoint(10.0, 80.0))
    steps, line = Schedule(points), Curve(Path("x.csv"), (RatePoint(2.0, 60.0), RatePoint(10.0, 80.0)))
    assert [shown(steps, at, None).bpm for at in (-1.0, 0.0, 9.99, 10.0, 1e9)] == [60, 60, 60, 80, 80]
    assert [shown(line, at, None).bpm for at in (-1.0, 0.0, 2.0, 6.0, 10.0, 1e9)] == [60, 60, 60, 70, 80, 80]


@given(st.data(), TIMES, st.floats(-10.0, 2e6))
def test_a_curve_stays_between_its_neighbours(data: st.DataObject, times: list[float], at: float) -> None:
    points = tuple(RatePoint(seconds, data.draw(RATES)) for seconds in times)
    bpm = shown(Curve(Path("x.csv"), points), at, None).bpm
    before = [point for point in points if point.seconds <= at][-1:] or [points[0]]
    after = [point for point in points if point.seconds >= at][:1] or [points[-1]]
    low, high = sorted((before[0].bpm, after[0].bpm))
    assert low - 1e-9 <= bpm <= high + 1e-9


def test_hidden_has_no_strength_and_everything_else_all_of_it() -> None:
    before = shown(FixedRate(90.0), 1.0, None)
    hidden = shown(Hidden(), 2.0, None, before)
    assert (hidden.strength, hidden.bpm) == (0.0, 90.0)
    assert shown(Hidden(), 0.0, None).strength == 0.0
    for text in ("70", "scale 2", "70,5:80"):
        assert shown(parse_target(text), 3.0, 66.0, hidden).strength == 1.0


def test_scale_shows_the_default_until_there_is_a_reading_then_holds_the_last_one() -> None:
    target = Scaled(0.5)
    now = shown(target, 0.0, None)
    assert now.bpm == DEFAULT_BPM
    for step in range(1, 200):
        now = shown(target, step * 0.1, 100.0, now)
    assert now.bpm == 50.0
    for step in range(200, 300):
        now = shown(target, step * 0.1, None, now)
    assert now.bpm == 50.0
    assert shown(target, 30.0, math.nan, now).bpm == 50.0


def test_scale_starts_at_its_goal_where_nothing_was_shown_before() -> None:
    assert shown(Scaled(0.8), 0.0, 100.0).bpm == 80.0


@pytest.mark.parametrize(("share", "true", "bpm"), [(0.3, 60.0, 40.0), (3.0, 100.0, 180.0)])
def test_scale_stays_within_the_rates_that_can_be_shown(share: float, true: float, bpm: float) -> None:
    assert shown(Scaled(share), 0.0, true).bpm == bpm


MOMENTS = st.lists(
    st.tuples(st.floats(-2.0, 30.0), st.one_of(st.none(), st.floats(0.0, 400.0), st.just(math.nan))),
    min_size=1,
    max_size=40,
)


@given(targets(), st.floats(0.3, 3.0), MOMENTS)
def test_scale_never_moves_faster_than_its_slope(
    earlier: Target, share: float, moments: list[tuple[float, float | None]]
) -> None:
    """From any other target, over any gaps (backward too), with readings that jump or are missing."""
    seconds = 0.0
    now = shown(earlier, seconds, None)
    for gap, reading in moments:
        seconds += gap
        following: Shown = shown(Scaled(share), seconds, reading, now)
        allowed = MAX_SCALE_SLOPE * min(max(gap, 0.0), 1.0)
        assert abs(following.bpm - now.bpm) <= allowed + 1e-9
        assert 40.0 <= following.bpm <= 180.0
        now = following
