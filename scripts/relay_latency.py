"""Glass-to-glass latency that the relay adds, and sound against picture at the receiver.

python scripts/relay_latency.py [--seconds 15] [--rounds 2] [--fps 15 30] [--codec VP8] [--out latency.json]

The same clip goes four ways, one after the other, round after round: from aiortc to aiortc directly; through
a relay of plain aiortc, which decodes and encodes anew (the fair floor); through physio-relay without its
filter; through physio-relay. Patient and viewer are in this process, relays in their own. A picture's latency
is from when the patient's encoder gets it until the viewer has decoded it. ``viewer: aiortc`` is aiortc's own
receiver, which holds each picture back until the next begins; ``prompt`` decodes at once, as browsers do, and
is where sound is compared with picture (positive: the sound is late). Exit code 1 where a bar is not met.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp

from scripts.relay_clip import HEIGHT, WIDTH, Clicks, NumberedVideo
from scripts.relay_host import Host, machine, run_measurement, running, spread
from scripts.relay_peers import Peer
from streamfilter.relay.ports import Role

DIRECT, FLOOR, UNFILTERED, RELAY = "loopback", "aiortc_relay", "relay_without_filter", "relay"
WAYS = (DIRECT, FLOOR, UNFILTERED, RELAY)
KIND = {FLOOR: "aiortc", UNFILTERED: "unfiltered", RELAY: "physio-relay"}
MOST_ADDED, MOST_OFFSET = 20.0, 20.0  # ms
FIRST_SECONDS = 20.0  # for the first picture


@dataclass
class Figures:
    latencies: list[float] = field(default_factory=list)
    offsets: list[float] = field(default_factory=list)
    cards: int = 0
    lost: int = 0

    def report(self) -> dict[str, Any]:
        return {
            "latency_ms": spread(self.latencies),
            "sound_after_picture_ms": spread(self.offsets),
            "cards": self.cards,
            "not_seen": self.lost,
        }


async def segment(
    http: aiohttp.ClientSession, host: Host | None, room: str, options: argparse.Namespace, fps: float,
    prompt: bool, figures: Figures,
) -> None:  # fmt: skip
    """One call of one way."""
    start = time.monotonic() + 0.2
    video, sound = NumberedVideo(fps, start), Clicks(start)
    patient, viewer = Peer(), Peer()
    patient.sends(video, sound, codec=options.codec)
    try:
        if host is None:
            await patient.call_directly(viewer, prompt)
        else:
            await patient.call(http, *host.link(Role.PATIENT, room))
            viewer.receives("video", "audio", codec=options.codec)
            await viewer.call(http, *host.link(Role.VIEWER, room), prompt=prompt)
        end = time.monotonic() + FIRST_SECONDS
        while not any(number is not None for _, number in viewer.watched.numbers):
            if time.monotonic() > end:
                raise RuntimeError(f"{room}: no picture with a number came within {FIRST_SECONDS:g} s")
            await asyncio.sleep(0.05)
        await asyncio.sleep(options.settle)
        since, before = time.monotonic(), video.sent.count
        await asyncio.sleep(options.seconds)
        got = viewer.watched.latencies(video.sent, since)
        figures.latencies += got
        figures.offsets += viewer.watched.offsets(since)
        figures.cards += viewer.watched.cards(since)
        figures.lost += max(0, video.sent.count - before - len(got))
    finally:
        for peer in (patient, viewer):
            if host is not None and peer.location and host.admin.rpartition(":")[2] != "0":
                role = Role.PATIENT if peer is patient else Role.VIEWER
                headers = {"Authorization": f"Bearer {host.link(role, room)[1]}"}
                async with http.delete(host.url + peer.location, headers=headers):
                    pass
        await asyncio.gather(patient.close(), viewer.close())


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    figures: defaultdict[tuple[float, str, str], Figures] = defaultdict(Figures)
    loads = [machine()["load"]]
    async with AsyncExitStack() as stack:
        hosts: dict[str, Host | None] = {DIRECT: None}
        for way, kind in KIND.items():
            hosts[way] = await stack.enter_async_context(running(kind))
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30.0)))
        for turn in range(options.rounds):
            for fps in options.fps:
                for viewer in options.viewer:
                    for way in WAYS:
                        room = f"{way}-{turn}-{fps:g}-{viewer}"
                        kept = figures[fps, viewer, way]
                        await segment(http, hosts[way], room, options, fps, viewer == "prompt", kept)
            loads.append(machine()["load"])
    results = [
        _compared(fps, viewer, {way: figures[fps, viewer, way] for way in WAYS})
        for fps in options.fps
        for viewer in options.viewer
    ]
    return {
        "machine": machine() | {"loads": loads},
        "picture": f"{WIDTH}x{HEIGHT}, {options.codec}",
        "seconds_of_each": options.seconds * options.rounds,
        "bars": {"added_p50_ms": MOST_ADDED, "sound_against_picture_ms": MOST_OFFSET},
        "results": results,
        "met": all(result["met"] for result in results),
    }


def _compared(fps: float, viewer: str, ways: dict[str, Figures]) -> dict[str, Any]:
    ways_told = {way: figures.report() for way, figures in ways.items()}

    def added(over: str, what: str) -> float | None:
        high, low = ways_told[RELAY]["latency_ms"][what], ways_told[over]["latency_ms"][what]
        return None if high is None or low is None else round(high - low, 1)

    more = added(DIRECT, "p50")
    offset = ways_told[RELAY]["sound_after_picture_ms"]["p50"]
    met = more is not None and more <= MOST_ADDED
    if viewer == "prompt":
        met = met and offset is not None and abs(offset) <= MOST_OFFSET
    return {
        "fps": fps,
        "viewer": viewer,
        "ways": ways_told,
        "added_over_loopback_ms": {"p50": more, "p99": added(DIRECT, "p99")},
        "added_over_aiortc_relay_ms": {"p50": added(FLOOR, "p50"), "p99": added(FLOOR, "p99")},
        "added_by_the_filter_ms": {"p50": added(UNFILTERED, "p50"), "p99": added(UNFILTERED, "p99")},
        "judged_by": "added over loopback, p50" + (", sound against picture" if viewer == "prompt" else ""),
        "met": met,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="of each way in each round")
    parser.add_argument("--settle", type=float, default=3.0, help="seconds after the first picture")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--fps", type=float, nargs="+", default=[15.0, 30.0])
    parser.add_argument("--viewer", nargs="+", choices=("aiortc", "prompt"), default=["aiortc", "prompt"])
    parser.add_argument("--codec", choices=("VP8", "H264"), default="VP8")
    return run_measurement(parser, measure)


if __name__ == "__main__":
    sys.exit(main())
