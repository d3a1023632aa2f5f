"""How many sessions a relay serves: patients with one viewer each are added until one is refused.

python scripts/relay_capacity.py [--cores 2] [--fps 15] [--seconds 20] [--settle 6] [--out capacity.json]

The relay is a real physio-relay in its own process, held to ``--cores`` processors. The patients send what
was encoded beforehand, so they cost little; they and the viewers run in this process, whose processor time is
told as well, and that of all other programs: where they take much, the run says little. When the relay has
refused one, all that it took are measured once more: pictures a second at the viewer, latency from the
patient's sending to the viewer's decoding, cards. Exit code 1 where a bar is not met.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp

from scripts.relay_clip import HEIGHT, WIDTH, EncodedVideo, encode_clip
from scripts.relay_host import (
    Host,
    busy_seconds,
    cpu_seconds,
    machine,
    run_measurement,
    running,
    spread,
)
from scripts.relay_peers import Peer, Refused
from streamfilter.relay.ports import Role

LEAST_SESSIONS, LEAST_FPS = 4, 14.0
FIRST_SECONDS = 20.0


@dataclass
class Session:
    """A patient and its viewer."""

    patient: Peer
    viewer: Peer
    video: EncodedVideo

    def live(self) -> bool:
        return any(number is not None for _, number in self.viewer.watched.numbers)

    def report(self, since: float, seconds: float) -> dict[str, Any]:
        latencies = self.viewer.watched.latencies(self.video.sent, since)
        return {
            "fps_out": round(len(latencies) / seconds, 2),
            "latency_ms": spread(latencies),
            "cards": self.viewer.watched.cards(since),
        }

    async def close(self) -> None:
        await asyncio.gather(self.patient.close(), self.viewer.close())


async def add(http: aiohttp.ClientSession, host: Host, room: str, clip: list[bytes], fps: float) -> Session:
    """One more session, once its viewer sees it. Raises Refused."""
    video = EncodedVideo(clip, fps, time.monotonic())
    made = Session(Peer(), Peer(), video)
    made.patient.sends(video)
    made.viewer.receives("video")
    try:
        await made.patient.call(http, *host.link(Role.PATIENT, room))
        await made.viewer.call(http, *host.link(Role.VIEWER, room), prompt=True)
        end = time.monotonic() + FIRST_SECONDS
        while not made.live() and time.monotonic() < end:
            await asyncio.sleep(0.05)
    except Refused:
        await made.close()
        raise
    return made


async def level(
    sessions: list[Session], host: Host, http: aiohttp.ClientSession, seconds: float
) -> dict[str, Any]:
    """What ``seconds`` of the sessions there are now show. Processor time in processors."""
    since, relay, own, all_of_it = (
        time.monotonic(),
        cpu_seconds(host.pid),
        time.process_time(),
        busy_seconds(),
    )
    await asyncio.sleep(seconds)
    seconds = time.monotonic() - since
    relay, own = (cpu_seconds(host.pid) - relay) / seconds, (time.process_time() - own) / seconds
    others = max((busy_seconds() - all_of_it) / seconds - relay - own, 0.0)
    told = [session.report(since, seconds) for session in sessions]
    return {
        "sessions": len(sessions),
        "least_fps_out": min(one["fps_out"] for one in told),
        "worst_latency_p99_ms": max((one["latency_ms"]["p99"] or 0.0 for one in told), default=None),
        "each": told,
        "relay_processors": round(relay, 2),
        "peers_processors": round(own, 2),
        "others_processors": round(others, 2),
        "relays_own_share": round((await host.readiness(http))["load"]["share"], 3),
        "load": machine()["load"],
    }


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    clip = encode_clip(options.fps, options.kbps)
    usable = sorted(os.sched_getaffinity(0))[: options.cores]
    sessions: list[Session] = []
    levels: list[dict[str, Any]] = []
    refused: dict[str, Any] | None = None
    timeout = aiohttp.ClientTimeout(30.0)
    async with running(cores=usable) as host, aiohttp.ClientSession(timeout=timeout) as http:
        try:
            await asyncio.sleep(options.settle)  # the relay tries what its filter costs
            while len(sessions) < options.most and refused is None:
                try:
                    room = f"room-{len(sessions)}"
                    sessions.append(await add(http, host, room, clip, options.fps))
                except Refused as refusal:
                    refused = _told(refusal)
                    break
                await asyncio.sleep(options.settle)
                levels.append(await level(sessions, host, http, options.brief))
            full = await level(sessions, host, http, options.seconds) if sessions else None
        finally:
            await asyncio.gather(*(session.close() for session in sessions))
    served = 0 if full is None else sum(one["fps_out"] >= LEAST_FPS for one in full["each"])
    return {
        "machine": machine() | {"relay_on_processors": len(usable)},
        "picture": f"{WIDTH}x{HEIGHT} at {options.fps:g} fps, VP8, {options.kbps} kbit/s, no sound",
        "bars": {"sessions": LEAST_SESSIONS, "fps_out": LEAST_FPS, "one_too_many": 503},
        "taken": len(sessions),
        "served_in_full": served,
        "refused": refused,
        "full": full,
        "on_the_way": levels,
        "met": served >= LEAST_SESSIONS
        and served == len(sessions)
        and refused is not None
        and refused["status"] == 503
        and bool(refused["reason"]),
    }


def _told(refusal: Refused) -> dict[str, Any]:
    try:
        reason = json.loads(refusal.reason)["title"]
    except (ValueError, KeyError, TypeError):
        reason = refusal.reason
    return {"status": refusal.status, "reason": reason, "retry_after": refusal.retry_after}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cores", type=int, default=2, help="processors of the relay")
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--kbps", type=int, default=800, help="of each patient")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the measurement with all")
    parser.add_argument("--brief", type=float, default=5.0, help="seconds of each measurement on the way")
    parser.add_argument("--settle", type=float, default=6.0, help="seconds after each session that comes")
    parser.add_argument("--most", type=int, default=40, help="sessions to stop at")
    return run_measurement(parser, measure)


if __name__ == "__main__":
    sys.exit(main())
