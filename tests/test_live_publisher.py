"""What leaves when: decided without a clock, tested without sleeping."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamfilter.live.guard import Cards, Guard, SafeFrame
from streamfilter.live.publisher import (
    CALM,
    CAMERA_STALLED,
    CARD_PERIOD,
    IDLE_PERIOD,
    STALL,
    TOO_SLOW,
    Decision,
    Scene,
    Screen,
    decide,
)
from tests.live_devices import PlainFilter, live_frame

CARDS = Cards(160, 120)
GUARD = Guard(PlainFilter(), CARDS)


def safe(arrived: float) -> SafeFrame:
    return GUARD.process(live_frame(arrived), arrived)[0]


def showing(at: float) -> Screen:
    """An edited frame was shown at this moment, and all is well."""
    return Screen(reason=None, written=at, heard=at)


def test_a_fresh_frame_leaves_at_once() -> None:
    newest = safe(10.0)
    done = decide(showing(9.97), Scene(10.01, newest, None))
    assert done.frame is newest and done.card is None and done.dropped is None
    assert done.screen.reason is None and done.screen.written == 10.01


def test_between_frames_nothing_is_due_before_the_stall() -> None:
    done = decide(showing(10.0), Scene(10.02, None, None))
    assert done.frame is None and done.card is None
    assert done.until == 10.0 + STALL


def test_silence_brings_a_card_that_names_its_cause_and_repeats() -> None:
    for silent, reason in ((0.2, CAMERA_STALLED), (0.01, TOO_SLOW)):
        screen, cards, now = showing(10.0), [], 10.0
        while now < 11.05:
            done = decide(screen, Scene(now, None, None, camera_silent=silent))
            screen = done.screen
            if done.card is not None:
                cards.append((round(now, 6), done.card))
            now = max(now + 1e-6, done.until)
        assert cards[0] == (10.15, reason)
        assert {said for _, said in cards} == {reason}
        assert len(cards) == 10


def test_a_camera_that_is_back_does_not_make_the_filter_the_culprit() -> None:
    stalled = decide(showing(10.0), Scene(10.5, None, None, camera_silent=0.5)).screen
    back = decide(stalled, Scene(10.61, None, None, camera_silent=0.02))
    assert back.card == CAMERA_STALLED
    shown = decide(back.screen, Scene(10.64, safe(10.6), None))
    assert shown.dropped == CAMERA_STALLED
    hung = decide(back.screen, Scene(10.5 + STALL + 0.12, None, None, camera_silent=0.02))
    assert hung.card == TOO_SLOW


def test_a_slow_camera_is_not_a_stalled_one() -> None:
    scene = Scene(10.25, None, None, patience=0.4, camera_silent=0.25)
    assert decide(showing(10.0), scene).card is None


def test_an_old_frame_never_leaves() -> None:
    done = decide(showing(10.0), Scene(10.2, safe(10.2 - STALL - 0.01), None))
    assert (done.frame, done.card, done.dropped) == (None, TOO_SLOW, TOO_SLOW)


def test_a_card_of_the_guard_is_shown_at_once_and_then_at_the_cards_rate() -> None:
    screen, times = showing(10.0), []
    for index in range(1, 31):
        now = 10.0 + index / 30
        done = decide(screen, Scene(now, CARDS.make("no face in view", now), None))
        screen = done.screen
        if done.card is not None:
            assert done.card == "no face in view"
            times.append(now)
    assert times[0] == 10.0 + 1 / 30
    assert 8 <= len(times) <= 10


def test_the_picture_comes_back_after_a_calm_moment_not_in_a_flicker() -> None:
    screen, shown = showing(10.0), []
    for index in range(1, 60):
        now = 10.0 + index / 30
        bad = index % 3 == 0 and index < 30
        newest = CARDS.make("the filter failed", now) if bad else safe(now)
        done = decide(screen, Scene(now, newest, None))
        screen = done.screen
        shown.append(done.frame is not None)
    assert shown[:2] == [True, True]
    assert not any(shown[2 : 27 + int(CALM * 30) - 1])
    assert all(shown[27 + int(CALM * 30) :])


def test_a_hold_covers_everything_at_once_and_its_end_shows_at_once() -> None:
    done = decide(showing(10.0), Scene(10.01, safe(10.01), "paused"))
    assert (done.frame, done.card, done.dropped) == (None, "paused", "paused")
    later = decide(done.screen, Scene(10.05, None, "paused"))
    assert later.card is None and later.until == done.screen.written + CARD_PERIOD
    newest = safe(12.0)
    assert decide(later.screen, Scene(12.0, newest, None)).frame is newest
    # What is not yet there right after the hold is no stall.
    after = decide(later.screen, Scene(10.07, None, None, camera_silent=5.0))
    assert after.card is None


def test_cards_are_rare_while_nobody_watches() -> None:
    first = decide(showing(10.0), Scene(10.0, None, "nobody is watching", idle=True))
    second = decide(first.screen, Scene(10.1, None, "nobody is watching", idle=True))
    assert first.card is not None and second.card is None
    assert second.until == 10.0 + IDLE_PERIOD


def arriving(kind: str, now: float) -> SafeFrame | None:
    if kind == "card":
        return CARDS.make("no face in view", now)
    return None if kind == "none" else safe(now - 1.0 if kind == "old" else now)


events = st.lists(
    st.tuples(
        st.floats(0.0, 0.4),
        st.sampled_from(["frame", "old", "card", "none"]),
        st.sampled_from([None, None, None, "paused", "camera lost"]),
    ),
    max_size=60,
)


@given(events)
def test_whatever_comes_frames_leave_only_when_fresh_and_free_and_the_output_never_starves(
    course: list[tuple[float, str, str | None]],
) -> None:
    screen, now = Screen(), 100.0
    for gap, kind, hold in course:
        now += gap
        newest = arriving(kind, now)
        done: Decision = decide(screen, Scene(now, newest, hold))
        assert done.frame is None or (hold is None and newest is done.frame and kind == "frame")
        assert done.frame is None or done.card is None
        if hold is not None:
            assert done.card == hold or screen.reason == hold
        if done.frame is None and done.card is None:
            assert now < done.until <= now + 0.5
        if kind in ("frame", "old"):
            assert (done.frame is None) == (done.dropped is not None)
        screen = done.screen
