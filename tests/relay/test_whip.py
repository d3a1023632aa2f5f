"""WHIP: what a publisher is answered, request by request (RFC 9725)."""

from __future__ import annotations

import asyncio
import logging
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from streamfilter.relay.ports import Edit, IceServer, MediaState, Refusal, Role
from tests.relay.fake_media import ANSWER, OFFER
from tests.relay.relay_bench import problem_of, relay, run, state_where


def test_an_offer_is_answered_and_its_session_ended_by_delete(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            token = bench.token()
            response = await bench.offer("/whip/ward?hr=62.5", token)
            assert response.status == 201 and await response.text() == ANSWER
            assert response.content_type == "application/sdp"
            assert "ETag" not in response.headers and "Link" not in response.headers
            location = response.headers["Location"]
            assert location.startswith("/whip/ward/") and bench.media.offers == [OFFER]
            patient = bench.ward().patients[0]
            assert patient.edits == [Edit(62.5)] and not patient.closed
            assert await bench.delete(location, token) == 200 and patient.closed
            assert await bench.delete(location, token) == 404
            assert [line["event"] for line in bench.audited()] == ["joined", "left"]
            first = bench.audited()[0]
            assert first["edit"]["bpm"] == 62.5 and first["artifact"] == "made-for-tests"
            assert first["who"] == bench.tokens.check(token).id and location.endswith(first["session"])

    run(body())


@pytest.mark.parametrize(
    ("query", "edit"),
    [("", Edit()), ("?hr=hide", Edit(None)), ("?hr=40", Edit(40.0)), ("?hr=180", Edit(180.0))],
)
def test_the_wanted_heart_rate_stands_in_the_address(tmp_path: Path, query: str, edit: Edit) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            assert (await bench.offer("/whip/ward" + query, bench.token())).status == 201
            assert bench.ward().patients[0].edits[0] == edit

    run(body())


@pytest.mark.parametrize("rate", ["39", "180.5", "nan", "7e1", "", "٧٠", "70&hr=80", "true"])
def test_no_heart_rate_is_no_offer(tmp_path: Path, rate: str) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            response = await bench.offer(f"/whip/ward?hr={rate}", bench.token())
            assert (await problem_of(response))[0] == 400 and not bench.media.offers

    run(body())


def test_who_may_not_publish(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            old = bench.token()
            bench.clock.ahead = 61.0
            for status, token in (
                (401, None),
                (401, "nonsense"),
                (401, old),
                (401, bench.token()[:-3] + "AAA"),
                (403, bench.token(room="other")),
                (403, bench.token(Role.VIEWER)),
            ):
                response = await bench.offer(token=token)
                assert (await problem_of(response))[0] == status
                assert ("WWW-Authenticate" in response.headers) == (status == 401)
            basic = await bench.offer(Authorization=f"Basic {bench.token()}")
            assert (await problem_of(basic))[0] == 401
            assert not bench.media.broadcasts and not (tmp_path / "audit").exists()

    run(body())


def test_what_is_no_offer(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            token = bench.token()

            async def status(body: str | bytes, **headers: str) -> int:
                return (await problem_of(await bench.offer(token=token, body=body, **headers)))[0]

            assert await status(OFFER, Content_Type="text/plain") == 415
            assert await status(OFFER, Content_Encoding="gzip") == 415
            assert await status("hello") == 400
            assert await status("") == 400
            assert await status(OFFER.encode() + b"a=x:\xff\r\n") == 400
            assert await status(OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 4) == 413
            assert await status(OFFER + "a=x\r\n" * 20_000) == 413
            assert not bench.media.offers
            bench.media.refusal = Refusal(406, "No codec in common.")
            assert await status(OFFER) == 406 and bench.ward().patients[0].closed

    run(body())


def test_a_body_of_unknown_length_is_cut_off(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            headers = {"Authorization": f"Bearer {bench.token()}", "Content-Type": "application/sdp"}

            async def parts() -> Any:
                for _ in range(70):
                    yield b"a" * 1024

            response = await bench.client.post(bench.url + "/whip/ward", data=parts(), headers=headers)
            assert (await problem_of(response))[0] == 413

    run(body())


def test_methods_of_the_resources(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            token = bench.token()
            session = (await bench.offer(token=token)).headers["Location"]
            for path in ("/whip/ward", session):
                for method in ("PUT", "PATCH"):
                    response = await bench.client.request(method, bench.url + path)
                    assert (await problem_of(response))[0] == 405 and response.headers["Allow"]
                for method in ("GET", "HEAD"):
                    got = await bench.client.request(method, bench.url + path)
                    assert got.status == 204 and await got.read() == b""
                options = await bench.client.options(bench.url + path)
                assert options.status == 200 and options.headers["Accept-Post"] == "application/sdp"
            assert (await bench.client.delete(bench.url + "/whip/ward")).status == 405
            assert (await problem_of(await bench.client.post(bench.url + "/whip/a%2Fb")))[0] == 404
            assert (await problem_of(await bench.client.post(bench.url + "/whip/" + "a" * 65)))[0] == 404

    run(body())


def test_ice_servers_are_told_to_those_with_a_token(tmp_path: Path) -> None:
    servers = (IceServer("stun:turn.example.org"), IceServer("turn:turn.example.org:3478?transport=udp"))

    async def body() -> None:
        async with relay(
            tmp_path, ice_servers=servers, turn_secret=b"a turn secret of 32 bytes at least"
        ) as bench:
            headers = {"Authorization": f"Bearer {bench.token()}"}
            before = await bench.client.options(bench.url + "/whip/ward", headers=headers)
            after = await bench.offer(token=bench.token())
            for response in (before, after):
                stun, turn = response.headers.getall("Link")
                assert stun == '<stun:turn.example.org>; rel="ice-server"'
                assert turn.startswith(
                    '<turn:turn.example.org:3478?transport=udp>; rel="ice-server"; username="'
                )
                assert "credential=" in turn
            assert "Link" not in (await bench.client.options(bench.url + "/whip/ward")).headers
            wrong = {"Authorization": "Bearer x"}
            refused = await bench.client.options(bench.url + "/whip/ward", headers=wrong)
            assert (await problem_of(refused))[0] == 401 and "Link" not in refused.headers

    run(body())


def test_other_sites_pages_need_to_be_listed(tmp_path: Path) -> None:
    clinic, stranger = "https://clinic.example.org", "https://evil.example.org"

    async def body() -> None:
        async with relay(tmp_path, origins=(clinic,)) as bench:
            asking = {"Access-Control-Request-Method": "POST"}
            preflight = await bench.client.options(
                bench.url + "/whip/ward", headers=asking | {"Origin": clinic}
            )
            assert preflight.status == 200
            assert preflight.headers["Access-Control-Allow-Origin"] == clinic
            assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
            assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
            posted = await bench.offer(token=bench.token(), Origin=clinic)
            assert posted.status == 201 and posted.headers["Access-Control-Allow-Origin"] == clinic
            assert "Location" in posted.headers["Access-Control-Expose-Headers"]
            refused = await bench.offer(token="x", Origin=clinic)  # readable by the page, too
            assert refused.status == 401 and refused.headers["Access-Control-Allow-Origin"] == clinic
            for origin in (stranger, "null", clinic + ".evil.example.org", "http://clinic.example.org"):
                response = await bench.offer(token=bench.token(), Origin=origin)
                assert (await problem_of(response))[0] == 403
                assert not [name for name in response.headers if name.startswith("Access-Control")]
            assert (await bench.offer(token=bench.token(), Origin=bench.url)).status == 201
            for path in ("/patient", "/readyz", "/static/js/whip.js"):
                page = await bench.client.get(bench.url + path, headers={"Origin": clinic})
                assert "Access-Control-Allow-Origin" not in page.headers

    run(body())


def test_a_session_belongs_to_its_token(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            token = bench.token()
            location = (await bench.offer(token=token)).headers["Location"]
            assert await bench.delete(location, bench.token()) == 403
            assert await bench.delete(location, bench.token(Role.VIEWER)) == 403
            assert await bench.delete(location.replace("whip", "whep"), bench.token(Role.VIEWER)) == 404
            assert await bench.delete(location, "x") == 401
            assert await bench.delete("/whip/ward/none", token) == 404
            assert await bench.delete("/whip/other/none", bench.token(room="other")) == 404
            assert not bench.ward().patients[0].closed

    run(body())


@pytest.mark.parametrize("replaces", [False, True])
def test_a_second_patient_takes_over(tmp_path: Path, replaces: bool) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            bench.media.replaces = replaces
            first, second = bench.token(), bench.token()
            was = (await bench.offer("/whip/ward?hr=55", first)).headers["Location"]
            told = await bench.socket(first)
            assert (await state_where(told))["patient"]["session"] == was.rsplit("/")[-1]
            now = (await bench.offer("/whip/ward?hr=66", second)).headers["Location"]
            former, newcomer = bench.ward().patients
            assert former.closed and not newcomer.closed and newcomer.edits[0] == Edit(66.0)
            left = next(line for line in bench.audited() if line["event"] == "left")
            assert left["edit"]["bpm"] == 55.0 and left["session"] == was.rsplit("/")[-1]
            async with asyncio.timeout(2.0):
                async for message in told:
                    if message.json()["type"] == "closing":
                        assert message.json()["reconnect_in"] is None
            assert told.close_code == 1001
            assert await bench.delete(was, first) == 404 and await bench.delete(now, second) == 200
            assert newcomer.closed and len(bench.server.rooms) == 1

    run(body())


def test_a_second_tab_of_the_same_link_is_told_by_the_state(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            token = bench.token()
            await bench.offer(token=token)
            socket = await bench.socket(token)
            await state_where(socket)
            now = (await bench.offer(token=token)).headers["Location"].rsplit("/")[-1]
            async with asyncio.timeout(2.0):
                while (await state_where(socket))["patient"]["session"] != now:
                    pass
            assert not socket.closed

    run(body())


def test_two_offers_at_once_leave_one_patient(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            responses = await asyncio.gather(*(bench.offer(token=bench.token()) for _ in range(5)))
            assert [response.status for response in responses] == [201] * 5
            assert [patient.closed for patient in bench.ward().patients] == [True] * 4 + [False]
            assert bench.server.rooms.sessions == 1

    run(body())


def test_a_refused_newcomer_leaves_the_patient_alone(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            await bench.offer("/whip/ward?hr=55", bench.token())
            bench.media.refusal = Refusal(400, "The offer has no video.")
            assert (await bench.offer("/whip/ward?hr=90", bench.token())).status == 400
            assert [line["event"] for line in bench.audited()] == ["joined", "refused"]
            assert bench.audited()[1]["edit"]["bpm"] == 90.0 and not bench.audited()[1]["session"]
            kept, refused = bench.ward().patients
            assert not kept.closed and refused.closed and kept.edits == [Edit(55.0)]
            room = bench.server.rooms.find("ward")
            assert room is not None and room.edit == Edit(55.0)

    run(body())


def test_what_the_machine_cannot_do_is_refused_with_a_time(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path, max_rooms=1, max_sessions_per_address=2) as bench:
            bench.media.full = True
            response = await bench.offer(token=bench.token())
            status, title = await problem_of(response)
            assert status == 503 and "real time" in title and response.headers["Retry-After"] == "5"
            bench.media.full = False
            other = await bench.offer("/whip/other", bench.token(room="other"))
            assert (await problem_of(other))[0] == 503 and int(other.headers["Retry-After"]) >= 1
            assert (await bench.offer(token=bench.token())).status == 201
            assert (await bench.offer("/whep/ward", bench.token(Role.VIEWER))).status == 201
            third = await bench.offer("/whep/ward", bench.token(Role.VIEWER))
            assert (await problem_of(third))[0] == 429

    run(body())


def test_too_many_requests(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path, per_minute=3) as bench:
            for _ in range(3):
                assert (await bench.offer(token="x")).status == 401
            response = await bench.offer(token=bench.token())
            assert (await problem_of(response))[0] == 429 and int(response.headers["Retry-After"]) >= 1
            assert (
                'physio_relay_refused_total{reason="rate"} 1.0'
                in await (await bench.client.get(bench.admin + "/metrics")).text()
            )

    run(body())


def test_whoever_goes_away_while_an_offer_is_answered_leaves_nothing(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            bench.media.hold = asyncio.Event()
            asking = asyncio.create_task(bench.offer(token=bench.token()))
            while not bench.media.offers:
                await asyncio.sleep(0.01)
            asking.cancel()
            async with asyncio.timeout(2.0):
                while not bench.ward().patients[0].closed:
                    await asyncio.sleep(0.01)
            assert bench.server.rooms.sessions == 0 and not (tmp_path / "audit").exists()

    run(body())


def test_a_fault_ends_one_request_and_says_nothing_of_it(tmp_path: Path) -> None:
    logged = StringIO()
    handler = logging.StreamHandler(logged)
    logging.getLogger().addHandler(handler)

    async def body() -> None:
        async with relay(tmp_path) as bench:
            bench.media.refusal = ValueError("v=0 candidate 192.0.2.7")
            status, title = await problem_of(await bench.offer("/whip/ward?hr=77", bench.token()))
            assert status == 500 and "192.0.2.7" not in title
            assert bench.ward().patients[0].closed and bench.server.rooms.sessions == 0
            bench.media.refusal = None
            assert (await bench.offer(token=bench.token())).status == 201

    try:
        run(body())
    finally:
        logging.getLogger().removeHandler(handler)
    assert "ValueError in negotiate" in logged.getvalue()
    for secret in ("192.0.2.7", "127.0.0.1", "v=0", "77", "Bearer", "eyJ"):
        assert secret not in logged.getvalue()


def test_what_leaves_no_trace_is_not_begun(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            (tmp_path / "audit").mkdir()
            assert (await problem_of(await bench.offer(token=bench.token())))[0] == 503
            assert bench.ward().patients[0].closed and bench.server.rooms.sessions == 0

    run(body())


def test_an_ended_connection_is_forgotten(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            token = bench.token()
            location = (await bench.offer(token=token)).headers["Location"]
            patient = bench.ward().patients[0]
            assert patient.state is MediaState.CONNECTING
            patient.end()
            assert bench.server.rooms.sessions == 0 and await bench.delete(location, token) == 404
            assert [line["event"] for line in bench.audited()] == ["joined", "left"]

    run(body())
