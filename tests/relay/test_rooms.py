"""Rooms over time: made, kept, freed, and what becomes of sessions that never came to life."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from streamfilter.relay.audit import AuditLog
from streamfilter.relay.ports import Edit, MediaState, Refusal, Role
from streamfilter.relay.rooms import RoomLimits, Rooms
from streamfilter.relay.security.tokens import Grant
from streamfilter.relay.session import Goodbye
from tests.relay.fake_media import OFFER, FakeMedia
from tests.relay.relay_bench import run

PATIENT = Grant("ward", Role.PATIENT, "patient-1", 0.0)
VIEWER = Grant("ward", Role.VIEWER, "viewer-1", 0.0)


class Scene:
    def __init__(self, folder: Path, limits: RoomLimits | None = None) -> None:
        self.now, self.media = 100.0, FakeMedia()
        self.heard = 0
        self.rooms = Rooms(
            self.media,
            limits or RoomLimits(empty_seconds=60.0, connect_seconds=30.0),
            AuditLog(folder / "audit"),
            "a@sha256:0",
            leaving=self.leaving,
            clock=lambda: self.now,
        )

    def leaving(self) -> None:
        self.heard += len(self.rooms.facts())

    async def after(self, seconds: float) -> None:
        self.now += seconds
        await self.rooms.sweep()


@pytest.fixture
def scene(tmp_path: Path) -> Callable[..., Scene]:
    return lambda limits=None: Scene(tmp_path, limits)


def test_an_empty_room_is_kept_for_a_while(scene: Callable[..., Scene]) -> None:
    async def body() -> None:
        it = scene()
        id, _ = await it.rooms.publish(PATIENT, "a", OFFER, Edit(90.0))
        it.media.broadcasts["ward"].patients[0].state = MediaState.LIVE
        await it.after(3600.0)
        assert it.rooms.sessions == 1
        await it.rooms.end(PATIENT, id)
        await it.after(59.0)
        broadcast = it.media.broadcasts["ward"]
        assert len(it.rooms) == 1 and not broadcast.closed
        await it.after(2.0)
        assert len(it.rooms) == 0 and broadcast.closed
        assert it.rooms.room(PATIENT).edit == Edit()  # a new one, that remembers nothing

    run(body())


def test_a_room_that_only_a_page_looks_at_is_kept(scene: Callable[..., Scene]) -> None:
    async def body() -> None:
        it = scene()
        with it.rooms.room(VIEWER).listen(VIEWER):
            await it.after(600.0)
            assert len(it.rooms) == 1
        await it.after(61.0)
        assert len(it.rooms) == 0

    run(body())


def test_a_session_that_never_comes_to_life_is_ended(scene: Callable[..., Scene]) -> None:
    async def body() -> None:
        it = scene()
        await it.rooms.publish(PATIENT, "a", OFFER, None)
        await it.rooms.view(VIEWER, "a", OFFER)
        broadcast = it.media.broadcasts["ward"]
        await it.after(29.0)
        assert it.rooms.sessions == 2
        broadcast.viewers[0].state = MediaState.LIVE
        await it.after(2.0)
        assert it.rooms.sessions == 1 and broadcast.patients[0].closed and not broadcast.viewers[0].closed
        broadcast.viewers[0].state = MediaState.ENDED  # and nobody was told
        await it.after(1.0)
        assert it.rooms.sessions == 0

    run(body())


def test_figures_of_a_leaving_session_are_still_to_be_had(scene: Callable[..., Scene]) -> None:
    async def body() -> None:
        it = scene()
        id, _ = await it.rooms.publish(PATIENT, "a", OFFER, None)
        await it.rooms.end(PATIENT, id)
        assert it.heard == 1 and not it.rooms.facts()

    run(body())


def test_limits(scene: Callable[..., Scene]) -> None:
    async def body() -> None:
        it = scene(RoomLimits(max_rooms=2, max_viewers_per_room=9, max_sessions_per_address=2))
        await it.rooms.view(VIEWER, "a", OFFER)
        id, _ = await it.rooms.view(VIEWER, "a", OFFER)
        with pytest.raises(Refusal) as refused:
            await it.rooms.view(VIEWER, "a", OFFER)
        assert refused.value.status == 429
        await it.rooms.view(VIEWER, "b", OFFER)
        await it.rooms.end(VIEWER, id)
        await it.rooms.view(VIEWER, "a", OFFER)
        it.rooms.room(Grant("two", Role.VIEWER, "v", 0.0))
        with pytest.raises(Refusal) as refused:
            it.rooms.room(Grant("three", Role.VIEWER, "v", 0.0))
        assert refused.value.status == 503

    run(body())


def test_closed_rooms_stay_closed(scene: Callable[..., Scene]) -> None:
    async def body() -> None:
        it = scene()
        room = it.rooms.room(PATIENT)
        await room.publish(PATIENT, "a", 0.0, OFFER, None)
        with room.listen(PATIENT) as listener:
            await it.rooms.close(Goodbye("It is over.", 3.0))
            await it.rooms.close(Goodbye("Twice.", None))
            assert listener.goodbye == Goodbye("It is over.", 3.0)
        assert it.media.broadcasts["ward"].patients[0].closed and it.media.broadcasts["ward"].closed
        for again in (room.publish(PATIENT, "a", 0.0, OFFER, None), it.rooms.view(VIEWER, "a", OFFER)):
            with pytest.raises(Refusal) as refused:
                await again
            assert refused.value.status == 503

    run(body())


def test_the_last_choice_counts_however_it_comes(scene: Callable[..., Scene]) -> None:
    async def body() -> None:
        it = scene()
        room = it.rooms.room(PATIENT)
        room.set_edit(PATIENT, Edit(85.0))
        room.pause(True)
        await room.publish(PATIENT, "a", 0.0, OFFER, None)
        patient = it.media.broadcasts["ward"].patients[0]
        assert patient.edits == [Edit(85.0)] and patient.paused
        room.pause(False)
        assert not patient.paused

    run(body())


def test_one_that_cannot_be_closed_keeps_nobody(scene: Callable[..., Scene]) -> None:
    async def body() -> None:
        it = scene()
        await it.rooms.publish(PATIENT, "a", OFFER, None)
        await it.rooms.view(VIEWER, "a", OFFER)
        broadcast = it.media.broadcasts["ward"]
        broadcast.patients[0].breaks = True
        await it.rooms.close(Goodbye("It is over.", None))
        assert broadcast.viewers[0].closed and broadcast.closed and it.rooms.sessions == 0

    run(body())
