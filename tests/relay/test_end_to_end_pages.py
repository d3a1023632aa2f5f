"""The pages in Chromium on the real relay: links, WHIP, WHEP and events fit together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.relay.media_peers import MarkFilter
from tests.relay.page_browser import chromium, opened, text, tone
from tests.relay.page_server import wait
from tests.relay.whip_client import real_relay


@contextmanager
def links_of_a_running_relay(folder: Path) -> Iterator[dict[str, str]]:
    """A room's links; its relay runs in a thread, since the browser's driver waits."""
    links: dict[str, str] = {}
    ready, loop, done = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with real_relay(folder, lambda wanted: MarkFilter()) as bench:
            links.update(
                await (await bench.client.post(bench.admin + "/rooms", json={"room": "ward"})).json()
            )
            ready.set()
            await done.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(10.0) and links
        yield links
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(done.set)
        thread.join(10.0)
        assert not thread.is_alive()


def test_a_call_between_two_pages_and_its_takeover(tmp_path: Path) -> None:
    with chromium() as browser, links_of_a_running_relay(tmp_path) as links:
        patient_link, viewer_link = links["patient_link"], links["viewer_link"]
        with opened(browser, viewer_link) as viewer, opened(browser, patient_link) as patient:
            patient.fill("#slider", "64")
            patient.check("#consent")
            patient.click("#start")
            tone(patient, "good")
            tone(viewer, "good")
            wait(lambda: "64 bpm" in text(viewer, "#notice"), "the notice with the rate")
            wait(lambda: viewer.evaluate("document.getElementById('video').videoWidth") > 0, "the video")
            assert patient.input_value("#share-link") == viewer_link
            patient.fill("#slider", "95")
            wait(lambda: "95 bpm" in text(viewer, "#notice"), "the notice with the other rate")
            with opened(browser, patient_link) as second:
                second.check("#consent")
                second.click("#start")
                tone(second, "good")
                wait(lambda: "Started elsewhere" in text(patient, "#state"), "the first page to be told")
                tone(viewer, "good")
                second.click("#leave")
                wait(lambda: text(viewer, "#state-name") != "Live", "the viewer to be told")
