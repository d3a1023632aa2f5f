"""Connects and closes by the hundred, and datagrams of strangers, against one relay.

python scripts/relay_endurance.py [--connects 200] [--foreign 10000] [--out endurance.json]

The relay runs as physio-relay does, in its own process, and counts its tasks, threads, descriptors and memory
when asked. Each connect is a patient and a viewer who sees a picture or a card; every second pair ends its
sessions by DELETE, the others just leave. Counting begins after ``--warm`` connects. Then ``--foreign``
datagrams (empty, random, and like STUN, DTLS, RTP and RTCP) from strange ports are sent to the ports of a
running session, whose viewer has to go on seeing pictures. Exit code 1 where a bar is not met.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import sys
import time
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp

from scripts.relay_clip import Clicks, EncodedVideo, NumberedVideo, encode_clip
from scripts.relay_host import Host, machine, run_measurement, running
from scripts.relay_peers import Peer
from streamfilter.relay.ports import Role

MOST_GROWTH = 5.0  # per cent
SMALL = (160, 120)
TOGETHER = 4  # connects at a time before the counting begins
FPS = 15.0
LONGEST_GAP = 1.0  # seconds without a picture that a running session may have under the datagrams
_CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", re.MULTILINE | re.IGNORECASE)
_LIKE = {
    "empty": b"",
    "stun": bytes.fromhex("000100002112a442"),
    "stun_answer": bytes.fromhex("010100002112a442"),
    "dtls_hello": bytes.fromhex("16feff0000000000000000"),
    "dtls_alert": bytes.fromhex("15fefd00010000000000010002ff00"),
    "rtp": bytes.fromhex("8060"),
    "rtcp_bye": bytes.fromhex("81cb0001"),
    "random": b"\xf0",
}


async def connect(
    http: aiohttp.ClientSession, host: Host, clip: list[bytes], polite: bool, room: str = "door"
) -> bool:
    """A patient and a viewer come, see each other, and go. Whether the viewer saw anything."""
    patient, viewer = Peer(), Peer()
    links = {patient: host.link(Role.PATIENT, room), viewer: host.link(Role.VIEWER, room)}
    patient.sends(EncodedVideo(clip, FPS, time.monotonic()))
    viewer.receives("video")
    try:
        await patient.call(http, *links[patient])
        await viewer.call(http, *links[viewer], prompt=True)
        end = time.monotonic() + 10.0
        while not viewer.watched.numbers and time.monotonic() < end:
            await asyncio.sleep(0.02)
        if polite:
            for peer, (_, token) in links.items():
                headers = {"Authorization": f"Bearer {token}"}
                async with http.delete(host.url + peer.location, headers=headers):
                    pass
    finally:
        await asyncio.gather(patient.close(), viewer.close())
    return bool(viewer.watched.numbers)


async def tallied(http: aiohttp.ClientSession, host: Host) -> dict[str, float]:
    """Once no session is left and connections have been let go."""
    if not await host.idle(http, 60.0):
        raise RuntimeError("the relay keeps sessions whose peers have gone")
    await asyncio.sleep(1.0)
    return await host.tally()


async def connects(http: aiohttp.ClientSession, host: Host, options: argparse.Namespace) -> dict[str, Any]:
    clip = encode_clip(FPS, 200, *SMALL)
    first = await tallied(http, host)
    # Several at a time, so that every thread of the relay's pools is there, and has its share of memory.
    for index in range(0, options.warm, TOGETHER):
        rooms = [f"door-{number}" for number in range(TOGETHER)]
        await asyncio.gather(*(connect(http, host, clip, index % 8 == 0, room) for room in rooms))
    before = await tallied(http, host)
    samples, blind, started = [before], 0, time.monotonic()
    for index in range(options.connects):
        blind += not await connect(http, host, clip, index % 2 == 0)
        if (index + 1) % max(1, options.connects // 8) == 0:
            samples.append(await tallied(http, host))
    after = await tallied(http, host)
    growth = 100 * (after["resident_mb"] / before["resident_mb"] - 1)
    more = {name: after[name] - before[name] for name in ("tasks", "descriptors", "threads")}
    return {
        "connects": options.connects,
        "warm": options.warm,
        "seconds": round(time.monotonic() - started, 1),
        "viewers_that_saw_nothing": blind,
        "at_first": first,
        "before": before,
        "after": after,
        "more": more,
        "memory_growth_percent": round(growth, 2),
        "samples": samples,
        "met": not blind and more["tasks"] <= 0 and more["descriptors"] <= 0 and growth <= MOST_GROWTH,
    }


async def foreign(http: aiohttp.ClientSession, host: Host, options: argparse.Namespace) -> dict[str, Any]:
    start = time.monotonic()
    video = NumberedVideo(FPS, start)
    patient, viewer = Peer(), Peer()
    patient.sends(video, Clicks(start))
    viewer.receives("video", "audio")
    try:
        await patient.call(http, *host.link(Role.PATIENT, "call"))
        await viewer.call(http, *host.link(Role.VIEWER, "call"), prompt=True)
        await _pictures(viewer, 20.0)
        ports = [target for peer in (patient, viewer) for target in _CANDIDATE.findall(peer.answer)]
        since = time.monotonic()
        sent = await _throw(ports, options.foreign, options.rate)
        await asyncio.sleep(2.0)
        until = time.monotonic()
        seen = [at for at, number in viewer.watched.numbers if number is not None and at >= since]
        gaps = [after - before for before, after in zip([since, *seen], [*seen, until], strict=True)]
        states = [peer.connection.connectionState for peer in (patient, viewer)]
        facts = await host.readiness(http)
        async with http.get(f"{host.admin}/metrics") as response:
            dropped = dict(re.findall(r'dropped_frames_total\{cause="(.*?)"\} (\S+)', await response.text()))
        return {
            "datagrams": sent,
            "ports": len(ports),
            "seconds": round(until - since, 1),
            "pictures_meanwhile": len(seen),
            "cards_meanwhile": viewer.watched.cards(since),
            "longest_gap_s": round(max(gaps), 2),
            "states": states,
            "sessions_at_the_relay": facts["sessions"],
            "dropped_by_the_patients_guard": dropped,
            "met": states == ["connected"] * 2 and facts["sessions"] == 2 and max(gaps) <= LONGEST_GAP,
        }
    finally:
        await asyncio.gather(patient.close(), viewer.close())


async def _pictures(viewer: Peer, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not any(number is not None for _, number in viewer.watched.numbers):
        if time.monotonic() > end:
            raise RuntimeError(f"no picture with a number came within {seconds:g} s")
        await asyncio.sleep(0.05)


async def _throw(ports: list[tuple[str, str]], count: int, rate: float) -> dict[str, int]:
    """Sends ``count`` datagrams, ``rate`` a second, over all ``ports`` and kinds, from 16 sockets."""
    random, sent = Random(1), dict.fromkeys(_LIKE, 0)
    targets, kinds = cycle(ports), cycle(_LIKE.items())
    families = {"v4": socket.AF_INET, "v6": socket.AF_INET6}
    sockets = {
        name: cycle([socket.socket(family, socket.SOCK_DGRAM) for _ in range(16)])
        for name, family in families.items()
    }
    for index in range(count):
        name, start = next(kinds)
        if index % len(_LIKE) == 0:
            address, port = next(targets)
        data = start + random.randbytes(random.randrange(0, 200)) if start else b""
        next(sockets["v6" if ":" in address else "v4"]).sendto(data, (address, int(port)))
        sent[name] += 1
        if index % 20 == 19:
            await asyncio.sleep(20 / rate)
    for ring in sockets.values():
        for _ in range(16):
            next(ring).close()
    return sent


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    timeout = aiohttp.ClientTimeout(30.0)
    report: dict[str, Any] = {"machine": machine()}
    async with running("relay") as host, aiohttp.ClientSession(timeout=timeout) as http:
        if options.connects:
            report["connects"] = await connects(http, host, options)
        if options.foreign:
            report["foreign"] = await foreign(http, host, options)
        report["errors_in_the_log"] = host.errors()
    report["load"] = machine()["load"]
    parts = [report[name] for name in ("connects", "foreign") if name in report]
    report["met"] = all(part["met"] for part in parts) and not report["errors_in_the_log"]
    return report


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connects", type=int, default=200, help="0: none")
    parser.add_argument("--warm", type=int, default=60, help="connects before the counting begins")
    parser.add_argument("--foreign", type=int, default=10_000, help="datagrams of strangers; 0: none")
    parser.add_argument("--rate", type=float, default=1000.0, help="of these, a second")
    return run_measurement(parser, measure)


if __name__ == "__main__":
    sys.exit(main())
