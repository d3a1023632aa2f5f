"""Chromium for the scripts that make calls: a page on loopback, and a clip as webcam."""

from __future__ import annotations

import contextlib
import http.server
import mimetypes
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streamfilter.errors import EngineError

CHROMIUM = "/usr/bin/chromium"
_FLAGS = (
    "--no-sandbox",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)


@contextlib.contextmanager
def page_server(*files: Path) -> Iterator[str]:
    """Serves ``files`` by their names on loopback: a browser lends its camera to a secure origin only.

    Gives the origin, as http://127.0.0.1:40123.
    """
    served = {f"/{path.name}": path for path in files}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = served.get(self.path)
            if path is None:
                self.send_error(404)
                return
            data = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", mimetypes.guess_type(path.name)[0] or "text/plain")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def browser_pages(address: str, chromium: str, *webcams: Path | None) -> Iterator[list[Any]]:
    """A page on ``address`` for each of ``webcams``, each in a Chromium of its own.

    ``webcams``: the clip (YUV4MPEG2) that is its webcam, or None for a browser without one. Raises
    EngineError for whatever the browsers or their pages complain of.
    """
    from playwright.sync_api import Error as BrowserError
    from playwright.sync_api import sync_playwright

    with contextlib.ExitStack() as open_ones:
        try:
            playwright = open_ones.enter_context(sync_playwright())
            pages = []
            for webcam in webcams:
                browser = playwright.chromium.launch(
                    executable_path=chromium, args=[*_FLAGS, *_webcam(webcam)]
                )
                open_ones.callback(browser.close)
                page = browser.new_page()
                page.set_default_timeout(0)
                page.goto(address)
                pages.append(page)
            yield pages
        except BrowserError as error:
            reason = str(error).splitlines()[0]
            raise EngineError(f"the call failed: {reason}; is {chromium} there?") from error


def _webcam(clip: Path | None) -> list[str]:
    if clip is None:
        return []
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={clip}",
    ]
