"""The page in the system's Chromium."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from streamfilter.live.status import State
from streamfilter.web.server import WebServer
from tests.web_control import CAMERAS, TRUE_BPM, FakeFilter

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
_CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not _CHROMIUM.exists(), reason=f"no Chromium at {_CHROMIUM}")
_PATIENCE = 15.0  # seconds, for a busy machine; reached only on failure

# Mean and spread of what an <img> shows now, and its width.
_PIXELS = """(id) => {
  const image = document.getElementById(id);
  const canvas = document.createElement("canvas");
  canvas.width = 64; canvas.height = 36;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, 64, 36);
  const data = context.getImageData(0, 0, 64, 36).data.filter((_, i) => i % 4 === 1);
  const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
  const spread = Math.sqrt(data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length);
  return { mean, spread, width: image.naturalWidth };
}"""
# Share of a plot's pixels that are drawn upon.
_INK = """(selector) => {
  const canvas = document.querySelector(selector);
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return data.filter((value, i) => i % 4 === 3 && value > 0).length / (data.length / 4);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(_CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser: Any) -> Iterator[tuple[Any, FakeFilter, list[str]]]:
    """One page for all tests, opened by its link and connected: page, filter, and the console's lines."""
    control = FakeFilter(size=(320, 180))
    server = WebServer(control, 0)
    said: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page.set_default_timeout(_PATIENCE * 1000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.extend([request.url] if _is_elsewhere(request.url) else []))
    try:
        page.goto(server.start(), wait_until="commit")
        yield page, control, said
        page.close()
    finally:
        server.close()


@pytest.fixture
def control(opened: tuple[Any, FakeFilter, list[str]]) -> FakeFilter:
    control = opened[1]
    control.state, control.reason, control.target, control.true = State.FILTERING, None, "90", TRUE_BPM
    control.calls.clear()
    return control


def _is_elsewhere(address: str) -> bool:
    return urlsplit(address).hostname != "127.0.0.1"


@pytest.fixture
def page(opened: tuple[Any, FakeFilter, list[str]], control: FakeFilter) -> Iterator[Any]:
    """Shows the filter as it is at first. A line on the console or a request to elsewhere fails the test."""
    page, _, said = opened
    page.evaluate("document.activeElement?.blur()")
    page.wait_for_selector('#state[data-state="filtering"]')
    wait(lambda: page.input_value("#amount") == "90", "the first target")
    yield page
    assert said == []


def wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def text(page: Any, selector: str) -> str:
    return str(page.text_content(selector))


def is_picture(page: Any, side: str) -> bool:
    return bool(page.evaluate(_PIXELS, f"picture-{side}")["spread"] > 30)


def luminance(page: Any) -> float:
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour[4:-1].split(",")) / 3


def test_shows_live_values(page: Any, control: FakeFilter) -> None:
    assert urlsplit(page.url).query == ""  # the token has left the address
    assert page.evaluate("document.cookie") == ""
    assert text(page, "#state-name") == "Filtering"
    assert "90 bpm" in text(page, "#state-words")
    assert (text(page, "#true"), text(page, "#shown")) == ("63", "90")
    assert text(page, "#p99") == "14.1" and text(page, "#fps-in") == "30.0"
    assert "late" in text(page, "#dropped") and "face lost" in text(page, "#shielded")
    wait(lambda: "at 63" in str(page.get_attribute("#spectra", "aria-label")), "the spectra")
    for plot in ("#traces canvas", "#spectra canvas"):
        assert page.evaluate(_INK, plot) > 0.01
    control.state, control.reason, control.true = State.SHIELDED, "face lost", None
    page.wait_for_selector('#state[data-state="shielded"]')
    assert "face lost" in text(page, "#state-words")
    assert (text(page, "#true"), text(page, "#shown")) == ("–", "–")


def test_both_previews_show_pictures(page: Any, control: FakeFilter) -> None:
    for side in ("before", "after"):
        page.wait_for_selector(f"#picture-{side}:not([hidden])")
        wait(partial(is_picture, page, side), f"the face {side}")
        assert page.evaluate(_PIXELS, f"picture-{side}")["width"] == 320
    assert "never leaves this computer" in text(page, "figure.before figcaption")
    control.pause(True)
    wait(lambda: not is_picture(page, "after"), "the card")
    assert is_picture(page, "before")
    control.state = State.WAITING
    page.get_by_text("The camera is closed", exact=True).wait_for()


def test_slider_and_modes_set_the_target(page: Any, control: FakeFilter) -> None:
    page.fill("#slider", "121")
    wait(lambda: control.target == "121", "the slider")
    page.focus("#slider")
    page.keyboard.press("ArrowRight")
    wait(lambda: control.target == "122", "arrow on the slider")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowLeft")
    wait(lambda: control.target == "121", "arrow on the page")
    page.keyboard.press("Shift+ArrowLeft")
    wait(lambda: control.target == "111", "ten steps")
    assert page.input_value("#amount") == page.input_value("#slider") == "111"
    page.fill("#amount", "300")
    page.keyboard.press("Enter")
    wait(lambda: control.target == "180", "typed numbers end at the limit")
    page.check("input[value=hide]")
    wait(lambda: control.target == "hide", "hide")
    assert page.is_disabled("#slider")
    page.get_by_text("none is put in").wait_for()
    page.check("input[value=scale]")
    wait(lambda: control.target == "scale 0.8", "scale")
    page.focus("#slider")
    page.keyboard.press("ArrowUp")
    wait(lambda: control.target == "scale 0.85", "a step of the scale")
    control.target = "55"  # changed elsewhere: the page follows
    wait(lambda: page.input_value("#amount") == "55", "a change from elsewhere")


def test_space_pauses_whatever_was_clicked_last(page: Any, control: FakeFilter) -> None:
    page.keyboard.press("Space")
    page.wait_for_selector('#state[data-state="paused"]')
    assert control.last("pause") is True and "Go on" in text(page, "#pause")
    page.dblclick("#theme")
    page.keyboard.press("Space")
    page.wait_for_selector('#state[data-state="filtering"]')
    page.focus("#slider")
    page.keyboard.press("Space")
    page.wait_for_selector('#state[data-state="paused"]')
    page.click("#pause")
    page.wait_for_selector('#state[data-state="filtering"]')
    assert [argument for name, argument in control.calls if name == "pause"] == [True, False] * 2
    page.focus("#pause")
    page.keyboard.press("Space")  # the button's own key: pressed once, not twice
    page.wait_for_selector('#state[data-state="paused"]')


def test_camera_choice_and_errors(page: Any, control: FakeFilter) -> None:
    page.select_option("#camera", CAMERAS[1])
    wait(lambda: control.camera == CAMERAS[1], "the other camera")
    wait(lambda: page.input_value("#camera") == CAMERAS[1], "the page's choice")


def test_light_dark_and_the_toggle(page: Any) -> None:
    assert luminance(page) > 200
    page.emulate_media(color_scheme="dark")
    assert luminance(page) < 50
    page.click("#theme")
    assert luminance(page) > 200
    page.reload()
    assert luminance(page) > 200  # remembered, before the first status
    page.click("#theme")
    assert luminance(page) < 50
    page.emulate_media(color_scheme="light")
    assert luminance(page) > 200  # back to the system's choice


@pytest.mark.parametrize("width", [360, 800, 1280])
def test_fits_the_width(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    wait(lambda: page.evaluate("document.documentElement.scrollWidth") <= width, "no scrolling sideways")
    # A picture takes the new width at the next frame, which a busy machine draws later.
    right = "Math.max(...[...document.querySelectorAll('main *')].map(e => e.getBoundingClientRect().right))"
    wait(lambda: page.evaluate(right) <= width, "nothing beyond the right edge")


def test_lost_connection_is_said_and_mended(browser: Any, control: FakeFilter) -> None:
    server = WebServer(control, 0)
    link = server.start()
    page = browser.new_page()
    page.set_default_timeout(_PATIENCE * 1000)
    try:
        page.goto(link, wait_until="commit")
        page.wait_for_selector('#state[data-state="filtering"]')
        server.close()
        page.get_by_text("The connection to physio-cam is lost").wait_for()
        assert page.is_disabled("#pause") and text(page, "#state-name") == "Not connected"
        server = WebServer(control, urlsplit(link).port or 0)
        link = server.start()  # another start: the old cookie is worth nothing
        page.get_by_text("open the new link").wait_for()
        page.goto(link, wait_until="commit")
        page.wait_for_selector('#state[data-state="filtering"]')
        assert page.is_hidden("#notice")
    finally:
        page.close()
        server.close()
