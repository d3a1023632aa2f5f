"""Network namespaces for the peers and for the relay, and a line between them that can be made bad."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

RELAY_ADDRESS, PEERS_ADDRESS, BITS = "10.77.0.1", "10.77.0.2", 30


@dataclass(frozen=True)
class Scenario:
    """What is wrong with the line, in both directions. loss: 0 to 1; ``cut``: nothing comes through."""

    name: str
    loss: float = 0.0
    delay: float = 0.0  # seconds, of each direction
    cut: bool = False


@dataclass(frozen=True)
class Counts:
    """Packets since the line was laid, of both directions."""

    carried: int
    lost: int


# Makes the line as it is wanted; what it carried so far, None where netem does not tell.
Set = Callable[[Scenario], Awaitable[Counts | None]]


@asynccontextmanager
async def wire(far: str) -> AsyncIterator[Set]:
    """The line of scripts/relay_wire.py, from this namespace to ``far``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("relay_wire.py")),
        *("--far", far),
        *("--near-address", f"{PEERS_ADDRESS}/{BITS}", "--far-address", f"{RELAY_ADDRESS}/{BITS}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    orders, answers = process.stdin, process.stdout
    if orders is None or answers is None:
        raise RuntimeError("the line has no pipes")
    if not await answers.readline():
        raise RuntimeError("the line between the namespaces cannot be laid: see the message above")

    async def set_line(wanted: Scenario) -> Counts:
        order = {"loss": wanted.loss, "delay": wanted.delay, "cut": wanted.cut}
        orders.write(json.dumps(order).encode() + b"\n")
        return Counts(**json.loads(await answers.readline()))

    try:
        yield set_line
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def netem(far: str) -> AsyncIterator[Set]:
    """netem at both ends of a veth pair that is there already."""

    async def set_line(wanted: Scenario) -> None:
        loss = 1.0 if wanted.cut else wanted.loss
        how = ["netem", "loss", f"{100 * loss:g}%", "delay", f"{1000 * wanted.delay:g}ms", "limit", "2000"]
        for command in (["tc"], ["tc", "-n", far]):
            device = "pcnear" if command == ["tc"] else "pcfar"
            subprocess.run([*command, "qdisc", "replace", "dev", device, "root", *how], check=True)

    yield set_line


@contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """Names of the peers' and the relay's."""
    names = (f"pcpeers{os.getpid()}", f"pcrelay{os.getpid()}")
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
            subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


def lay_veth(near: str, far: str) -> bool:
    """A veth pair with netem on it; False where this kernel has no netem, and nothing is left then."""
    ends = (near, "pcnear", PEERS_ADDRESS), (far, "pcfar", RELAY_ADDRESS)
    pair = ["link", "add", "pcnear", "netns", near, "type", "veth", "peer", "name", "pcfar", "netns", far]
    if subprocess.run(["ip", *pair], check=False).returncode:
        return False
    for space, device, address in ends:
        subprocess.run(["ip", "-n", space, "addr", "add", f"{address}/{BITS}", "dev", device], check=True)
        subprocess.run(["ip", "-n", space, "link", "set", device, "up"], check=True)
    tried = ["tc", "-n", near, "qdisc", "replace", "dev", "pcnear", "root", "netem", "loss", "0%"]
    has = shutil.which("tc") is not None and not subprocess.run(tried, capture_output=True).returncode
    if not has:
        subprocess.run(["ip", "-n", near, "link", "del", "pcnear"], check=True)
    return has
