"""Sound leaves as late as the video of its moment, and comes through whole."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from av.audio.frame import AudioFrame

from streamfilter.relay.media.inlet import AudioInlet, VideoInlet, set_inlet
from tests.relay.media_peers import (
    Camera,
    MarkFilter,
    Microphone,
    Seen,
    connect,
    new_peer,
    relay,
    until,
    watch,
)

PERIOD = 0.913  # seconds; no multiple of a picture's or a sound frame's time, so that their steps average out


def beat(now: float) -> bool:
    """On for 300 ms in each period."""
    return now % PERIOD < 0.3


def lateness(levels: list[tuple[float, float]], above: float) -> list[float]:
    """Seconds from each beat to the first picture or sound that shows it."""
    return [at % PERIOD for (_, before), (at, level) in pairwise(levels) if before < above <= level]


def test_flash_and_tone_arrive_together_and_the_delay_is_the_videos() -> None:
    async def run() -> None:
        async with relay(lambda: MarkFilter(delay=0.025)) as room:
            peer, seen, media = new_peer(), Seen(), room.broadcast.viewer()
            room.peers.append(peer)
            for kind in ("video", "audio"):
                peer.addTransceiver(kind, direction="recvonly")
            await connect(peer, media)
            video, audio = peer.getReceivers()
            # As a browser's: no picture held back until the next, no fixed wait for sound.
            set_inlet(video, VideoInlet(video, (4096, 4096), lambda cause, count: None))
            set_inlet(audio, AudioInlet(audio))
            for receiver in (video, audio):
                room.tasks.append(asyncio.get_running_loop().create_task(watch(receiver.track, seen)))
            camera = Camera(fps=30.0)
            camera.flash = beat
            await room.publish(camera, Microphone(beat))
            await until(lambda: "edited" in seen.since(0))
            await asyncio.sleep(1.0)
            seen.bright.clear()
            seen.loud.clear()

            def together() -> bool:
                # The earliest of each: a busy machine makes any of them later, and takes longer to show one
                # that is on time. Opus' 6.5 ms come from the sender.
                flashes, tones = lateness(seen.bright, 120), lateness(seen.loud, 2000)
                if min(len(flashes), len(tones)) < 4:
                    return False
                return abs(min(tones) - min(flashes) - 0.0065) < 0.02

            await until(together, 40.0)

            def follows() -> bool:
                target, own = media._video_delay(), media.video.delay
                assert target is not None and own is not None and own > 0.025
                return abs(media.audio.delay - target) < 0.02

            await until(follows)

    asyncio.run(run())


def test_no_sample_is_lost_or_doubled() -> None:
    async def run() -> None:
        async with relay() as room:
            seen, viewer, _ = await room.view(audio=True)
            times: list[tuple[int, int]] = []
            timed = viewer.audio._timed

            def noted(samples: bytes, count: int, pts: int) -> AudioFrame:
                times.append((pts, count))
                return timed(samples, count, pts)

            vars(viewer.audio)["_timed"] = noted
            await room.publish(Camera(), Microphone())
            await until(lambda: seen.loud and seen.loud[-1][1] > 4000)
            start = len(times) + 5
            await until(lambda: len(times) > start + 50)
            assert all(pts + count == after for (pts, count), (after, _) in pairwise(times[start:]))

    asyncio.run(run())
