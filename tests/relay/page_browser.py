"""Chromium with a made-up camera, and pages that must not complain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 15.0  # seconds, for a busy machine; reached only on failure
FLAGS = [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream=device-count=2,fps=12",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--allow-loopback-in-peer-connection",
]
# A refused request is told on the console by the browser itself, whatever a page does about it.
_BROWSER_OWN = "Failed to load resource"


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, link: str, *, refused: bool = False, script: str = "", **kind: Any) -> Iterator[Any]:
    """A page on ``link`` in a context of its own. A line on its console, an error or a request to elsewhere
    fails the test; ``refused`` lets pass what the browser says of refused requests. ``script`` runs before
    the page's own. ``kind``: as playwright's new_context takes."""
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 860}} | kind))
    context.grant_permissions(["camera", "microphone", "clipboard-read", "clipboard-write"])
    context.add_init_script(script)
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.extend([request.url] if _elsewhere(request.url) else []))
    try:
        page.goto(link)
        yield page
        lines = [line for line in said if not (refused and line.startswith(_BROWSER_OWN))]
        assert not lines, lines
    finally:
        context.close()


def _elsewhere(address: str) -> bool:
    return urlsplit(address).hostname != "127.0.0.1"


def text(page: Any, selector: str) -> str:
    return " ".join(str(page.text_content(selector)).split())


def tone(page: Any, wanted: str) -> None:
    """Waits until things stand so: calm, good, alert or bad."""
    page.wait_for_selector(f'[data-tone="{wanted}"]')
