"""The page's server over real sockets: who gets in, what it sends, and how it ends."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import cv2
import numpy as np
import pytest

from streamfilter.errors import UsageError
from streamfilter.frame import ColorSpec, Frame
from streamfilter.live.status import State, Status
from streamfilter.web.handlers import MAX_CLIENTS, MAX_MESSAGE
from streamfilter.web.jpeg import jpeg_of
from streamfilter.web.server import WebServer
from tests.web_control import CAMERAS, FakeFilter

Headers = dict[str, str]


class Site:
    """A running server, and plain requests to it."""

    def __init__(self, control: FakeFilter, link: str) -> None:
        self.control, self.link = control, link
        self.port = urlsplit(link).port or 0
        self.origin = f"http://127.0.0.1:{self.port}"
        self.token = parse_qs(urlsplit(link).query)["token"][0]

    def ask(self, path: str, headers: Headers | None = None, method: str = "GET") -> Any:
        """The whole response, ``body`` read; for routes that end."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            response.body = response.read()  # type: ignore[attr-defined]
            return response
        finally:
            connection.close()

    def cookie(self) -> Headers:
        given = self.ask(f"/?token={self.token}").getheader("Set-Cookie")
        return {"Cookie": given.partition(";")[0]}

    @asynccontextmanager
    async def live(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        headers = {**self.cookie(), "Origin": self.origin}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self.origin}/live", headers=headers) as live,
        ):
            yield live


@pytest.fixture
def site() -> Iterator[Site]:
    control = FakeFilter()
    server = WebServer(control, 0)
    try:
        yield Site(control, server.start())
    finally:
        server.close()


def run(scene: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(scene(), 8)

    asyncio.run(limited())


async def reply(live: aiohttp.ClientWebSocketResponse, text: str) -> str | None:
    """Sends a command and gives its reply's ``error``."""
    await live.send_str(text)
    while True:
        message = json.loads((await live.receive(timeout=3)).data)
        if message["type"] == "reply":
            return message["error"]  # type: ignore[no-any-return]


def test_link_is_exchanged_for_a_cookie(site: Site) -> None:
    assert len(site.token) >= 43  # 256 bits in base64
    first = site.ask(f"/?token={site.token}")
    assert (first.status, first.getheader("Location")) == (303, "/")
    cookie = first.getheader("Set-Cookie")
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and site.token not in cookie
    page = site.ask("/", site.cookie())
    assert page.status == 200 and b"<title>physio-cam" in page.body


def test_each_start_has_its_own_token() -> None:
    links = set()
    for _ in range(2):
        server = WebServer(FakeFilter(), 0)
        links.add(parse_qs(urlsplit(server.start()).query)["token"][0])
        server.close()
    assert len(links) == 2


@pytest.mark.parametrize(
    "path",
    ["/", "/?token=", "/?token=%ff%00", "/live", "/preview/before", "/preview/after", "/js/app.js", "/x"],
)
def test_every_route_needs_the_cookie(site: Site, path: str) -> None:
    for headers in ({}, {"Cookie": f"physio-cam-{site.port}=wrong"}, {"Cookie": "\u00ff=;;=\u00e4"}):
        response = site.ask(path, headers)
        assert response.status == 401
        assert b"link" in response.body and site.control.calls == [] and site.control.previews == 0


def test_the_token_does_not_open_other_routes(site: Site) -> None:
    assert site.ask(f"/preview/before?token={site.token}").status == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", ""]
)
def test_other_host_names_are_refused(site: Site, host: str) -> None:
    headers = {**site.cookie(), "Host": host.format(port=site.port)}
    for path in ("/", f"/?token={site.token}", "/preview/before"):
        assert site.ask(path, headers).status == 403


def test_localhost_is_this_computer(site: Site) -> None:
    assert site.ask("/", {**site.cookie(), "Host": f"localhost:{site.port}"}).status == 200


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1:{port}"]
)
def test_websocket_and_post_need_the_pages_origin(site: Site, origin: str | None) -> None:
    headers = site.cookie() | ({} if origin is None else {"Origin": origin.format(port=site.port)})
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    assert site.ask("/live", headers | upgrade).status == 403
    assert site.ask("/", headers, "POST").status == 403


def test_other_ports_of_this_computer_get_nothing(site: Site) -> None:
    """A page on another port is the same site: the browser sends it the cookie."""
    for kind in ("same-site", "cross-site"):
        headers = {**site.cookie(), "Sec-Fetch-Site": kind, "Sec-Fetch-Mode": "no-cors"}
        assert site.ask("/preview/before", headers).status == 403
        assert site.ask("/", headers).status == 403


def test_every_response_carries_the_headers(site: Site) -> None:
    cookie = site.cookie()
    for path, headers in (
        ("/", cookie),
        ("/", {}),
        ("/none", cookie),
        ("/js/app.js", cookie),
        ("/", {"Host": "x"}),
    ):
        response = site.ask(path, headers)
        policy = response.getheader("Content-Security-Policy")
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http:" not in policy
        assert "frame-ancestors 'none'" in policy
        assert response.getheader("Cache-Control") == "no-store"
        assert response.getheader("X-Content-Type-Options") == "nosniff"
        assert response.getheader("Referrer-Policy") == "no-referrer"
        assert response.getheader("Cross-Origin-Resource-Policy") == "same-origin"


def test_only_named_files_are_served(site: Site) -> None:
    for path in (
        "/../server.py",
        "/js/../../server.py",
        "/%2e%2e/server.py",
        "/js/",
        "/preview/other",
        "/index.html",
    ):
        assert site.ask(path, site.cookie()).status == 404


def test_listens_on_loopback_only(site: Site) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.2", site.port))  # would be taken if the server listened on every address
    with pytest.raises(UsageError, match=f"port {site.port}"):
        WebServer(FakeFilter(), site.port).start()


def test_live_status_and_commands(site: Site) -> None:
    async def scene() -> None:
        async with site.live() as live:
            kinds: list[str] = []
            begin = time.monotonic()
            while kinds.count("status") < 4:
                message = json.loads((await live.receive(timeout=2)).data)
                kinds.append(message["type"])
            assert 0.5 < time.monotonic() - begin < 2.5  # five a second
            assert message["pulse"]["true"] == 63 and "cameras" in kinds
            for text in ("72", "hide", "scale 0.8"):
                assert await reply(live, json.dumps({"do": "target", "value": text})) is None
                assert site.control.target == text
            assert await reply(live, '{"do": "pause", "value": true}') is None
            assert site.control.state is State.PAUSED
            assert await reply(live, json.dumps({"do": "camera", "value": CAMERAS[1]})) is None
            assert site.control.camera == CAMERAS[1]
            assert "not there" in (await reply(live, '{"do": "camera", "value": "none"}') or "")
            assert "out of range" in (await reply(live, '{"do": "target", "value": "999"}') or "")

    run(scene)


def test_malformed_messages_get_an_error_and_the_page_stays(site: Site) -> None:
    async def scene() -> None:
        async with site.live() as live:
            for text in (
                "",
                "{",
                "null",
                "[]",
                '{"do": 1}',
                '{"do": "shell"}',
                "[" * 1000,
                '{"do":"pause"}',
                "\0",
            ):
                assert await reply(live, text)
            await live.send_bytes(b"\xff\x00")
            assert await reply(live, '{"do": "pause", "value": false}')  # the answer to the bytes
            assert await reply(live, '{"do": "pause", "value": false}') is None

    run(scene)
    assert site.control.calls == [("pause", False)] * 2


def test_oversize_message_ends_only_its_own_connection(site: Site) -> None:
    async def scene() -> None:
        async with site.live() as other, site.live() as live:
            await live.send_str("x" * (MAX_MESSAGE + 1))
            while (message := await live.receive(timeout=2)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
            assert live.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
            assert await reply(other, '{"do": "pause", "value": true}') is None

    run(scene)


def test_at_most_so_many_pages(site: Site) -> None:
    async def scene() -> None:
        headers = {**site.cookie(), "Origin": site.origin}
        async with aiohttp.ClientSession() as session:
            address = f"{site.origin}/live"
            pages = [await session.ws_connect(address, headers=headers) for _ in range(MAX_CLIENTS)]
            with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
                await session.ws_connect(address, headers=headers)
            await pages.pop().close()
            await (await session.ws_connect(address, headers=headers)).close()
            for page in pages:
                await page.close()

    run(scene)


def open_stream(site: Site, side: str, buffer: int | None = None) -> socket.socket:
    stream = socket.socket()
    if buffer is not None:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    stream.settimeout(3)
    stream.connect(("127.0.0.1", site.port))
    lines = (
        f"GET /preview/{side} HTTP/1.1",
        f"Host: 127.0.0.1:{site.port}",
        f"Cookie: {site.cookie()['Cookie']}",
    )
    stream.sendall("\r\n".join((*lines, "", "")).encode())
    return stream


def read_pictures(stream: socket.socket, count: int) -> list[np.ndarray]:
    data = b""
    while data.count(b"\r\n--frame\r\n") < count + 1:  # the first one opens the stream
        data += stream.recv(65536)
    parts = re.findall(rb"Content-Length: (\d+)\r\n\r\n", data)
    pictures = []
    for length in parts[:count]:
        start = data.index(b"\r\n\r\n", data.index(b"Content-Length: " + length)) + 4
        picture = cv2.imdecode(np.frombuffer(data[start : start + int(length)], np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        pictures.append(picture)
        data = data[start + int(length) :]
    return pictures


def test_previews_are_the_frames_before_and_after(site: Site) -> None:
    site.control.state, site.control.reason = State.SHIELDED, "face lost"
    with open_stream(site, "before") as before, open_stream(site, "after") as after:
        own, card = read_pictures(before, 1)[0], read_pictures(after, 1)[0]
    assert own.shape == card.shape == (360, 640, 3)
    assert own.std() > 30 and card.std() < 15  # a face; a flat card with a line of text
    assert abs(int(card[5, 5, 0]) - 93) < 4  # luma 96 of 16..235 is grey 93


def test_pictures_are_made_only_while_somebody_watches(site: Site) -> None:
    assert site.control.previews == 0
    with open_stream(site, "before") as stream:
        read_pictures(stream, 2)
        begin, count = time.monotonic(), site.control.previews
        read_pictures(stream, 5)
        assert site.control.previews - count <= 12 * (time.monotonic() - begin) + 2
    time.sleep(0.25)
    rest = site.control.previews
    time.sleep(0.25)
    assert site.control.previews == rest


def test_a_slow_reader_delays_nobody(site: Site) -> None:
    with open_stream(site, "before", buffer=4096) as slow, open_stream(site, "before") as quick:
        slow.recv(100)
        begin = time.monotonic()
        read_pictures(quick, 10)
        assert time.monotonic() - begin < 2.5


def test_small_jpeg_keeps_shape_and_colour() -> None:
    planes = [
        np.full(shape, level, np.uint8)
        for shape, level in (((721, 1281), 120), ((361, 641), 100), ((361, 641), 160))
    ]
    frame = Frame(planes[0], planes[1], planes[2], 0, FakeFilter().last_frame().time_base, ColorSpec())
    picture = cv2.imdecode(np.frombuffer(jpeg_of(frame), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.shape == (360, 640, 3)
    # BT.601, limited range: R = 1.164 (Y - 16) + 1.596 (V - 128), B = 1.164 (Y - 16) + 2.018 (U - 128)
    np.testing.assert_allclose(picture[180, 320, [0, 2]], [64.5, 172.2], atol=3)


def test_close_is_quick_with_pages_and_streams_open_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    server = WebServer(FakeFilter(), 0)
    site = Site(FakeFilter(), server.start())

    async def scene() -> None:
        async with site.live() as live:
            await live.receive(timeout=2)
            with open_stream(site, "before") as one, open_stream(site, "after", buffer=4096) as two:
                read_pictures(one, 1)
                two.recv(10)
                begin = time.monotonic()
                await asyncio.to_thread(server.close)
                assert time.monotonic() - begin < 1
                server.close()

    run(scene)
    deadline = time.monotonic() + 2
    while (
        left := {t for t in set(threading.enumerate()) - before if t.name.startswith("web")}
    ) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left
    with socket.create_server(("127.0.0.1", site.port)):
        pass  # the port is free again


def test_close_does_not_wait_for_a_command_that_hangs() -> None:
    release = threading.Event()

    class Hanging(FakeFilter):
        def pause(self, on: bool) -> None:
            self.calls.append(("pause", on))
            release.wait(5)

    control = Hanging()
    server = WebServer(control, 0)
    site = Site(control, server.start())

    async def scene() -> None:
        async with site.live() as live:
            await live.send_str('{"do": "pause", "value": true}')
            while not control.calls:
                await asyncio.sleep(0.01)
            begin = time.monotonic()
            await asyncio.to_thread(server.close)
            assert time.monotonic() - begin < 1

    try:
        run(scene)
    finally:
        release.set()


def test_logs_hold_no_token_and_no_heart_rate(site: Site) -> None:
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    root, keep = logging.getLogger(), Keep()
    level = root.level
    root.addHandler(keep)
    root.setLevel(logging.INFO)

    async def scene() -> None:
        async with site.live() as live:
            await live.receive(timeout=2)
            assert await reply(live, '{"do": "target", "value": "137"}') is None

    try:
        run(scene)
    finally:
        root.removeHandler(keep)
        root.setLevel(level)
    assert not [line for line in lines if site.token in line or "137" in line or "63" in line]


def test_a_filter_that_fails_closes_the_page_but_not_the_server() -> None:
    class Failing(FakeFilter):
        broken = True

        def status(self) -> Status:
            if self.broken:
                raise RuntimeError("a fault of the filter")
            return super().status()

    control = Failing()
    server = WebServer(control, 0)
    site = Site(control, server.start())

    async def scene() -> None:
        async with site.live() as live:
            while (await live.receive(timeout=2)).type is aiohttp.WSMsgType.TEXT:
                pass
        control.broken = False
        async with site.live() as live:
            await live.receive(timeout=2)
            assert json.loads((await live.receive(timeout=2)).data)["type"] == "status"

    try:
        run(scene)
    finally:
        server.close()
