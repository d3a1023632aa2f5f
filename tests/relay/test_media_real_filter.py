"""The filter that ships, between two real connections."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from streamfilter.relay.media.filter_slot import SETTLE_SECONDS
from streamfilter.relay.ports import Edit, MediaState
from tests.relay.media_peers import Camera, relay, until


def test_a_face_is_shown_once_the_filter_has_settled() -> None:
    async def run() -> None:
        async with relay(None) as room:
            seen, viewer, _ = await room.view()
            camera = Camera(640, 360)
            _, patient = await room.publish(camera, edit=Edit(90.0))
            reasons: set[str | None] = set()

            def live() -> bool:
                facts = patient.facts()
                reasons.add(facts.reason)
                return facts.state is MediaState.LIVE and facts.frames > 20

            began = await until(lambda: patient.facts().size is not None)
            assert await until(live, 20.0) - began > SETTLE_SECONDS - 0.2
            assert "settling" in reasons
            shown = time.monotonic()
            # The mark is no skin, so that here it stays as it is: the whole picture goes on.
            await until(lambda: "raw" in seen.since(shown))
            first = next(at for at, kind in seen.kinds if kind == "raw")
            assert {kind for at, kind in seen.kinds if at < first} == {"card"}
            assert viewer.facts().latency_p50 is not None
            assert np.isfinite(viewer.facts().fps_out) and seen.sizes[-1] == (640, 360)

    asyncio.run(run())
