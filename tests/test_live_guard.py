"""The guard: what leaves is an edit that was checked, or a card; nothing else gets into the outbox."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streamfilter.frame import Frame
from streamfilter.frame_filter import FILTER_FAILED
from streamfilter.live.guard import NO_FACE, UNSEEN, WORN_OUT, Cards, Guard, SafeFrame
from streamfilter.live.outbox import Outbox
from tests.live_devices import Edited, PlainFilter, live_frame

CARDS = Cards(160, 120)


def is_card(frame: Frame) -> bool:
    return bool((frame.u == 128).all() and (frame.v == 128).all() and np.median(frame.y) == 96)


def coloured(seconds: float) -> Frame:
    frame = live_frame(seconds)
    return frame.with_planes(frame.y, frame.u - 20, frame.v + 20)


def test_an_edited_frame_passes_with_its_time() -> None:
    frame = coloured(12.5)
    safe, _ = Guard(PlainFilter(shielded="settling"), CARDS).process(frame, 12.6)
    assert not safe.card and safe.reason == "settling" and safe.arrived == 12.6
    assert safe.frame.pts == frame.pts
    assert not np.array_equal(safe.frame.y, frame.y)


class Careless(PlainFilter):
    """Gives back what is not an edit of the frame."""

    kind = ""

    def process(self, frame: Frame) -> Edited:
        if self.kind == "size":
            return Edited(frame.with_planes(frame.y[:-2], frame.u[:-1], frame.v[:-1]))
        if self.kind == "time":
            return Edited(replace(super().process(frame).frame, pts=frame.pts + 1))
        if self.kind == "nothing":
            return None  # type: ignore[return-value]
        return Edited(frame, faces=1)


@pytest.mark.parametrize("kind", ["unedited", "size", "time", "nothing"])
def test_what_cannot_be_the_edit_becomes_a_card(kind: str) -> None:
    careless = Careless()
    careless.kind = kind
    safe, boxes = Guard(careless, CARDS).process(coloured(1.0), 1.0)
    assert safe.card and is_card(safe.frame) and safe.reason == FILTER_FAILED and not boxes


def test_a_frame_in_which_no_face_was_edited_becomes_a_card() -> None:
    safe, _ = Guard(PlainFilter(faces=0), CARDS).process(coloured(1.0), 1.0)
    assert safe.card and is_card(safe.frame) and safe.reason == NO_FACE


@pytest.mark.parametrize(
    ("unseen", "card"), [(UNSEEN - 0.1, False), (UNSEEN + 0.1, True), (float("nan"), True)]
)
def test_a_face_that_was_not_detected_for_long_is_not_believed_to_be_there(unseen: float, card: bool) -> None:
    safe, boxes = Guard(PlainFilter(unseen=unseen), CARDS).process(coloured(1.0), 1.0)
    assert safe.card is card and is_card(safe.frame) is card and not boxes
    assert safe.reason == (NO_FACE if card else None)


@pytest.mark.parametrize("fault", [RuntimeError("x"), MemoryError(), OSError(5, "io"), AssertionError()])
def test_any_exception_becomes_a_card_and_a_row_of_them_wears_the_filter_out(fault: Exception) -> None:
    live = PlainFilter(fault=fault)
    guard = Guard(live, CARDS)
    for index in range(WORN_OUT):
        assert not guard.worn_out
        safe, _ = guard.process(coloured(index / 30), index / 30)
        assert safe.card and is_card(safe.frame)
    assert guard.worn_out
    assert guard.failure is not None and type(fault).__name__ in guard.failure


def test_one_good_frame_ends_the_row() -> None:
    live = PlainFilter(fault=RuntimeError("x"))
    guard = Guard(live, CARDS)
    for index in range(3 * WORN_OUT):
        live.fault = None if index % (WORN_OUT - 1) == 0 else RuntimeError("x")
        guard.process(coloured(index / 30), index / 30)
        assert not guard.worn_out


def test_nothing_but_the_guard_makes_safe_frames() -> None:
    frame = coloured(1.0)
    with pytest.raises(TypeError, match="guard"):
        SafeFrame(frame, 1.0, None, False, object())
    safe, _ = Guard(PlainFilter(), CARDS).process(frame, 1.0)
    outbox = Outbox()
    with pytest.raises(TypeError, match="safe"):
        outbox.put(frame)  # type: ignore[arg-type]
    assert outbox.take() is None
    assert outbox.put(safe) is False


def test_the_outbox_keeps_the_newest_and_says_what_it_replaced() -> None:
    outbox = Outbox()
    first, second = CARDS.make("a", 1.0), CARDS.make("b", 2.0)
    assert [outbox.put(first), outbox.put(second)] == [False, True]
    assert outbox.take() is second and outbox.take() is None
    outbox.stir()
    outbox.wait(30.0)  # returns at once


def test_cards_are_of_their_moment_and_of_no_picture() -> None:
    first, second = CARDS.make("paused", 5.0), CARDS.make("paused", 6.0)
    assert first.frame.y is second.frame.y  # drawn once
    assert first.frame.seconds == 5.0 and second.frame.seconds == 6.0
    assert not np.array_equal(first.frame.y, CARDS.make("no face in view", 7.0).frame.y)
