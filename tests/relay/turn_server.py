"""A real coturn on loopback, with the configuration of deploy/relay."""

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

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "relay"
SECRET = b"a-secret-for-one-test-run-only-0123456789"
START = 10.0  # seconds


@dataclass(frozen=True)
class TurnServer:
    """Listens on 127.0.0.1 and, where there is IPv6, on ::1."""

    port: int
    ipv6: bool


@contextmanager
def turn_server(folder: Path, *more: str) -> Iterator[TurnServer]:
    """Runs ``turnserver`` until the end; ``folder`` holds its files, ``more`` are lines of its configuration.
    Skips where it is not installed."""
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("coturn is not installed (Debian: coturn)")
    port = _free_port()
    addresses = ["127.0.0.1", "::1"] if _has_ipv6() else ["127.0.0.1"]
    lines = [
        line
        for line in (DEPLOY / "turnserver.conf").read_text().splitlines()
        if not line.startswith(("listening-port", "pidfile"))
    ]
    lines += [
        f"listening-port={port}",
        *(f"{word}-ip={address}" for word in ("listening", "relay") for address in addresses),
        "realm=relay.test",
        f"static-auth-secret={SECRET.decode()}",
        f"pidfile={folder / 'turn.pid'}",
        f"userdb={folder / 'turn.db'}",
        *more,
    ]
    configuration = folder / "turnserver.conf"
    configuration.write_text("\n".join(lines) + "\n")
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "-c", str(configuration)], stdout=output, stderr=output, cwd=folder
        )
        try:
            _wait(port, process, log)
            yield TurnServer(port, "::1" in addresses)
        finally:
            process.terminate()
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"coturn did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _free_port() -> int:
    """One that is free for UDP and TCP."""
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        stream.bind(("127.0.0.1", 0))
        port: int = stream.getsockname()[1]
        datagrams.bind(("127.0.0.1", port))
    return port


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
