"""Relays in processes of their own, for measuring: the real one, one without its filter, and plain aiortc.

python scripts/relay_host.py relay|unfiltered|aiortc [flags of physio-relay] is one of them.

At SIGUSR1 it writes a line of JSON to standard output: its asyncio tasks, threads, descriptors and memory.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp
import numpy as np
from aiohttp import web

from streamfilter.face_filter import FilteredFrame
from streamfilter.frame import Frame
from streamfilter.relay.ports import Role
from streamfilter.relay.security.tokens import Tokens

KINDS = ("physio-relay", "relay", "unfiltered", "aiortc")
_START_SECONDS = 60.0
_CLI = "import sys; from streamfilter.relay.cli import main; sys.exit(main())"
_LIMITS = {
    "max-rooms": 1000,
    "max-viewers-per-room": 100,
    "max-sessions-per-address": 10_000,
    "requests-per-minute": 100_000,
}


@dataclass
class Host:
    """A relay that runs. ``folder``: where its log is."""

    process: subprocess.Popen[bytes]
    url: str
    admin: str
    tokens: Tokens
    folder: Path

    @property
    def pid(self) -> int:
        """Of the relay itself, also where ``ip netns exec`` has become it."""
        return self.process.pid

    def link(self, role: Role, room: str) -> tuple[str, str]:
        """Where to offer, and the token to do it with."""
        path = "whip" if role is Role.PATIENT else "whep"
        return f"{self.url}/{path}/{room}", self.tokens.issue(room, role, 12 * 3600.0)

    def errors(self) -> list[str]:
        """Lines of the log that tell of an error."""
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return [line[:300] for line in lines if '"level": "error"' in line or "Traceback" in line]

    async def idle(self, http: aiohttp.ClientSession, seconds: float = 30.0) -> bool:
        """Waits until it has no session; False where it keeps one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if (await self.readiness(http))["sessions"] == 0:
                return True
            await asyncio.sleep(0.1)
        return False

    async def readiness(self, http: aiohttp.ClientSession) -> dict[str, Any]:
        async with http.get(f"{self.admin}/readyz") as response:
            facts: dict[str, Any] = await response.json()
            return facts

    async def tally(self) -> dict[str, float]:
        """Tasks, threads, descriptors and memory of a relay that was started as ``relay``."""
        path = self.folder / "tallies"
        before = path.stat().st_size
        self.process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + 10.0
        while time.monotonic() < end:
            await asyncio.sleep(0.05)
            lines = path.read_bytes()[before:].splitlines(keepends=True)
            if lines and lines[-1].endswith(b"\n"):
                counted: dict[str, float] = json.loads(lines[-1])
                return counted
        raise RuntimeError("the relay does not answer SIGUSR1")


@asynccontextmanager
async def running(
    kind: str = "physio-relay",
    prefix: Sequence[str] = (),
    cores: Sequence[int] = (),
    flags: Sequence[str] = (),
    host: str = "127.0.0.1",
) -> AsyncIterator[Host]:
    """A relay of ``kind`` in its own process, on free ports, ended afterwards.

    ``prefix``: what to run it by, as ``ip netns exec NAME``. ``cores``: processors that it may use. Raises
    RuntimeError with its log's end where it does not start.
    """
    secret = secrets.token_hex(32)
    program = ["-c", _CLI] if kind == "physio-relay" else [str(Path(__file__).resolve()), kind]
    limits = [part for name, value in _LIMITS.items() for part in (f"--{name}", str(value))]
    wanted = ["--host", host, "--port", "0", "--admin-port", "0", *limits, *flags]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PHYSIORELAY_")}
    environment |= {"PHYSIORELAY_SECRET": secret, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parent.parent)
    pinned = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "log").open("wb") as log, (folder / "tallies").open("wb") as tallies:
            process = subprocess.Popen(
                [*prefix, *pinned, sys.executable, *program, *wanted],
                stdout=tallies, stderr=log, env=environment, cwd=folder,
            )  # fmt: skip
            try:
                ports = await _serving(process, folder / "log")
                shown = f"[{host}]" if ":" in host else host
                base = f"http://{shown}:{ports['port']}"
                admin = f"http://127.0.0.1:{ports['admin_port']}"
                yield Host(process, base, admin, Tokens(secret.encode()), folder)
            finally:
                process.terminate()
                try:
                    await asyncio.to_thread(process.wait, 10.0)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


async def _serving(process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text(errors="replace").splitlines():
            if '"message": "serving"' in line:
                said: dict[str, Any] = json.loads(line)
                return said
        await asyncio.sleep(0.1)
    raise RuntimeError(f"the relay does not start:\n{log.read_text(errors='replace')[-2000:]}")


def cpu_seconds(pid: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """Processor seconds of all programs of this machine so far."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")  # but for idle and iowait


def machine() -> dict[str, object]:
    """For a report: the processors, and what else they were doing."""
    return {"cpus": os.cpu_count(), "load": [round(load, 1) for load in os.getloadavg()]}


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    """Median, 1st and 99th per cent, and how many there were."""
    if not values:
        return {"p50": None, "p1": None, "p99": None, "count": 0}
    low, middle, high = (round(float(value), 1) for value in np.percentile(values, (1, 50, 99)))
    return {"p50": middle, "p1": low, "p99": high, "count": len(values)}


def end_orderly() -> None:
    """From now on SIGTERM is as SIGINT, which asyncio takes for the end of its main task: all is put away."""
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))


def run_measurement(
    parser: argparse.ArgumentParser,
    measure: Callable[[argparse.Namespace], Coroutine[Any, Any, dict[str, Any]]],
) -> int:
    """``measure`` with the parser's options and ``--out``; 0 where its report says ``met``, else 1."""
    parser.add_argument("--out", type=Path, help="also write the report as JSON")
    options = parser.parse_args()
    end_orderly()
    report = asyncio.run(measure(options))
    write_report(report, options.out)
    return 0 if report["met"] else 1


def write_report(report: object, out: Path | None) -> None:
    text = json.dumps(report, indent=1)
    print(text)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")


class NoFilter:
    """Lets every (drawn) picture through as it is: for measuring what all but the filter takes."""

    def process(self, frame: Frame) -> FilteredFrame:
        # A copy: the guard takes a picture that is returned itself for one that nobody has edited.
        return FilteredFrame(frame.with_planes(frame.y.copy(), frame.u, frame.v), 1, None)

    def set_target(self, bpm: float) -> None:
        pass

    def set_strength(self, strength: float) -> None:
        pass

    def close(self) -> None:
        pass


async def _relay(arguments: list[str], filtered: bool) -> int:
    from streamfilter.relay import running as relay_running
    from streamfilter.relay.media import AiortcMedia
    from streamfilter.relay.setting_layers import load_settings

    names = [name.removeprefix("--").replace("-", "_") for name in arguments[::2]]
    settings = load_settings(dict(zip(names, arguments[1::2], strict=True)), os.environ)
    if not filtered:
        vars(relay_running)["AiortcMedia"] = partial(AiortcMedia, make_filter=lambda wanted: NoFilter())
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _write_tally)
    return await relay_running.serve(settings)


def _write_tally() -> None:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    counted = {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "resident_mb": round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 2),
    }
    print(json.dumps(counted), flush=True)


async def _plain_aiortc(arguments: list[str]) -> int:
    """Decodes and encodes anew by aiortc alone; no tokens, one patient and one viewer a room."""
    from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
    from aiortc.contrib.media import MediaRelay

    relayed: dict[str, list[Any]] = {}
    peers: list[RTCPeerConnection] = []
    fan = MediaRelay()

    async def offer(request: web.Request) -> web.Response:
        peer, room = RTCPeerConnection(RTCConfiguration(iceServers=[])), request.match_info["room"]
        peers.append(peer)
        await peer.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        if request.match_info["role"] == "whip":
            relayed[room] = [receiver.track for receiver in peer.getReceivers()]
        else:
            for transceiver in peer.getTransceivers():
                track = next(one for one in relayed[room] if one.kind == transceiver.kind)
                transceiver.sender.replaceTrack(fan.subscribe(track, buffered=False))
                transceiver.direction = "sendonly"
        await peer.setLocalDescription(await peer.createAnswer())
        where = {"Location": f"{request.path}/1"}
        return web.Response(status=201, text=peer.localDescription.sdp, headers=where)

    app = web.Application()
    app.add_routes([web.post("/{role:whip|whep}/{room}", offer)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, arguments[arguments.index("--host") + 1], 0)
    await site.start()
    port = runner.addresses[0][1]
    print(json.dumps({"message": "serving", "port": port, "admin_port": 0}), file=sys.stderr, flush=True)
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    await ending.wait()
    await asyncio.gather(*(peer.close() for peer in peers))
    await runner.cleanup()
    return 0


def main() -> int:
    kind, arguments = sys.argv[1], sys.argv[2:]
    if kind == "aiortc":
        return asyncio.run(_plain_aiortc(arguments))
    return asyncio.run(_relay(arguments, kind == "relay"))


if __name__ == "__main__":
    sys.exit(main())
