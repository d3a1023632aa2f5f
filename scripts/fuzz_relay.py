"""Throws damaged offers, messages and tokens at a running relay, while a call goes on through it.

python scripts/fuzz_relay.py [--minutes 10] [--seed 1] [--out fuzz.json]

The relay is the real one, on loopback, with real media; a patient and a viewer are connected all the while.
The three kinds run beside each other, ``--minutes`` in all. What counts: answers of 500, errors that reach
the event loop or the log, and whether the two sessions are still there and show pictures at the end. Exit
code 1 if not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp
import aioice.ice
from aiortc import RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from scripts.relay_fuzz_cases import damaged_offer, damaged_token, message
from streamfilter.relay.audit import AuditLog
from streamfilter.relay.logs import Scrubber, set_up_logs
from streamfilter.relay.media import AiortcMedia, MediaSettings
from streamfilter.relay.ports import Role
from streamfilter.relay.prometheus import RelayMetrics
from streamfilter.relay.security.rate_limits import RateLimits
from streamfilter.relay.security.tokens import Tokens
from streamfilter.relay.server import RelayServer
from streamfilter.relay.settings import RelaySettings

SECRET = b"fuzz-fuzz-fuzz-fuzz-fuzz-fuzz-fuzz-fuzz"
ROOM = "call"
HOUR = 3600.0


@dataclass
class Tally:
    """What came back. ``statuses``: by kind and HTTP status or close code. ``faults``: what should not be."""

    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def count(self, kind: str, status: int) -> None:
        self.statuses.setdefault(kind, Counter())[status] += 1
        if (status >= 500 and status != 503 and status < 1000) or status == 1011:
            self.faults.append(f"{kind}: {status}")

    def fault_in_loop(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        frames = traceback.extract_tb(error.__traceback__)[-3:] if isinstance(error, Exception) else []
        where = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
        where += f" {context.get('task') or ''}"
        self.faults.append(f"loop: {context.get('message')} {error!r} {where}"[:400])


class FaultHandler(logging.Handler):
    """Every record of level ERROR is a fault."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(logging.ERROR)
        self.addFilter(Scrubber())
        self._tally = tally

    def emit(self, record: logging.LogRecord) -> None:
        self._tally.faults.append(f"log: {record.name}: {record.getMessage()}"[:300])


class Call:
    """A patient and a viewer in one room, as their browsers would be; ``frames``: what the viewer got."""

    def __init__(self, base: str, tokens: Tokens, http: aiohttp.ClientSession) -> None:
        self._base, self._tokens, self._http = base, tokens, http
        self.patient, self.viewer = RTCPeerConnection(), RTCPeerConnection()
        self.frames, self.last = 0, 0.0
        self._reading: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self.patient.addTrack(VideoStreamTrack())
        self.viewer.addTransceiver("video", direction="recvonly")
        self.viewer.on("track", self._on_track)
        await self._join(self.patient, "whip", Role.PATIENT)
        await self._join(self.viewer, "whep", Role.VIEWER)

    def state(self) -> str:
        fresh = "pictures" if time.monotonic() - self.last < 2.0 else "no pictures"
        return f"{self.patient.connectionState}, {self.viewer.connectionState}, {fresh}"

    async def close(self) -> None:
        await asyncio.gather(self.patient.close(), self.viewer.close())
        for task in self._reading:
            task.cancel()

    async def _join(self, peer: RTCPeerConnection, path: str, role: Role) -> None:
        await peer.setLocalDescription(await peer.createOffer())
        token = self._tokens.issue(ROOM, role, 12 * HOUR)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
        url = f"{self._base}/{path}/{ROOM}"
        async with self._http.post(url, data=peer.localDescription.sdp, headers=headers) as answer:
            if answer.status != 201:
                raise RuntimeError(f"the call cannot begin: {answer.status} {await answer.text()}")
            await peer.setRemoteDescription(RTCSessionDescription(await answer.text(), "answer"))

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._reading.add(asyncio.create_task(self._read(track)))

    async def _read(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                await track.recv()
                self.frames, self.last = self.frames + 1, time.monotonic()


class Fuzz:
    """One step of each kind, against ``server``."""

    def __init__(
        self, server: RelayServer, tokens: Tokens, http: aiohttp.ClientSession, random: Random, tally: Tally
    ) -> None:
        self._base = f"http://127.0.0.1:{server.port}"
        self._admin = f"http://127.0.0.1:{server.admin_port}"
        self._tokens, self._http, self._random, self._tally = tokens, http, random, tally
        self._offers: list[tuple[str, str]] = []

    async def make_offers(self) -> None:
        """Offers of real peers, to be damaged."""
        for path, direction in (("whip", "sendonly"), ("whep", "recvonly")):
            peer = RTCPeerConnection()
            for kind in ("video", "audio"):
                peer.addTransceiver(kind, direction=direction)
            await peer.setLocalDescription(await peer.createOffer())
            self._offers.append((path, peer.localDescription.sdp))
            await peer.close()

    async def offer(self) -> None:
        path, offer = self._random.choice(self._offers)
        room = f"fuzz-{self._random.randrange(4)}"
        role = Role.PATIENT if path == "whip" else Role.VIEWER
        headers = {"Authorization": f"Bearer {self._tokens.issue(room, role, HOUR)}"}
        url = f"{self._base}/{path}/{room}"
        data = damaged_offer(self._random, offer)
        typed = headers | {"Content-Type": "application/sdp"}
        async with self._http.post(url, data=data, headers=typed) as answer:
            await answer.read()
            self._tally.count("offer", answer.status)
            place = answer.headers.get("Location")
        if place is not None:
            await asyncio.sleep(self._random.choice((0.0, 0.0, 0.3)))
            async with self._http.delete(self._base + place, headers=headers) as answer:
                self._tally.count("delete", answer.status)

    async def message(self) -> None:
        if self._random.random() < 0.1:
            await self._admin_message()
            return
        room, role = f"fuzz-{self._random.randrange(4)}", self._random.choice(list(Role))
        async with self._http.ws_connect(f"{self._base}/rooms/{room}/events") as socket:
            if self._random.random() < 0.9:
                await socket.send_json({"token": self._tokens.issue(room, role, HOUR)})
            for _ in range(self._random.randint(1, 4)):
                if socket.closed:
                    break
                try:
                    text = message(self._random).encode("utf-8", errors="surrogatepass")
                    if self._random.random() < 0.9:
                        await socket.send_str(text.decode("utf-8", errors="replace"))
                    else:
                        await socket.send_bytes(text)
                except ConnectionError:
                    break
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    async for _ in socket:
                        pass
            self._tally.count("message", socket.close_code or 1000)

    async def _admin_message(self) -> None:
        data = message(self._random).replace("drain", "").encode("utf-8", errors="surrogatepass")
        headers = {"Content-Type": "application/json"}
        async with self._http.post(f"{self._admin}/rooms", data=data, headers=headers) as answer:
            await answer.read()
            self._tally.count("admin", answer.status)

    async def token(self) -> None:
        role = self._random.choice(list(Role))
        token = damaged_token(self._random, self._tokens.issue(ROOM, role, HOUR), SECRET)
        printable = "".join(
            character for character in token if character.isprintable() and character < "\x7f"
        )
        path = "whip" if role is Role.PATIENT else "whep"
        if self._random.random() < 0.3:
            async with self._http.ws_connect(f"{self._base}/rooms/{ROOM}/events") as socket:
                await socket.send_json({"token": token})
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await socket.receive()
                self._tally.count("token", socket.close_code or 1000)
            return
        headers = {"Authorization": f"Bearer {printable}"}
        async with self._http.delete(f"{self._base}/{path}/{ROOM}/nothing", headers=headers) as answer:
            self._tally.count("token", answer.status)


async def run(minutes: float, seed: int) -> dict[str, Any]:
    """The relay, the call and the fuzz for ``minutes``. Returns the report."""
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    tally = Tally()
    tokens = Tokens(SECRET)
    settings = RelaySettings(
        secret=SECRET, port=0, admin_port=0, max_viewers_per_room=100, max_sessions_per_address=10_000
    )
    set_up_logs(settings)
    logging.getLogger().addHandler(FaultHandler(tally))
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: tally.fault_in_loop(context))
    media = AiortcMedia(MediaSettings(interfaces=("127.0.0.1",), max_width=1280, max_height=720))
    with tempfile.TemporaryDirectory() as folder:
        audit = AuditLog(Path(folder) / "audit")
        # No limit on the rate: it would hold the fuzz up, and has tests of its own.
        server = RelayServer(settings, media, tokens, RateLimits(10**9), audit, RelayMetrics(), "fuzz")
        await server.start()
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30.0)) as http:
                report = await _fuzz(server, tokens, http, Random(seed), tally, minutes)
        finally:
            await server.stop()
    return report


async def _fuzz(
    server: RelayServer,
    tokens: Tokens,
    http: aiohttp.ClientSession,
    random: Random,
    tally: Tally,
    minutes: float,
) -> dict[str, Any]:
    call = Call(f"http://127.0.0.1:{server.port}", tokens, http)
    await call.start()
    fuzz = Fuzz(server, tokens, http, random, tally)
    await fuzz.make_offers()
    until = time.monotonic() + minutes * 60.0
    await asyncio.gather(
        *(_repeat(step, until, tally) for step in (fuzz.offer, fuzz.message, fuzz.token)),
    )
    report = {
        "minutes_of_each": minutes,
        "answers": {kind: dict(sorted(counter.items())) for kind, counter in tally.statuses.items()},
        "unhandled": len(tally.faults),
        "faults": dict(Counter(tally.faults).most_common(20)),
        "call": call.state(),
        "frames_at_the_viewer": call.frames,
    }
    await call.close()
    return report


async def _repeat(step: Callable[[], Awaitable[None]], until: float, tally: Tally) -> None:
    while time.monotonic() < until:
        try:
            await step()
        except (aiohttp.ClientError, TimeoutError) as error:
            tally.faults.append(f"client: {step.__name__}: {error!r}"[:300])
        await asyncio.sleep(0)


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzzes a running relay.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long; all three kinds at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the report here too, as JSON")
    options = parser.parse_args()
    report = asyncio.run(run(options.minutes, options.seed))
    text = json.dumps(report, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    well = report["unhandled"] == 0 and report["call"] == "connected, connected, pictures"
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
