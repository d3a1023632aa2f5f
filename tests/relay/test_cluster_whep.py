"""WHEP at the cluster's door: Chromium offers, as any WHEP player does, and sees the filtered picture."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiortc import RTCSessionDescription

from streamfilter.relay.cluster.door import Door
from streamfilter.relay.ports import Role
from streamfilter.relay.security.tokens import Tokens
from tests.relay.cluster_scene import SECRET, Cluster, cluster
from tests.relay.janus_process import need_janus
from tests.relay.media_peers import CARD, EDITED, RAW, WITHIN, Camera, Microphone, new_peer, until
from tests.relay.page_browser import CHROMIUM, FLAGS

ROOM = "visit"
OFFER = """async () => {
  window.peer = new RTCPeerConnection();
  for (const kind of ["audio", "video"]) peer.addTransceiver(kind, {direction: "recvonly"});
  window.video = document.createElement("video");
  video.muted = true;
  video.srcObject = new MediaStream();
  peer.ontrack = (event) => { video.srcObject.addTrack(event.track); video.play(); };
  await peer.setLocalDescription(await peer.createOffer());
  await new Promise((done) => {
    const look = () => peer.iceGatheringState === "complete" && done();
    peer.onicegatheringstatechange = look;
    look();
  });
  return peer.localDescription.sdp;
}"""
ANSWER = "(sdp) => peer.setRemoteDescription({type: 'answer', sdp})"
CORNER = """() => {
  if (!video.videoWidth) return null;
  const canvas = new OffscreenCanvas(48, 48), context = canvas.getContext("2d");
  context.drawImage(video, 8, 8, 48, 48, 0, 0, 48, 48);
  const data = context.getImageData(0, 0, 48, 48).data;
  return data.filter((_, index) => index % 4 === 1).reduce((sum, level) => sum + level, 0) / (48 * 48);
}"""
HEARD = """async () => {
  const stats = [...(await peer.getStats()).values()];
  return stats.find((one) => one.type === "inbound-rtp" && one.kind === "audio")?.packetsReceived ?? 0;
}"""


def test_chromium_offers_and_sees_the_filtered_picture(tmp_path: Path) -> None:
    need_janus()
    api = pytest.importorskip("playwright.async_api", reason="no playwright: pip install playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")

    async def scene() -> None:
        async with (
            cluster(tmp_path) as parts,
            aiohttp.ClientSession() as http,
            api.async_playwright() as play,
        ):
            # Its addresses are hidden behind names, as from any page that has no camera.
            flags = [flag for flag in FLAGS if "Mdns" not in flag]
            browser = await play.chromium.launch(executable_path=str(CHROMIUM), args=flags)
            parts.start_worker("one")
            await until(parts.front.live)
            tokens = Tokens(SECRET.encode())
            door = Door(
                {"a": parts.a.server, "b": parts.b.server}, "b", parts.keys, tokens, [parts.server.url]
            )
            base = f"http://127.0.0.1:{await door.start()}"

            async def post(path: str, role: Role, offer: str) -> tuple[int, str, str]:
                """Asks again while told to: the front listens first, then a worker makes the room."""
                token = tokens.issue(ROOM, role, 60.0)
                headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
                async with asyncio.timeout(WITHIN):
                    while True:
                        async with http.post(base + path, headers=headers, data=offer) as response:
                            if response.status != 503:
                                where = response.headers.get("Location", "")
                                return response.status, await response.text(), where
                        await asyncio.sleep(0.2)

            await _publish(parts, post)
            page = await browser.new_page()
            status, answer, _ = await post(f"/whep/{ROOM}", Role.VIEWER, await page.evaluate(OFFER))
            assert status == 201, answer
            await page.evaluate(ANSWER, answer)
            levels: list[float] = []
            while not levels or abs(levels[-1] - EDITED) > 20:
                level = await page.evaluate(CORNER)
                levels += [] if level is None else [level]
                await asyncio.sleep(0.05)
            assert max(levels) < (CARD + RAW) / 2
            while not await page.evaluate(HEARD):
                await asyncio.sleep(0.05)

            # aiortc numbers its payload types otherwise than Janus; it is told so.
            other = new_peer()
            other.addTransceiver("video", direction="recvonly")
            await other.setLocalDescription(await other.createOffer())
            status, told, _ = await post(f"/whep/{ROOM}", Role.VIEWER, other.localDescription.sdp)
            assert status == 406 and "VP8 as 96" in told
            await other.close()
            await browser.close()
            await door.stop()

    asyncio.run(asyncio.wait_for(scene(), 3 * WITHIN))


async def _publish(parts: Cluster, post: Any) -> None:
    peer = parts.peer()
    for track in (Camera(), Microphone()):
        peer.addTransceiver(track, direction="sendonly")
    offer = await parts.described(peer, await peer.createOffer())
    status, answer, _ = await post(f"/whip/{ROOM}?hr=80", Role.PATIENT, offer)
    assert status == 201, answer
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
