"""Both pages at once, in two contexts of one Chromium, against the real relay with a made filter."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from streamfilter.relay.links import Links, room_links
from tests.relay.media_peers import MarkFilter
from tests.relay.page_browser import chromium, opened, text, tone
from tests.relay.page_server import wait
from tests.relay.whip_client import real_relay


@contextmanager
def relay_for_browsers(folder: Path) -> Iterator[tuple[Links, list[MarkFilter]]]:
    """A relay in a loop of its own, its two links, and the filters that it makes."""
    made: list[MarkFilter] = []
    loop = asyncio.new_event_loop()
    ready, over = threading.Event(), asyncio.Event()
    links: list[Links] = []

    def make(wanted: object) -> MarkFilter:
        made.append(MarkFilter())
        return made[-1]

    async def serve() -> None:
        async with real_relay(folder, make) as bench:
            links.append(room_links(bench.url, bench.tokens, "ward", 600.0))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10.0)
        yield links[0], made
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(15.0)
        loop.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


def test_a_whole_call(browser: Any, tmp_path: Path) -> None:
    with (
        relay_for_browsers(tmp_path) as (links, made),
        opened(browser, links.viewer) as viewer,
        opened(browser, links.patient) as patient,
    ):
        viewer.get_by_text("Waiting for the patient").wait_for()
        viewer.wait_for_selector("#veil", state="hidden")  # a card is a picture
        assert patient.input_value("#share-link") == links.viewer
        patient.fill("#slider", "64")
        patient.check("#consent")
        patient.click("#start")
        tone(patient, "good")
        tone(viewer, "good")
        assert "64 bpm put in" in text(patient, "#state")
        assert text(viewer, "#notice").endswith("It shows 64 bpm.")
        wait(lambda: text(patient, "#viewers") == "1" and int(text(patient, "#fps")) > 5, "the figures")
        wait(lambda: text(viewer, "#delay").endswith("ms"), "the delay")

        patient.fill("#slider", "121")
        wait(lambda: text(viewer, "#notice").endswith("It shows 121 bpm."), "another rate")
        wait(lambda: (121.0, -1.0) in made[-1].targets, "the filter's target")
        patient.check("#mode-none")
        wait(lambda: text(viewer, "#notice").endswith("It shows no pulse."), "no pulse")

        patient.click("#pause")
        tone(viewer, "alert")
        assert "A card is shown" in text(viewer, "#state-words")
        patient.click("#pause")
        tone(viewer, "good")

        with opened(browser, links.patient) as other:
            other.check("#consent")
            other.click("#start")
            patient.get_by_text("Started elsewhere").wait_for()
            tone(other, "good")
            tone(viewer, "good")
            other.click("#leave")
        viewer.get_by_text("Waiting for the patient").wait_for()
        assert text(viewer, "#notice").endswith("It shows 70 bpm.")  # the other page's own choice
        viewer.click("#leave")


def test_a_link_that_has_expired(browser: Any, tmp_path: Path) -> None:
    with relay_for_browsers(tmp_path) as (links, _):
        forged = links.viewer[:-6] + "AAAAAA"
        with opened(browser, forged, refused=True) as viewer:
            viewer.get_by_text("This link is no longer good").first.wait_for()
            assert "Edited pulse" in text(viewer, "#notice")
