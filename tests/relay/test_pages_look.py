"""How the two pages look: contrast in both themes, and no scrolling aside down to a width of 360 pixels."""

from __future__ import annotations

from typing import Any

import pytest

from tests.relay.page_browser import opened, tone
from tests.relay.page_server import PageServer, wait

# Every visible text's contrast (WCAG 2.2, 1.4.3) against what lies behind it, the faint ones: [ratio, words].
_FAINT = """(wanted) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (css) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = css;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
  const luminance = (rgb) => rgb.map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    if (!node) return [255, 255, 255];
    const own = rgba(getComputedStyle(node).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, behind(node.parentElement));
  };
  const opacity = (node) => (node ? getComputedStyle(node).opacity * opacity(node.parentElement) : 1);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  let seen = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const words = walker.currentNode.data.trim();
    const hidden = !node.checkVisibility({ visibilityProperty: true }) || !node.getClientRects().length;
    if (!words || hidden || node.closest(":disabled, option, svg")) continue;
    seen += 1;
    const style = getComputedStyle(node);
    const ground = behind(node);
    const [r, g, b, a] = rgba(style.color);
    const [front, back] = [over([r, g, b, a * opacity(node)], ground), ground].map(luminance);
    const large = parseFloat(style.fontSize) >= 24;
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    if (ratio < (large ? 3 : wanted)) faint.push([ratio, words]);
  }
  return { seen, faint };
}"""
_ASIDE = """() => [...document.querySelectorAll("body *")]
  .filter((node) => node.checkVisibility() && !node.closest("svg"))
  .filter((node) => getComputedStyle(node).clipPath === "none")
  .filter((node) => node.getBoundingClientRect().right > innerWidth + 0.5)
  .map((node) => node.id || node.className)"""
_SMALL = """() => [...document.querySelectorAll("button, select, input[type=checkbox]")]
  .filter((node) => node.checkVisibility())
  .map((node) => [node.id, node.getBoundingClientRect()])
  .filter(([, { width, height }]) => Math.min(width, height) < 22)
  .map(([id]) => id)"""


def check_contrast(page: Any) -> None:
    page.wait_for_timeout(350)  # the state's colour fades over
    found = page.evaluate(_FAINT, 4.5)
    assert found["seen"] > 8 and found["faint"] == []


def check_width(page: Any) -> None:
    for width in (1280, 900, 700, 360):
        page.set_viewport_size({"width": width, "height": 740})
        wait(lambda: page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width} pixels")
        assert page.evaluate("innerWidth") == width
        assert page.evaluate(_ASIDE) == []
        assert page.evaluate(_SMALL) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_patient(browser: Any, relay: PageServer, theme: str) -> None:
    with opened(browser, relay.link("patient"), refused=True, color_scheme=theme) as page:
        page.wait_for_selector("#preview-off", state="hidden")
        check_contrast(page)
        page.check("#consent")
        check_contrast(page)
        page.click("#start")
        tone(page, "good")
        check_contrast(page)
        relay.patient = {**relay.live, "state": "shielded", "reason": "face lost"}
        tone(page, "alert")
        check_contrast(page)
        if theme == "light":
            check_width(page)
        relay.refusal = (503, "no more pictures can be filtered in real time", 30)
        relay.call(relay.end_sessions())
        page.get_by_text("The relay is full").wait_for()
        check_contrast(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_viewer(browser: Any, relay: PageServer, theme: str) -> None:
    relay.patient = relay.live
    with opened(browser, relay.link("viewer"), refused=True, color_scheme=theme) as page:
        tone(page, "good")
        page.wait_for_selector("#veil", state="hidden")
        check_contrast(page)
        if theme == "light":
            check_width(page)
        relay.refusal = (503, "no room for one more viewer", 30)
        relay.call(relay.end_sessions())
        page.get_by_text("The relay is full").first.wait_for()
        check_contrast(page)


@pytest.mark.parametrize("role", ["patient", "viewer"])
def test_everything_has_a_name(browser: Any, relay: PageServer, role: str) -> None:
    """What can be operated is named for screen readers, and the headings begin with a first one."""
    with opened(browser, relay.link(role)) as page:
        snapshot = page.locator("body").aria_snapshot()
        for line in snapshot.splitlines():
            kind, *name = line.strip("- :").split(" ", 1)
            if kind in (
                "button",
                "checkbox",
                "combobox",
                "slider",
                "spinbutton",
                "radio",
                "textbox",
                "region",
            ):
                assert name and name[0].startswith('"'), line
        assert page.locator("h1").count() == 1 and page.locator("main").count() == 1
        assert page.evaluate("document.documentElement.lang") == "en"
