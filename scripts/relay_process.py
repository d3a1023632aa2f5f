"""A physio-relay in a process of its own, on free ports, for the scripts that call through it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from streamfilter.errors import EngineError
from streamfilter.relay.ports import Role
from streamfilter.relay.security.secret_files import new_secret
from streamfilter.relay.security.tokens import Tokens

_COMMAND = "from streamfilter.relay.cli import main; raise SystemExit(main())"
_START_SECONDS, _STOP_SECONDS = 60.0, 10.0
_TOKEN_SECONDS = 3600.0
_PREFIX = "physio_relay_"


@dataclass(frozen=True, slots=True)
class RelayCounts:
    """What the relay counted of its patients: ``dropped`` frames by cause, filter latency in ms."""

    frames: int
    shielded: int
    dropped: Mapping[str, int]
    latency_p50: float


@dataclass(frozen=True, slots=True)
class RunningRelay:
    """Where it listens, and the keeper of its links."""

    url: str
    admin_url: str
    tokens: Tokens

    def token(self, room: str, role: Role) -> str:
        """For one side of a room."""
        return self.tokens.issue(room, role, _TOKEN_SECONDS)

    def counts(self) -> RelayCounts:
        """Of the sessions so far. Raises EngineError where the relay does not answer."""
        try:
            with urlopen(f"{self.admin_url}/metrics", timeout=5.0) as answer:
                return read_counts(answer.read().decode())
        except OSError as error:
            raise EngineError(f"the relay does not tell its metrics: {error}; look at its log") from error


@contextlib.contextmanager
def running_relay(folder: Path, *flags: str) -> Iterator[RunningRelay]:
    """``folder``: for its log and its audit; ``flags``: as physio-relay takes them.

    Raises EngineError where it does not start.
    """
    secret = new_secret()
    log = folder / "relay.log"
    command = [sys.executable, "-c", _COMMAND, "--port", "0", "--admin-port", "0", "--drain-seconds", "0"]
    command += ["--audit-file", str(folder / "audit"), *flags]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PHYSIORELAY_")}
    environment["PHYSIORELAY_SECRET"] = secret
    root = Path(__file__).resolve().parent.parent
    with log.open("wb") as out, subprocess.Popen(command, cwd=root, env=environment, stderr=out) as process:
        try:
            port, admin_port = _ports(process, log)
            yield RunningRelay(
                f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}", Tokens(secret.encode())
            )
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _ports(process: subprocess.Popen[bytes], log: Path) -> tuple[int, int]:
    """From the line of the log that says where it serves."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        for line in log.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                said = json.loads(line)
                if said.get("message") == "serving":
                    return said["port"], said["admin_port"]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    said = (log.read_text().strip().splitlines() or ["nothing"])[-1]
    raise EngineError(f"physio-relay does not start; the last that it said: {said}")


def read_counts(metrics: str) -> RelayCounts:
    """From the text of a scrape (docs/relay.md lists its metrics)."""
    from prometheus_client.parser import text_string_to_metric_families

    values: dict[str, float] = {}
    dropped: dict[str, int] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            name = sample.name.removeprefix(_PREFIX)
            if name == "dropped_frames_total":
                dropped[sample.labels["cause"]] = int(sample.value)
            else:
                values[name + sample.labels.get("quantile", "")] = sample.value
    return RelayCounts(
        int(values["frames_total"]),
        int(values["shielded_frames_total"]),
        dropped,
        values["filter_latency_milliseconds0.5"],
    )
