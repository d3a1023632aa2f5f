"""WHEP: what a viewer is answered."""

from __future__ import annotations

from pathlib import Path

from streamfilter.relay.ports import Refusal, Role
from tests.relay.fake_media import ANSWER
from tests.relay.relay_bench import problem_of, relay, run


def test_a_viewer_comes_before_the_patient_and_goes_by_delete(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            token = bench.token(Role.VIEWER)
            response = await bench.offer("/whep/ward", token)
            assert response.status == 201 and await response.text() == ANSWER
            location = response.headers["Location"]
            assert location.startswith("/whep/ward/")
            assert await bench.delete(location, bench.token(Role.VIEWER)) == 403
            assert await bench.delete(location, token) == 200
            assert bench.ward().viewers[0].closed
            assert [(line["event"], line["role"]) for line in bench.audited()] == [
                ("joined", "viewer"),
                ("left", "viewer"),
            ]

    run(body())


def test_a_patient_is_no_viewer(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            for status, token in (
                (403, bench.token()),
                (403, bench.token(Role.VIEWER, "other")),
                (401, None),
            ):
                assert (await problem_of(await bench.offer("/whep/ward", token)))[0] == status

    run(body())


def test_a_full_room(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path, max_viewers_per_room=2) as bench:
            token = bench.token(Role.VIEWER)
            first = await bench.offer("/whep/ward", token)
            assert (await bench.offer("/whep/ward", token)).status == 201
            third = await bench.offer("/whep/ward", token)
            assert (await problem_of(third))[0] == 503 and "Retry-After" in third.headers
            await bench.delete(first.headers["Location"], token)
            assert (await bench.offer("/whep/ward", token)).status == 201

    run(body())


def test_a_refused_viewer_takes_no_place(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path, max_viewers_per_room=1) as bench:
            bench.media.refusal = Refusal(406, "No codec in common.")
            assert (await bench.offer("/whep/ward", bench.token(Role.VIEWER))).status == 406
            assert bench.ward().viewers[0].closed
            bench.media.refusal = None
            assert (await bench.offer("/whep/ward", bench.token(Role.VIEWER))).status == 201

    run(body())


def test_viewers_stay_while_patients_come_and_go(tmp_path: Path) -> None:
    async def body() -> None:
        async with relay(tmp_path) as bench:
            await bench.offer("/whep/ward", bench.token(Role.VIEWER))
            token = bench.token()
            for _ in range(2):
                location = (await bench.offer(token=token)).headers["Location"]
                await bench.delete(location, token)
            assert not bench.ward().viewers[0].closed and len(bench.media.broadcasts) == 1

    run(body())
