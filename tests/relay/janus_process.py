"""A real Janus on the loopback, with a configuration folder of its own and free ports."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamfilter.relay.cluster.janus import JanusServer

API_SECRET = "api-secret-of-the-tests"
TOKEN_SECRET = "token-secret-of-the-tests"
ADMIN_KEY = "admin-key-of-the-tests"
TEMPLATES = Path(__file__).resolve().parents[2] / "deploy" / "relay" / "janus"
_STARTS_WITHIN = 10.0


@dataclass
class JanusProcess:
    """A running Janus. ``server`` opens it with the cluster's secret."""

    server: JanusServer
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)


def need_janus() -> str:
    """The path of Janus; skips the test where it is not installed."""
    found = shutil.which("janus")
    if found is None:
        pytest.skip("janus is not installed (Debian's package janus)")
    return found


@contextmanager
def running_janus(folder: Path, name: str) -> Iterator[JanusProcess]:
    """Starts a Janus and waits until it listens."""
    program = need_janus()
    address = own_address()
    port, first = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
    home = folder / name
    home.mkdir(parents=True)
    values = {
        "API_SECRET": API_SECRET,
        "TOKEN_SECRET": TOKEN_SECRET,
        "ADMIN_KEY": ADMIN_KEY,
        "WS_ADDRESS": "127.0.0.1",
        "ADDRESS": address,
        "WS_PORT": str(port),
        "RTP_PORTS": f"{first}-{min(first + 200, 65535)}",
        "SERVER_NAME": name,
    }
    for template in TEMPLATES.glob("*.jcfg.in"):
        text = template.read_text()
        for key, value in values.items():
            text = text.replace(f"@{key}@", value)
        (home / template.name.removesuffix(".in")).write_text(text)
    log = home / "janus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "-F", str(home), "-o"], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    server = JanusServer(name, f"ws://127.0.0.1:{port}", API_SECRET, None, ADMIN_KEY, address)
    running = JanusProcess(server, process, log)
    try:
        _await_listening(running, port)
        yield running
    finally:
        running.stop()


def own_address() -> str:
    """An address of this machine that Janus offers: it leaves the loopback out. Skips where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of documentation (RFC 5737): nothing is sent
        except OSError:
            pytest.skip("this machine has no address but the loopback's, which Janus does not offer")
        return str(probe.getsockname()[0])


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_listening(running: JanusProcess, port: int) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < deadline and running.process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"Janus does not listen:\n{running.log.read_text()[-2000:]}")
