"""Through the door only: a patient by WHIP, a viewer at the other Janus, with the relay's tokens.

The viewer takes Janus' offer here; test_cluster_whep.py has one that offers.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import aiohttp
from aiortc import RTCSessionDescription

from streamfilter.relay.cluster.door import Door
from streamfilter.relay.ports import Role
from streamfilter.relay.security.tokens import Tokens
from tests.relay.cluster_scene import SECRET, cluster
from tests.relay.janus_process import need_janus
from tests.relay.media_peers import WITHIN, Camera, Microphone, Seen, until

ROOM = "visit"


def test_a_patient_and_a_viewer_meet_who_know_nothing_of_janus(tmp_path: Path) -> None:
    need_janus()

    async def scene() -> None:
        async with cluster(tmp_path) as parts, aiohttp.ClientSession() as http:
            parts.start_worker("one")
            await until(parts.front.live)
            tokens = Tokens(SECRET.encode())
            januses = {one.server.name: one.server for one in (parts.a, parts.b)}
            door = Door(januses, "b", parts.keys, tokens, [parts.server.url], answer_within=3.0)
            base = f"http://127.0.0.1:{await door.start()}"
            patient, viewer, other = (
                {
                    "Authorization": f"Bearer {tokens.issue(room, role, 60.0)}",
                    "Content-Type": "application/sdp",
                }
                for room, role in ((ROOM, Role.PATIENT), (ROOM, Role.VIEWER), ("other", Role.PATIENT))
            )

            async def send(
                method: str, path: str, headers: dict[str, str], body: str = ""
            ) -> tuple[int, str, str]:
                async with http.request(method, base + path, headers=headers, data=body) as response:
                    return response.status, await response.text(), response.headers.get("Location", "")

            async def served(*request: Any) -> tuple[int, str, str]:
                """Asks again while told to: the front listens first, then a worker makes the room."""
                async with asyncio.timeout(WITHIN):
                    while (answered := await send(*request))[0] == 503:
                        await asyncio.sleep(0.2)
                    return answered

            peer = parts.peer()
            for sent in (Camera(), Microphone()):
                peer.addTransceiver(sent, direction="sendonly")
            offer = await parts.described(peer, await peer.createOffer())
            for headers, status in ((viewer, 403), (other, 403), ({"Content-Type": "application/sdp"}, 401)):
                assert (await send("POST", f"/whip/{ROOM}?hr=80", headers, offer))[0] == status
            assert (await send("POST", f"/whip/{ROOM}?hr=500", patient, offer))[0] == 400
            status, answer, visit = await served("POST", f"/whip/{ROOM}?hr=80", patient, offer)
            assert status == 201
            await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))

            seen = Seen()
            assert (await send("POST", f"/whep/{ROOM}", patient))[0] == 403
            status, theirs, location = await served("POST", f"/whep/{ROOM}", viewer)
            assert status == 201
            reply = await parts.answer(theirs, seen)
            # Passed on, this would end Janus: less its own numbers for resending, no payload type is left.
            harmful = re.sub(r"(m=video .*?SAVPF).*", r"\1 97", reply).replace(":96 ", ":97 ")
            assert (await send("PATCH", location, viewer, harmful))[0] == 406
            assert (await send("PATCH", location, viewer, reply))[0] == 204
            assert (await send("PATCH", location, viewer, reply))[0] == 409
            _, _, unanswered = await send("POST", f"/whep/{ROOM}", viewer)
            await until(lambda: seen.last == "edited")
            await until(lambda: max((level for _, level in seen.loud), default=0.0) > 1000)
            assert (await send("POST", f"/edit/{ROOM}?hr=hide", patient))[0] == 204

            assert (await send("DELETE", visit, viewer))[0] == 403
            assert (await send("DELETE", visit, patient))[0] == 200
            await until(lambda: seen.last == "card")
            assert (await send("DELETE", location, viewer))[0] == 200
            while (await send("PATCH", unanswered, viewer, "none"))[0] != 404:  # it holds no place for ever
                await asyncio.sleep(0.2)
            assert "raw" not in seen.since(0.0)
            await door.stop()

    asyncio.run(scene())
