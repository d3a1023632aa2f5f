"""Media without media, for tests of what the relay says over HTTP; the end-to-end tests use the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from streamfilter.relay.ports import Edit, MediaFacts, MediaState, Refusal

OFFER = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
m=video 9 UDP/TLS/RTP/SAVPF 96
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuv
a=fingerprint:sha-256 DIGEST
a=setup:actpass
c=IN IP4 0.0.0.0
a=rtpmap:96 VP8/90000
a=mid:0
""".replace("\n", "\r\n").replace("DIGEST", ":".join(["AB"] * 32))
ANSWER = "v=0\r\ns=answer\r\n"


class FakeConnection:
    """Answers every offer at once; ``hold`` keeps the answer back, ``refusal`` refuses it."""

    def __init__(self, media: FakeMedia) -> None:
        self._media = media
        self._told: list[Callable[[], None]] = []
        self.state = MediaState.CONNECTING
        self.reason: str | None = None
        self.closed = self.breaks = False  # ``breaks``: its close fails

    async def negotiate(self, offer: str) -> str:
        self._media.offers.append(offer)
        if self._media.hold is not None:
            await self._media.hold.wait()
        if self._media.refusal is not None:
            raise self._media.refusal
        return ANSWER

    def facts(self) -> MediaFacts:
        return MediaFacts(self.state, self.reason, fps_out=15.04, latency_p50=7.26, size=(640, 360), frames=9)

    def on_end(self, told: Callable[[], None]) -> None:
        self._told.append(told)

    async def close(self) -> None:
        if self._media.stuck:
            await asyncio.sleep(60.0)
        if self.breaks:
            raise RuntimeError("cannot close")
        self.end()

    def end(self) -> None:
        if not self.closed:
            self.closed, self.state = True, MediaState.ENDED
            for told in self._told:
                told()


class FakePatient(FakeConnection):
    def __init__(self, media: FakeMedia, edit: Edit) -> None:
        super().__init__(media)
        self.edits = [edit]
        self.paused = False

    def set_edit(self, edit: Edit) -> None:
        self.edits.append(edit)

    def pause(self, paused: bool) -> None:
        self.paused = paused


class FakeBroadcast:
    """``replaces``: ends the former publisher as soon as the next one is asked for, which a Media may do."""

    def __init__(self, media: FakeMedia) -> None:
        self._media = media
        self.patients: list[FakePatient] = []
        self.viewers: list[FakeConnection] = []
        self.closed = False

    def publisher(self, edit: Edit) -> FakePatient:
        if self._media.full:
            raise Refusal(503, "This machine cannot filter one more in real time.", 5.0)
        if self._media.replaces and self.patients:
            self.patients[-1].end()
        self.patients.append(FakePatient(self._media, edit))
        return self.patients[-1]

    def viewer(self) -> FakeConnection:
        self.viewers.append(FakeConnection(self._media))
        return self.viewers[-1]

    async def close(self) -> None:
        self.closed = True


class FakeMedia:
    def __init__(self) -> None:
        self.broadcasts: dict[str, FakeBroadcast] = {}
        self.offers: list[str] = []
        self.hold: asyncio.Event | None = None
        self.refusal: Refusal | Exception | None = None
        self.full = self.replaces = self.stuck = self.closed = False

    def broadcast(self, room: str) -> FakeBroadcast:
        self.broadcasts[room] = FakeBroadcast(self)
        return self.broadcasts[room]

    def load(self) -> Mapping[str, float]:
        return {"publishers": 0.0, "viewers": 0.0, "share": 0.25}

    async def close(self) -> None:
        self.closed = True
