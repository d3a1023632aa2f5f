"""The two listeners: pages, headers, the operator's side, and clients that say nothing."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientError, web

from streamfilter.errors import UsageError
from streamfilter.relay.listening import Listening
from streamfilter.relay.ports import Role
from tests.relay.relay_bench import problem_of, relay, run
from tests.relay.test_tls import certificate


def test_pages_come_with_strict_headers(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            for page in ("/patient", "/viewer"):
                response = await bench.client.get(bench.url + page)
                assert response.status == 200 and response.content_type == "text/html"
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy and "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy and "connect-src 'self'" in policy
                permissions = response.headers["Permissions-Policy"].split(", ")
                allowed = "(self)" if page == "/patient" else "()"
                assert f"camera={allowed}" in permissions and f"microphone={allowed}" in permissions
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Referrer-Policy"] == "no-referrer"
                assert response.headers["X-Frame-Options"] == "DENY"
                text = await response.text()
                assert "<style" not in text and "onclick=" not in text
                tag = response.headers["ETag"]
                again = await bench.client.get(bench.url + page, headers={"If-None-Match": tag})
                assert again.status == 304 and await again.read() == b""
            script = await bench.client.get(bench.url + "/static/js/whip.js")
            assert script.content_type == "text/javascript"
            style = await bench.client.get(bench.url + "/static/shared/css/base.css")
            assert style.status == 200 and style.content_type == "text/css"
            font = await bench.client.get(bench.url + "/static/shared/vendor/hanken-grotesk.woff2")
            assert font.headers["Content-Type"] == "font/woff2"
            for path in ("/static/../server.py", "/static/%2e%2e/server.py", "/static/", "/", "/rooms/ward"):
                assert (await problem_of(await bench.client.get(bench.url + path)))[0] == 404

    run(body())


def test_public_address_and_transport_security(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path, public_url="https://relay.example.org", behind_proxy=True) as bench:
            page = await bench.client.get(bench.url + "/viewer")
            assert "connect-src 'self' wss://relay.example.org;" in page.headers["Content-Security-Policy"]
            assert page.headers["Strict-Transport-Security"].startswith("max-age=")
            own = await bench.offer(token=bench.token(), Origin="https://relay.example.org")
            assert own.status == 201
            assert bench.server.link_base == "https://relay.example.org"

    run(body())


def test_behind_a_proxy_its_client_is_counted(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path, per_minute=1, behind_proxy=True) as bench:
            for address in ("192.0.2.1", "192.0.2.2"):
                response = await bench.offer(token="x", X_Forwarded_For=f"198.51.100.9, {address}")
                assert response.status == 401
            assert (await bench.offer(token="x", X_Forwarded_For="203.0.113.5, 192.0.2.1")).status == 429

    run(body())


def test_the_operators_side_is_not_for_the_public_nor_for_pages(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            for method, path in (("GET", "/metrics"), ("POST", "/drain"), ("POST", "/rooms")):
                response = await bench.client.request(method, bench.url + path)
                assert (await problem_of(response))[0] == 404
                for header in ({"Origin": bench.admin}, {"Sec-Fetch-Site": "cross-site"}):
                    page = await bench.client.request(method, bench.admin + path, headers=header)
                    assert (await problem_of(page))[0] == 403
            assert (await bench.client.get(bench.admin + "/patient")).status == 404
            assert (await bench.client.get(bench.url + "/readyz")).status == 200

    run(body())


def test_the_operator_makes_rooms_and_reads_figures(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            made = await bench.client.post(bench.admin + "/rooms", json={"room": "ward"})
            links = await made.json()
            assert made.status == 201 and links["room"] == "ward"
            assert abs(links["expires"] - time.time() - 3600) < 3
            patient, viewer = urlsplit(links["patient_link"]), urlsplit(links["viewer_link"])
            assert f"{patient.scheme}://{patient.netloc}" == bench.url and patient.path == "/patient"
            mine, shared = parse_qs(patient.fragment), parse_qs(viewer.fragment)
            assert bench.tokens.check(mine["t"][0]).role is Role.PATIENT
            assert bench.tokens.check(shared["t"][0]).role is Role.VIEWER and mine["v"] == shared["t"]
            assert (await bench.offer(token=mine["t"][0])).status == 201
            invented = await (await bench.client.post(bench.admin + "/rooms")).json()
            assert invented["room"] not in ("ward", "")
            for wrong in ('{"room": "a b"}', '{"room": 7}', "[]", "{"):
                refused = await bench.client.post(
                    bench.admin + "/rooms", data=wrong, headers={"Content-Type": "application/json"}
                )
                assert (await problem_of(refused))[0] == 400
            text = await bench.client.post(bench.admin + "/rooms", data="{}")
            assert (await problem_of(text))[0] == 415
            long = await bench.client.post(bench.admin + "/rooms", json={"room": "a" * 5000})
            assert (await problem_of(long))[0] == 413
            ready = await (await bench.client.get(bench.admin + "/readyz")).json()
            assert (ready["rooms"], ready["sessions"], ready["load"]["share"]) == (1, 1, 0.25)
            metrics = await bench.client.get(bench.admin + "/metrics")
            text_of = await metrics.text()
            assert 'physio_relay_sessions{role="patient",state="connecting"} 1.0' in text_of
            assert "physio_relay_frames_total 9.0" in text_of and "ward" not in text_of

    run(body())


def test_taken_ports_and_bad_certificates_are_said_at_the_start(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            for name in ("port", "admin_port"):
                taken: dict[str, Any] = {name: bench.server.port}
                with pytest.raises(UsageError, match="cannot listen"):
                    async with relay(tmp_path, **taken):
                        pass
        (tmp_path / "no.pem").write_text("nothing")
        with pytest.raises(UsageError, match="tls_cert"):
            async with relay(tmp_path, tls_cert=tmp_path / "no.pem", tls_key=tmp_path / "no.pem"):
                pass

    run(body())


def test_a_connection_that_says_nothing_is_cut(tmp_path: Path) -> None:
    async def body() -> None:
        async def hello(request: web.Request) -> web.Response:
            return web.Response(text="hello")

        app = web.Application()
        app.add_routes([web.get("/", hello)])
        listening = Listening(app, head_seconds=0.3)
        port = await listening.start("127.0.0.1", 0)
        silent, _ = silent_pair = await asyncio.open_connection("127.0.0.1", port)
        slow, slow_writer = await asyncio.open_connection("127.0.0.1", port)
        good, good_writer = await asyncio.open_connection("127.0.0.1", port)
        slow_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        good_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for reader in (silent, slow):
            with suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(1), 2.0) == b""
        assert (await good.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        good_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await good.readuntil(b"hello")
        for writer in (silent_pair[1], slow_writer, good_writer):
            writer.close()
        await listening.stop()

    run(body())


def test_over_tls_everything_stays_there(tmp_path: Path) -> None:
    tls_cert, tls_key = certificate(tmp_path, "relay")
    trusting = ssl.create_default_context(cafile=str(tls_cert))

    async def body() -> None:
        async with relay(tmp_path, tls_cert=tls_cert, tls_key=tls_key) as bench:
            address = f"https://localhost:{bench.server.port}"
            page = await bench.client.get(address + "/patient", ssl=trusting)
            assert page.status == 200 and page.headers["Strict-Transport-Security"].startswith("max-age=")
            socket = await bench.client.ws_connect(
                address + "/rooms/ward/events", ssl=trusting, origin=address
            )
            await socket.send_json({"token": bench.token()})
            assert (await socket.receive_json())["type"] == "state"
            with pytest.raises(ClientError):
                await bench.client.get(bench.url + "/patient")
            assert bench.server.link_base.startswith("https://")

    run(body())


def test_plain_http_speaks_no_tls(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            with pytest.raises(ssl.SSLError):
                await asyncio.open_connection(
                    "127.0.0.1", bench.server.port, ssl=ssl.create_default_context()
                )
            page = await bench.client.get(bench.url + "/patient")
            assert page.status == 200 and "Strict-Transport-Security" not in page.headers

    run(body())
