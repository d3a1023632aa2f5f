"""A line between two network namespaces that loses, delays and falls silent as it is told.

python scripts/relay_wire.py --far NAMESPACE --near-address 10.77.0.2/30 --far-address 10.77.0.1/30

Where the kernel has no netem, this stands for it: two tun devices, one here and one in the namespace
``--far``, and this process between them, which carries each IP packet over. Standard input takes lines of
JSON, {"loss": 0.05, "delay": 0.2, "cut": false}, for both directions; each is answered by a line of counts.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from random import Random

NEAR, FAR = "pcnear", "pcfar"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_MTU = 1500
_MOST_ON_THE_WAY = 2000  # packets in each direction; a line has a queue, not a cellar


@dataclass
class Line:
    """State of the line. loss: 0 to 1, of each direction; delay: seconds, of each direction."""

    loss: float = 0.0
    delay: float = 0.0
    cut: bool = False
    carried: int = 0
    lost: int = 0
    on_the_way: dict[int, int] = field(default_factory=dict)
    random: Random = field(default_factory=lambda: Random(1))

    def carry(self, source: int, sink: int) -> None:
        """Takes what waits at ``source`` over to ``sink``."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                packet = os.read(source, _MTU + 64)
            except BlockingIOError:
                return
            full = self.on_the_way.get(sink, 0) >= _MOST_ON_THE_WAY
            if self.cut or full or self.random.random() < self.loss:
                self.lost += 1
                continue
            self.carried += 1
            if self.delay:
                self.on_the_way[sink] = self.on_the_way.get(sink, 0) + 1
                loop.call_later(self.delay, self._arrive, sink, packet)
            else:
                _write(sink, packet)

    def _arrive(self, sink: int, packet: bytes) -> None:
        self.on_the_way[sink] -= 1
        if not self.cut:
            _write(sink, packet)

    def tell(self, line: bytes) -> None:
        wanted = json.loads(line)
        self.loss = wanted.get("loss", self.loss)
        self.delay = wanted.get("delay", self.delay)
        self.cut = wanted.get("cut", self.cut)
        print(json.dumps({"carried": self.carried, "lost": self.lost}), flush=True)


def _write(sink: int, packet: bytes) -> None:
    try:
        os.write(sink, packet)
    except (BlockingIOError, OSError):
        return  # the device is full or down: as lost as on any line


def _tun(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return device


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


async def _run(options: argparse.Namespace) -> None:
    near, far = _tun(NEAR), _tun(FAR)
    _ip("link", "set", FAR, "netns", options.far)
    _ip("addr", "add", options.near_address, "dev", NEAR)
    _ip("link", "set", NEAR, "up")
    _ip("-n", options.far, "addr", "add", options.far_address, "dev", FAR)
    _ip("-n", options.far, "link", "set", FAR, "up")
    line, loop = Line(), asyncio.get_running_loop()
    loop.add_reader(near, line.carry, near, far)
    loop.add_reader(far, line.carry, far, near)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    print(json.dumps({"ready": True}), flush=True)
    async for order in orders:
        line.tell(order)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--far", required=True, help="network namespace at the other end")
    parser.add_argument("--near-address", required=True)
    parser.add_argument("--far-address", required=True)
    asyncio.run(_run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
