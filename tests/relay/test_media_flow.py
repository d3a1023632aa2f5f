"""Publisher, lane and viewers, over real connections: what is not known to be edited is a card."""

from __future__ import annotations

import asyncio
import time
from statistics import median

import pytest

from streamfilter.relay.media import MediaSettings
from streamfilter.relay.ports import Edit, MediaState, Refusal
from tests.relay.media_peers import Camera, MarkFilter, Microphone, late_turns, relay, until


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_cards_first_then_the_edited_picture_and_never_the_cameras(codec: str) -> None:
    async def run() -> None:
        async with relay() as room:
            seen, viewer, _ = await room.view(codec=codec)
            await until(lambda: seen.last == "card")
            assert viewer.facts().state is MediaState.SHIELDED
            _, patient = await room.publish(Camera(), codec=codec)
            await until(lambda: seen.last == "edited")
            kinds = [kind for _, kind in seen.kinds]
            assert set(kinds[: kinds.index("edited")]) == {"card"}
            await until(lambda: patient.facts().state is viewer.facts().state is MediaState.LIVE)
            assert viewer.facts().reason is None
            await until(lambda: patient.facts().latency_p50)
            assert patient.facts().size == (320, 240) and patient.facts().codec == codec
            await until(lambda: seen.since(0)[-5:] == ["edited"] * 5)
            assert seen.sizes[-1] == (320, 240) and "raw" not in seen.since(0)

    asyncio.run(run())


def test_the_viewer_stays_while_the_publisher_leaves_and_comes_back() -> None:
    async def run() -> None:
        async with relay() as room:
            seen, viewer, _ = await room.view()
            ended: list[str] = []
            viewer.on_end(lambda: ended.append("viewer"))
            peer, patient = await room.publish(Camera())
            patient.on_end(lambda: ended.append("patient"))
            await until(lambda: seen.last == "edited")
            await peer.close()
            await until(lambda: ended == ["patient"] and seen.last == "card")
            assert patient.facts().state is MediaState.ENDED
            assert "left" in (viewer.facts().reason or "")
            await until(lambda: all(one.closed for one in room.filters))
            _, second = await room.publish(Camera(640, 360))
            await until(lambda: seen.last == "edited")
            assert seen.sizes[-1] == (640, 360) and "raw" not in seen.since(0)
            # A third takes the second's place.
            second.on_end(lambda: ended.append("second"))
            await room.publish(Camera())
            await until(lambda: "second" in ended and seen.last == "edited")
            assert "raw" not in seen.since(0) and "viewer" not in ended

    asyncio.run(run())


def test_faults_end_in_a_card_and_are_got_over() -> None:
    async def run() -> None:
        async with relay() as room:
            seen, viewer, _ = await room.view()
            _, patient = await room.publish(Camera())
            await until(lambda: seen.last == "edited")
            room.filters[-1].fault = RuntimeError("the engine broke, as this test wants")
            await until(lambda: seen.last == "card")
            assert patient.facts().state is MediaState.SHIELDED
            assert "failed" in (patient.facts().reason or "")
            room.filters[-1].fault = None
            await until(lambda: seen.last == "edited")
            room.filters[-1].faces = 0
            await until(lambda: seen.last == "card")
            assert "no face" in (viewer.facts().reason or "")
            room.filters[-1].faces = 1
            await until(lambda: seen.last == "edited")
            room.filters[-1].delay = 0.6  # far too slow: late frames are not shown
            await until(lambda: seen.last == "card")
            assert "overloaded" in (viewer.facts().reason or "")
            room.filters[-1].delay = 0.0
            await until(lambda: seen.last == "edited")
            assert patient.facts().dropped["filter busy"] > 0
            assert "raw" not in seen.since(0)

    asyncio.run(run())


def test_a_stall_shows_a_card_within_300_ms_then_interrupted_and_settles_anew() -> None:
    async def run() -> None:
        async with relay() as room:
            seen, viewer, _ = await room.view()
            camera = Camera()
            _, patient = await room.publish(camera)
            await until(lambda: seen.last == "edited")
            async with late_turns() as late:
                camera.stalled = True
                shielded = await until(lambda: viewer.facts().state is MediaState.SHIELDED)
                assert patient.lane.last_in is not None
                assert shielded - patient.lane.last_in - max(late) < 0.3
                # The viewer's own jitter buffer holds the card back until it is sent again.
                assert await until(lambda: seen.last == "card") - shielded - 2 * max(late) < 0.2
            await until(lambda: patient.facts().state is MediaState.INTERRUPTED)
            filters = len(room.filters)
            camera.stalled = False
            await until(lambda: seen.last == "edited")
            assert len(room.filters) == filters + 1 and "raw" not in seen.since(0)

    asyncio.run(run())


def test_a_pause_is_a_card_and_silence() -> None:
    async def run() -> None:
        async with relay() as room:
            seen, viewer, _ = await room.view(audio=True)
            _, patient = await room.publish(Camera(), Microphone())
            await until(lambda: seen.last == "edited" and seen.loud and seen.loud[-1][1] > 4000)
            patient.pause(True)
            await until(lambda: seen.last == "card" and seen.loud[-1][1] < 100)
            await asyncio.sleep(0.4)
            assert seen.loud[-1][1] < 100 and viewer.facts().reason == "paused"
            patient.pause(False)
            resumed = time.monotonic()
            await until(lambda: seen.last == "edited" and seen.loud[-1][1] > 4000)
            assert "card" in seen.since(resumed) and "raw" not in seen.since(0)

    asyncio.run(run())


def test_a_change_of_size_is_covered_and_the_new_size_goes_on() -> None:
    async def run() -> None:
        async with relay() as room:
            seen, _, _ = await room.view()
            camera = Camera()
            _, patient = await room.publish(camera)
            await until(lambda: seen.last == "edited")
            changed = time.monotonic()
            camera.resize(480, 272)
            await until(lambda: seen.sizes[-1] == (480, 272) and seen.last == "edited")
            assert "card" in seen.since(changed) and "raw" not in seen.since(0)
            assert patient.facts().size == (480, 272) and len(room.filters) == 2 + 1  # one of the trial

    asyncio.run(run())


def test_an_edit_reaches_the_filter_without_settling_anew() -> None:
    async def run() -> None:
        async with relay() as room:
            seen, _, _ = await room.view()
            _, patient = await room.publish(Camera(), edit=Edit(60.0))
            await until(lambda: seen.last == "edited")
            changed = time.monotonic()
            patient.set_edit(Edit(None))
            await until(lambda: (-1.0, 0.0) in room.filters[-1].targets)
            patient.set_edit(Edit(110.0))
            await until(lambda: room.filters[-1].targets[-2:] == [(110.0, -1.0), (-1.0, 1.0)])
            await asyncio.sleep(0.2)
            assert set(seen.since(changed)) == {"edited"}

    asyncio.run(run())


def test_a_slow_viewers_delay_does_not_grow() -> None:
    async def run() -> None:
        async with relay() as room:
            seen, _, _ = await room.view()
            camera = Camera()
            await room.publish(camera)
            await until(lambda: seen.last == "edited")
            # A viewer whose encoder takes three pictures' time: it sees one of three, each as new as ever.
            slow, viewer, _ = await room.view()
            ages: list[float] = []  # s, from a picture's arrival at the relay to its leaving, encoded

            def slowly(pts: int, now: float, worked: float) -> None:
                time.sleep(0.2)
                arrived = viewer.video._arrivals.get(pts)
                if arrived is not None:
                    ages.append(time.monotonic() - arrived)

            assert viewer._connection is not None
            sender = next(one for one in viewer._connection.getSenders() if one.kind == "video")
            vars(vars(sender)["_RTCRtpSender__encoder"])["_on_encoded"] = slowly
            # In a queue the 25th would be 3.3 s old: 25 x 0.2 s, less the 25 / 15 s since it was taken.
            await until(lambda: len(ages) >= 25)
            assert 0.2 <= median(ages[-5:]) < 1.0
            assert len(slow.kinds) < len(seen.kinds)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("offer", "status"),
    [
        ("", 400),
        ("v=0\r\n", 400),
        ("v=0\r\nm=video nine UDP/TLS/RTP/SAVPF x\r\n", 400),
        ("x" * 70_000, 413),
        ("v=0\r\n" + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 5, 400),
    ],
)
def test_offers_that_cannot_be_served_are_refused(offer: str, status: int) -> None:
    async def run() -> None:
        async with relay() as room:
            for session in (room.broadcast.publisher(Edit()), room.broadcast.viewer()):
                with pytest.raises(Refusal) as refused:
                    await session.negotiate(offer)
                assert refused.value.status == status
                await session.close()
            assert room.media.load()["publishers"] == room.media.load()["viewers"] == 0

    asyncio.run(run())


def test_no_codec_in_common_is_406() -> None:
    async def run() -> None:
        async with relay(settings=MediaSettings(interfaces=("127.0.0.1",), codecs=("H264",))) as room:
            with pytest.raises(Refusal) as refused:
                await room.publish(Camera(), codec="VP8")
            assert refused.value.status == 406
            assert room.media.load()["publishers"] == 0

    asyncio.run(run())


def test_a_filter_that_cannot_be_built_shows_a_card() -> None:
    def broken() -> MarkFilter:
        raise OSError("no such artifact, as this test wants")

    async def run() -> None:
        async with relay(broken) as room:
            seen, _, _ = await room.view()
            _, patient = await room.publish(Camera())
            await until(lambda: "failed" in (patient.facts().reason or ""))
            await asyncio.sleep(0.3)
            assert set(seen.since(0)) == {"card"}

    asyncio.run(run())
