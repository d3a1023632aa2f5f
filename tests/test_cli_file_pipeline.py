"""The run from source to sink: every frame filtered or covered, targets on time, stops in order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.capture import open_source
from streamfilter.errors import EngineError
from streamfilter.file_pipeline import (
    MAX_CONSECUTIVE_FAILURES,
    FileSettings,
    Progress,
    RunReport,
    TargetChange,
    filter_file,
)
from streamfilter.frame import Frame
from streamfilter.frame_filter import FILTER_FAILED
from streamfilter.shield import shield_box, shield_frame
from streamfilter.sinks.codec_settings import CodecSettings
from tests.media_clips import noise_frames, write_clip
from tests.plain_filters import Filtered, Recorder, inverted

LOSSLESS = CodecSettings(lossless=True)


def run(settings: FileSettings, frame_filter: object) -> RunReport:
    return filter_file(settings, lambda: frame_filter, lambda progress: None, lambda: False)  # type: ignore[arg-type,return-value]


def read(path: Path) -> list[Frame]:
    with open_source(path) as source:
        return list(source.frames())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "in.mkv", codec="ffv1", pts=list(range(40)), width=160, height=120)


def test_every_frame_leaves_filtered_at_its_own_time(clip: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    report = run(FileSettings(clip, tmp_path / "out.mkv", codec=LOSSLESS), recorder)
    for ours, given_frame in zip(read(tmp_path / "out.mkv"), read(clip), strict=True):
        np.testing.assert_array_equal(ours.y, inverted(given_frame))
        assert ours.seconds == given_frame.seconds
    assert (report.frames, report.faces, report.frames_with_faces, report.shielded) == (40, 1, 40, 0)
    assert report.reasons == ()
    assert not report.stopped_early
    assert report.fps > 0
    assert recorder.closed


@pytest.mark.parametrize("failing", [{0}, {39}, {5, 6, 7}, set(range(1, MAX_CONSECUTIVE_FAILURES))])
def test_a_frame_that_the_filter_refuses_leaves_as_a_card(
    clip: Path, tmp_path: Path, failing: set[int]
) -> None:
    settings = FileSettings(clip, tmp_path / "out.mkv", codec=LOSSLESS)
    report = run(settings, Recorder(fails_at=frozenset(failing)))
    frames = read(tmp_path / "out.mkv")
    card = shield_frame(frames[0], FILTER_FAILED)
    for index, (ours, given_frame) in enumerate(zip(frames, read(clip), strict=True)):
        expected = card.y if index in failing else inverted(given_frame)
        np.testing.assert_array_equal(ours.y, expected)
        assert (ours.u == 128).all() == (index in failing)
    assert report.reasons == ((FILTER_FAILED, len(failing)),)
    assert report.failure is not None
    assert "refused" in report.failure


def test_a_filter_that_keeps_failing_ends_the_run_and_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    recorder = Recorder(fails_at=frozenset(range(3, 3 + MAX_CONSECUTIVE_FAILURES)))
    with pytest.raises(EngineError, match="in a row"):
        run(FileSettings(clip, tmp_path / "out.mp4"), recorder)
    assert [entry.name for entry in tmp_path.iterdir()] == [clip.name]
    assert recorder.closed


class Careless(Recorder):
    """Gives faces back unedited, or a picture of another size or time."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def process(self, frame: Frame) -> Filtered:
        if self.kind == "unedited":
            return Filtered(frame, faces=1)
        if self.kind == "size":
            return Filtered(frame.with_planes(frame.y[:-2], frame.u[:-1], frame.v[:-1]))
        return Filtered(replace(frame, pts=frame.pts + 1))


@pytest.mark.parametrize("kind", ["unedited", "size", "time"])
def test_a_careless_filters_frames_leave_as_cards(tmp_path: Path, kind: str) -> None:
    clip = write_clip(tmp_path / "in.mkv", codec="ffv1")
    report = run(FileSettings(clip, tmp_path / "out.mkv", codec=LOSSLESS), Careless(kind))
    assert report.shielded == 10
    assert {level for frame in read(tmp_path / "out.mkv") for level in np.unique(frame.u)} == {128}


def test_a_frame_without_faces_may_pass_as_it_is(tmp_path: Path) -> None:
    class Blind(Recorder):
        def process(self, frame: Frame) -> Filtered:
            return Filtered(frame, faces=0)

    clip = write_clip(tmp_path / "in.mkv", codec="ffv1")
    report = run(FileSettings(clip, tmp_path / "out.mkv", codec=LOSSLESS), Blind())
    assert (report.faces, report.shielded) == (0, 0)
    for ours, given_frame in zip(read(tmp_path / "out.mkv"), read(clip), strict=True):
        np.testing.assert_array_equal(ours.y, given_frame.y)


def test_shields_of_the_filter_are_counted_by_reason(tmp_path: Path) -> None:
    class Settling(Recorder):
        def process(self, frame: Frame) -> Filtered:
            return replace(super().process(frame), shielded="settling" if self.index <= 4 else None)

    clip = write_clip(tmp_path / "in.mkv", codec="ffv1")
    report = run(FileSettings(clip, tmp_path / "out.mp4"), Settling())
    assert report.reasons == (("settling", 4),)


def test_targets_change_at_the_first_frame_not_before_their_time(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4", pts=[30 + index for index in range(20)])  # starts at 1 s
    recorder = Recorder()
    schedule = (TargetChange(0.1, 90.0), TargetChange(0.21, 60.0), TargetChange(99.0, 50.0))
    run(FileSettings(clip, tmp_path / "out.mp4", schedule=schedule), recorder)
    assert recorder.targets == [(3, 90.0), (7, 60.0)]


@pytest.mark.parametrize("after", [1, 5])
def test_a_stop_leaves_a_whole_shorter_file(clip: Path, tmp_path: Path, after: int) -> None:
    seen: list[Progress] = []
    report = filter_file(
        FileSettings(clip, tmp_path / "out.mp4"), Recorder, seen.append, lambda: len(seen) >= after
    )
    assert report.stopped_early
    assert len(read(tmp_path / "out.mp4")) == after
    assert [progress.done for progress in seen] == list(range(1, after + 1))


def test_a_stop_before_the_first_frame_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    report = filter_file(FileSettings(clip, tmp_path / "out.mp4"), Recorder, lambda _: None, lambda: True)
    assert (report.frames, report.stopped_early) == (0, True)
    assert [entry.name for entry in tmp_path.iterdir()] == [clip.name]


def test_a_keyboard_interrupt_inside_the_filter_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    class Interrupting(Recorder):
        def process(self, frame: Frame) -> Filtered:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(FileSettings(clip, tmp_path / "out.mp4"), Interrupting())
    assert [entry.name for entry in tmp_path.iterdir()] == [clip.name]


@pytest.mark.parametrize(("width", "height"), [(320, 240), (1280, 720), (64, 48), (321, 241)])
def test_the_card_does_not_depend_on_a_single_pixel(width: int, height: int) -> None:
    first, second = (noise_frames(width, height, [7], seed=seed)[0] for seed in (1, 2))
    cards = [shield_frame(frame, "the filter failed") for frame in (first, second)]
    np.testing.assert_array_equal(cards[0].y, cards[1].y)
    assert (cards[0].u == 128).all()
    assert (cards[0].v == 128).all()
    assert (cards[0].y.shape, cards[0].pts, cards[0].color) == (first.y.shape, 7, first.color)
    assert (len(np.unique(cards[0].y)) > 1) == (width >= 120)


class Square:
    def __init__(self, cx: float, cy: float, size: float) -> None:
        self.cx, self.cy, self.size = cx, cy, size
        self.left, self.top = cx - size / 2, cy - size / 2


@given(cx=st.floats(-40, 120), cy=st.floats(-40, 120), size=st.floats(1, 90), odd=st.booleans())
def test_a_shielded_box_shows_nothing_of_what_was_there(cx: float, cy: float, size: float, odd: bool) -> None:
    width, height = (65, 47) if odd else (64, 48)
    first, second = (noise_frames(width, height, [0], seed=seed)[0] for seed in (1, 2))
    box = Square(cx, cy, size)
    left, top = max(0, int(np.floor(box.left))), max(0, int(np.floor(box.top)))
    right = min(width, max(0, int(np.ceil(box.left + size))))
    bottom = min(height, max(0, int(np.ceil(box.top + size))))
    a, b = shield_box(first, box), shield_box(second, box)  # type: ignore[arg-type]
    np.testing.assert_array_equal(a.y[top:bottom, left:right], b.y[top:bottom, left:right])
    if right > left and bottom > top:
        chroma = (slice(top // 2, (bottom + 1) // 2), slice(left // 2, (right + 1) // 2))
        assert (a.u[chroma] == 128).all()
        assert (a.v[chroma] == 128).all()
    untouched = np.ones((height, width), bool)
    untouched[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1] = False
    np.testing.assert_array_equal(a.y[untouched], first.y[untouched])
