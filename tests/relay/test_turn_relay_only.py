"""A call whose three ends know each other by a real coturn alone: patient, relay and viewer are relay-only.

coturn is as deployed, with its list of denied peers, but for this machine's loopback, where all of them are.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from streamfilter.relay.media import AiortcMedia
from streamfilter.relay.ports import IceServer, Role
from streamfilter.relay.running import media_settings
from streamfilter.relay.settings import RelaySettings
from tests.relay.media_peers import Camera, MarkFilter, Microphone, Seen, until, watch
from tests.relay.relay_bench import SECRET as LINK_SECRET
from tests.relay.relay_bench import Bench, relay
from tests.relay.test_deploy_turn import allocate
from tests.relay.turn_server import SECRET, turn_server

LOOPBACK_ALONE = ("allow-loopback-peers", "allowed-peer-ip=127.0.0.1")
LINK_SECONDS = 60.0  # Bench.token's
AFTER_LINK = 4 * 3600.0  # that a password holds on, for calls that have begun
PRIVATE = ("10.0.0.1", "127.0.0.2", "169.254.169.254", "172.20.0.1", "192.168.1.1", "100.64.0.1")
_LINK = re.compile(r'<(turn:[^>]+)>; rel="ice-server"; username="([^"]+)"; credential="([^"]+)"')


def test_media_flow_where_all_ends_are_relay_only_and_private_peers_stay_denied(tmp_path: Path) -> None:
    with turn_server(tmp_path, *LOOPBACK_ALONE) as turn:
        server = IceServer(f"turn:127.0.0.1:{turn.port}?transport=udp")
        ice: dict[str, Any] = {"ice_servers": (server,), "turn_secret": SECRET, "relay_only": True}
        settings = RelaySettings(secret=LINK_SECRET, **ice)

        async def scene() -> tuple[str, str]:
            media = AiortcMedia(replace(media_settings(settings), cores=2), lambda wanted: MarkFilter())
            async with relay(tmp_path, media, **ice) as bench:
                given = await passwords(bench, Role.VIEWER)
                viewer = relay_only(given)
                for kind in ("video", "audio"):
                    viewer.addTransceiver(kind, direction="recvonly")
                seen = Seen()
                await call(bench, viewer, "/whep/ward", Role.VIEWER)
                watching = [asyncio.create_task(watch(one.track, seen)) for one in viewer.getReceivers()]
                patient = relay_only(await passwords(bench, Role.PATIENT))
                for track in (Camera(), Microphone()):
                    patient.addTransceiver(track, direction="sendonly")
                await call(bench, patient, "/whip/ward", Role.PATIENT)
                await until(lambda: seen.last == "edited")
                await until(lambda: max((level for _, level in seen.loud), default=0.0) > 1000)
                assert "raw" not in seen.since(0)
                await asyncio.gather(patient.close(), viewer.close())
                for task in watching:
                    task.cancel()
                return given[1:]

        user, password = asyncio.run(scene())
        holds = int(user.partition(":")[0]) - time.time()
        assert 0 < holds <= LINK_SECONDS + AFTER_LINK + 1
        found = allocate(turn, user, password, (*PRIVATE, "127.0.0.1"))
        assert {found[peer] for peer in PRIVATE} == {403} and found["127.0.0.1"] == "bound"


async def passwords(bench: Bench, role: Role) -> tuple[str, str, str]:
    """The TURN server, user and password that this link is given (RFC 9725, 4.6)."""
    path = "/whip/ward" if role is Role.PATIENT else "/whep/ward"
    headers = {"Authorization": f"Bearer {bench.token(role, seconds=LINK_SECONDS)}"}
    async with bench.client.options(bench.url + path, headers=headers) as response:
        found = _LINK.search(response.headers["Link"])
    assert found is not None
    return found[1], found[2], found[3]


def relay_only(given: tuple[str, str, str]) -> RTCPeerConnection:
    url, user, password = given
    return RTCPeerConnection(
        RTCConfiguration(
            iceServers=[RTCIceServer(urls=url, username=user, credential=password)],
            iceTransportPolicy=RTCIceTransportPolicy.RELAY,
        )
    )


async def call(bench: Bench, peer: RTCPeerConnection, path: str, role: Role) -> None:
    """By WHIP or WHEP; neither side may name an address of its own."""
    await peer.setLocalDescription(await peer.createOffer())
    response = await bench.offer(path, bench.token(role), peer.localDescription.sdp)
    answer = await response.text()
    assert response.status == 201, answer
    for sdp in (peer.localDescription.sdp, answer):
        candidates = re.findall(r"^a=candidate:.*? typ (\S+)(?: raddr (\S+))?", sdp, re.MULTILINE)
        assert {kind for kind, _ in candidates} == {"relay"}
        assert {related for _, related in candidates} <= {"", "0.0.0.0", "::"}
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
