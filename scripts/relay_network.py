"""Calls through physio-relay over a bad line: loss, delay and a black-out, between two network namespaces.

python scripts/relay_network.py [--seconds 30] [--blackout 30] [--only loss-5 ...] [--out network.json]

Needs root and ``ip``. The relay is in one namespace, patient and viewer in another; what is between them is
bad in both directions, for signalling too. It is netem on a veth pair where the kernel has it, else
scripts/relay_wire.py; the report says which. Peers whose connection has failed come back by a new offer, as
the pages do. Told for each scenario: pictures a second and latency while it is bad, the longest time without
a picture, and how long after the line is well again (or, under loss, after each stop of pictures) they go on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp

from scripts.relay_clip import Clicks, NumberedVideo
from scripts.relay_host import Host, end_orderly, machine, running, spread, write_report
from scripts.relay_lines import RELAY_ADDRESS, Counts, Scenario, Set, lay_veth, namespaces, netem, wire
from scripts.relay_peers import Peer, Refused
from streamfilter.relay.ports import Role

MOST_RECOVERY = 5.0  # seconds
FPS = 15.0
STOP = 1.0  # seconds without a picture that count as a stop
_AGAIN, _CALL_SECONDS = 0.5, 4.0
_WELL_SECONDS = 8.0  # after the line is well again
SKIPPED = 77  # exit code
SCENARIOS = (
    Scenario("loss-1", loss=0.01),
    Scenario("loss-5", loss=0.05),
    Scenario("loss-10", loss=0.10),
    Scenario("delay-200", delay=0.2),
    Scenario("blackout", cut=True),
)


@dataclass
class Side:
    """One side of the call, kept alive by new offers. ``calls``: how many there were."""

    role: Role
    make: Callable[[Peer], None]
    peer: Peer = field(default_factory=Peer)
    calls: int = 0

    async def keep(self, http: aiohttp.ClientSession, host: Host) -> None:
        watched = self.peer.watched
        while True:
            if self.calls == 0 or self.peer.over:
                before, self.peer = self.peer, Peer()
                self.peer.watched = watched
                await before.close()
                self.make(self.peer)
                with suppress(aiohttp.ClientError, TimeoutError, Refused, ConnectionError):
                    await self.peer.call(http, *host.link(self.role, "call"), prompt=self.role is Role.VIEWER)
                    self.calls += 1
                    await asyncio.sleep(_CALL_SECONDS)
                    continue
                await self.peer.close()
            await asyncio.sleep(_AGAIN)


async def scenario(
    http: aiohttp.ClientSession, host: Host, bad: Scenario, set_line: Set, options: argparse.Namespace
) -> dict[str, Any]:
    start = time.monotonic()
    video = NumberedVideo(FPS, start)

    def patient(peer: Peer) -> None:
        nonlocal video
        again = NumberedVideo(FPS, start)
        again.sent, video = video.sent, again
        peer.sends(video, Clicks(start))

    sides = [
        Side(Role.PATIENT, patient),
        Side(Role.VIEWER, lambda peer: peer.receives("video", "audio")),
    ]
    seen = sides[1].peer.watched
    tasks = [asyncio.create_task(side.keep(http, host)) for side in sides]
    try:
        await set_line(Scenario("well"))
        end = time.monotonic() + 20.0
        while not any(number is not None for _, number in seen.numbers):
            if time.monotonic() > end:
                raise RuntimeError("no picture with a number came within 20 s over a good line")
            await asyncio.sleep(0.05)
        await asyncio.sleep(options.settle)
        before = await set_line(bad)
        began = time.monotonic()
        await asyncio.sleep(options.blackout if bad.cut else options.seconds)
        behind = await set_line(Scenario("well"))
        well = time.monotonic()
        calls = [side.calls for side in sides]
        await asyncio.sleep(_WELL_SECONDS)
        over = time.monotonic()
        pictures = [at for at, number in seen.numbers if number is not None]
        during = [at for at in pictures if began <= at < well]
        after = [at for at in pictures if at >= well]
        gaps = [late - early for early, late in zip([began, *during], [*during, well], strict=True)]
        latencies = seen.latencies(video.sent, began, well)
        recovery = after[0] - well if after else None
        steady = sum(at >= over - 3.0 for at in pictures) / 3.0
        stops = [round(gap, 2) for gap in gaps if gap > STOP]
        goes_on = recovery is not None and recovery <= MOST_RECOVERY and steady >= 0.8 * FPS
        if not bad.cut:
            goes_on = goes_on and max(gaps) <= MOST_RECOVERY
        return {
            "scenario": bad.name,
            "seconds": round(well - began, 1),
            "packets": _told(before, behind),
            "fps_meanwhile": round(len(during) / (well - began), 2),
            "cards_meanwhile": sum(number is None and began <= at < well for at, number in seen.numbers),
            "latency_ms": spread(latencies),
            "stops_s": stops,
            "longest_gap_s": round(max(gaps), 2),
            "recovery_s": None if recovery is None else round(recovery, 2),
            "fps_at_the_end": round(steady, 2),
            "new_offers": {side.role.value: side.calls - 1 for side in sides},
            "new_offers_after": [side.calls - count for side, count in zip(sides, calls, strict=True)],
            "load": machine()["load"],
            "met": goes_on,
        }
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(side.peer.close() for side in sides))


def _told(before: Counts | None, after: Counts | None) -> dict[str, float] | None:
    if before is None or after is None:
        return None
    carried, lost = after.carried - before.carried, after.lost - before.lost
    return {"carried": carried, "lost_percent": round(100 * lost / max(carried + lost, 1), 1)}


async def inside(options: argparse.Namespace) -> dict[str, Any]:
    """In the peers' namespace."""
    line = netem if options.line == "netem" else wire
    prefix = ("ip", "netns", "exec", options.far)
    # A proxy with TLS is what a relay that listens beyond loopback wants in front of it.
    flags = ("--behind-proxy",)
    timeout = aiohttp.ClientTimeout(_CALL_SECONDS)
    async with (
        line(options.far) as set_line,
        running(prefix=prefix, flags=flags, host=RELAY_ADDRESS) as host,
        aiohttp.ClientSession(timeout=timeout) as http,
    ):
        results = []
        for bad in SCENARIOS:
            if not options.only or bad.name in options.only:
                results.append(await scenario(http, host, bad, set_line, options))
        errors = host.errors()
    return {
        "machine": machine(),
        "line": "netem on a veth pair"
        if options.line == "netem"
        else "tun devices and scripts/relay_wire.py",
        "both_directions": True,
        "bars": {"recovery_s": MOST_RECOVERY},
        "results": results,
        "errors_in_the_log": errors,
        "met": all(result["met"] for result in results) and not errors,
    }


def outside(options: argparse.Namespace) -> dict[str, Any] | None:
    """Makes the namespaces and runs this script in the peers' one."""
    with namespaces() as (near, far), tempfile.TemporaryDirectory() as folder:
        line = options.line
        if line != "wire":
            has_netem = lay_veth(near, far)
            if line == "netem" and not has_netem:
                print("skipped: this kernel has no netem; use --line wire", file=sys.stderr)
                return None
            line = "netem" if has_netem else "wire"
        out = Path(folder) / "report"
        again = ["--seconds", str(options.seconds), "--blackout", str(options.blackout)]
        again += ["--settle", str(options.settle), "--line", line, "--far", far, "--out", str(out)]
        again += ["--only", *options.only] if options.only else []
        command = ["ip", "netns", "exec", near, sys.executable, str(Path(__file__).resolve()), *again]
        measuring = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            measuring.wait()
        finally:
            measuring.terminate()
            try:
                measuring.wait(20.0)
            except subprocess.TimeoutExpired:
                measuring.kill()
        if not out.exists():
            raise RuntimeError("the measurement broke off: see the message above")
        report: dict[str, Any] = json.loads(out.read_text())
        return report


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="of each scenario but the black-out")
    parser.add_argument("--blackout", type=float, default=30.0, help="seconds")
    parser.add_argument("--settle", type=float, default=3.0, help="seconds after the first picture")
    parser.add_argument("--line", choices=("auto", "netem", "wire"), default="auto")
    parser.add_argument("--only", nargs="+", choices=[one.name for one in SCENARIOS])
    parser.add_argument("--out", type=Path, help="also write the report as JSON")
    parser.add_argument("--far", help=argparse.SUPPRESS)
    options = parser.parse_args()
    end_orderly()
    if options.far is not None:
        report: dict[str, Any] | None = asyncio.run(inside(options))
    elif os.geteuid() != 0 or shutil.which("ip") is None:
        print("skipped: network namespaces need root and ip (Debian: iproute2)", file=sys.stderr)
        return SKIPPED
    else:
        report = outside(options)
    if report is None:
        return SKIPPED
    write_report(report, options.out)
    return 0 if report["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
