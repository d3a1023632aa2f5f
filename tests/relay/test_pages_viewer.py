"""The viewer's page in the system's Chromium, against a stand-in for the relay."""

from __future__ import annotations

from typing import Any

import pytest

from tests.relay.page_browser import opened, text, tone
from tests.relay.page_server import PageServer, token, wait

_EDITED = "Edited pulse: the heart rate in this picture is not the patient's."
# Whether an element is seen in full: inside the window, and nothing lies over it.
_SEEN = """(id) => {
  const node = document.getElementById(id);
  const { left, top, right, bottom } = node.getBoundingClientRect();
  const inside = left >= 0 && top >= 0 && right <= innerWidth + 1 && bottom <= innerHeight + 1;
  const points = [[left + 2, top + 2], [right - 2, bottom - 2], [(left + right) / 2, (top + bottom) / 2]];
  return inside && right > left && points.every(([x, y]) => node.contains(document.elementFromPoint(x, y)));
}"""


@pytest.fixture
def relay(relay: PageServer) -> PageServer:
    relay.patient = relay.live
    return relay


def notice(page: Any) -> str:
    """The notice's words, which must be in view."""
    assert page.evaluate(_SEEN, "notice")
    said = text(page, "#notice")
    assert said.startswith(_EDITED)
    return said.removeprefix(_EDITED).strip()


def moving(page: Any) -> None:
    page.wait_for_selector("#veil", state="hidden")


def test_picture_figures_and_the_notice(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("viewer")) as page:
        tone(page, "good")
        moving(page)
        assert notice(page) == "It shows 70 bpm."
        path, offer = relay.heard.offers[0]
        assert path == "/whep/room-1" and offer.count("a=recvonly") == 2 and "a=candidate" in offer
        wait(lambda: text(page, "#delay").endswith("ms") and text(page, "#fps") not in "0–", "the figures")
        assert page.evaluate("document.getElementById('video').disablePictureInPicture")
        relay.bpm = 121.0
        wait(lambda: notice(page) == "It shows 121 bpm.", "another rate")
        relay.bpm = None
        wait(lambda: notice(page) == "It shows no pulse.", "no pulse")
        page.click("#leave")
        page.get_by_text("Join again").wait_for()
        wait(lambda: relay.heard.deleted == ["/whep/room-1/1"], "the DELETE")
        assert notice(page).endswith("no pulse.")
        page.click("#again")
        moving(page)


def test_the_notice_stays_in_every_state(browser: Any, relay: PageServer) -> None:
    relay.patient = None
    with opened(browser, relay.link("viewer"), refused=True) as page:
        for patient, words in [
            (None, "Waiting for the patient"),
            ({**relay.live, "state": "connecting"}, "The patient is connecting"),
            ({**relay.live, "state": "shielded", "reason": "face lost"}, "Face lost. A card is shown"),
            ({**relay.live, "state": "interrupted"}, "do not reach the relay"),
            (relay.live, "The edited picture, as it comes."),
        ]:
            relay.patient = patient
            page.get_by_text(words).wait_for()
            assert notice(page) == "It shows 70 bpm."
        relay.silent = True
        relay.call(relay.close_sockets())
        wait(lambda: notice(page) == "When last heard, it showed 70 bpm.", "what was last heard")
        relay.refusal = (503, "no room for one more viewer", 30)
        relay.call(relay.end_sessions())
        page.get_by_text("The relay is full").first.wait_for()
        assert notice(page) == "When last heard, it showed 70 bpm."
        assert "No room for one more viewer." in text(page, "#veil")


def test_the_notice_stays_in_full_screen_and_small_windows(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("viewer")) as page:
        moving(page)
        for width, height in [(1280, 720), (360, 640), (640, 360), (320, 480)]:
            page.set_viewport_size({"width": width, "height": height})
            wait(lambda: page.evaluate(_SEEN, "notice"), "the notice")
            page.click("#full")
            wait(lambda: page.evaluate("document.fullscreenElement?.id") == "stage", "full screen")
            relay.bpm = float(width % 100 + 50)
            wait(lambda: notice(page) == f"It shows {relay.bpm:.0f} bpm.", "the notice in full screen")
            assert page.evaluate("document.getElementById('video').getBoundingClientRect().height") > 90
            page.click("#full")
            wait(lambda: page.evaluate("document.fullscreenElement") is None, "no full screen")
            assert page.evaluate(_SEEN, "notice")


def test_full_screen_of_the_window_where_elements_have_none(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("viewer")) as page:
        page.evaluate("Object.defineProperty(document, 'fullscreenEnabled', { value: false })")
        page.click("#full")
        box = page.evaluate("document.getElementById('stage').getBoundingClientRect().toJSON()")
        assert (box["top"], box["width"], box["height"]) == (0, 1280, 860)
        notice(page)
        page.keyboard.press("Escape")
        assert text(page, "#full") == "Full screen"


def test_a_picture_that_stands_still_is_covered(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("viewer")) as page:
        tone(page, "good")
        moving(page)
        relay.frozen = True
        page.wait_for_selector("#veil", state="visible", timeout=2500)
        assert "The picture stands still" in text(page, "#veil") and page.evaluate(_SEEN, "veil-title")
        tone(page, "alert")
        relay.frozen = False
        moving(page)
        tone(page, "good")


def test_reconnects_by_itself_with_growing_pauses(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("viewer"), refused=True) as page:
        moving(page)
        relay.refusal = (500, "starting", None)
        relay.call(relay.end_sessions())
        wait(lambda: len(relay.heard.offers) >= 3, "two attempts more")
        assert "Connection lost" in text(page, "#state-name")
        relay.refusal = None
        moving(page)
        tone(page, "good")


def test_sound_needs_a_click_where_the_browser_says_so(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("viewer")) as page:
        moving(page)
        page.evaluate("document.getElementById('video').muted = true")
        wait(lambda: text(page, "#sound") == "Turn sound on", "sound is off")
        page.click("#sound")
        assert page.evaluate("document.getElementById('video').muted") is False
        assert page.get_attribute("#sound", "aria-pressed") == "true"


def test_by_keyboard_alone(browser: Any, relay: PageServer) -> None:
    with opened(browser, relay.link("viewer")) as page:
        moving(page)
        walked = []
        for _ in range(4):
            page.keyboard.press("Tab")
            walked.append(page.evaluate("document.activeElement.id"))
        assert walked == ["theme", "sound", "full", "leave"]
        page.keyboard.press("Enter")
        page.get_by_text("You have left").first.wait_for()
        assert page.evaluate("document.activeElement.id") == "again"
        page.keyboard.press("Enter")
        moving(page)


def test_a_link_that_cannot_be_used(browser: Any, relay: PageServer) -> None:
    with opened(browser, f"{relay.url}/viewer") as page:
        page.get_by_text("This page opens by its link").first.wait_for()
        assert notice(page) == "What it shows is not known yet."
        page.goto(f"{relay.url}/viewer#t={token('r', 'patient')}")
        page.get_by_text("not for watching").first.wait_for()
        assert notice(page) == "What it shows is not known yet."
