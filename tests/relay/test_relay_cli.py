"""The command line of the relay: what it prints, what it loads, how it starts and ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest

from streamfilter.relay.cli import main
from streamfilter.relay.ports import Role
from streamfilter.relay.security.tokens import Tokens

SECRET = "0123456789abcdef0123456789abcdef"
RUN = [sys.executable, "-c", "import sys; from streamfilter.relay.cli import main; sys.exit(main())"]
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("PHYSIORELAY_")}


@pytest.fixture
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHYSIORELAY_SECRET", SECRET)


@pytest.mark.usefixtures("_secret")
def test_links_let_in_the_right_role_for_the_right_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["link", "--room", "r1", "--hours", "2", "--public-url", "https://relay.example"]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    for role in Role:
        url = urlsplit(lines[role.value])
        assert (url.scheme, url.netloc, url.path, url.query) == (
            "https",
            "relay.example",
            f"/{role.value}",
            "",
        )
        grant = Tokens(SECRET.encode()).check(parse_qs(url.fragment)["t"][0])
        assert (grant.room, grant.role) == ("r1", role)
        assert grant.expires - time.time() == pytest.approx(7200.0, abs=10.0)


@pytest.mark.usefixtures("_secret")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["link"], "--room"),
        (["link", "--room", "a/b"], "no name of a room"),
        (["link", "--room", "r", "--hours", "25"], "86400"),
        (["link", "--room", "r", "--port", "0"], "public_url"),
        (["--max-rooms", "many"], "--max-rooms"),
        (["--secret", "x"], "unrecognized arguments"),
        (["--host", "0.0.0.0"], "without TLS"),
        (["nonsense"], "unrecognized arguments"),
    ],
)
def test_mistakes_are_said_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("physio-relay: ") and len(said.splitlines()) == 1


def test_without_a_secret_it_says_how_to_make_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PHYSIORELAY_SECRET", raising=False)
    assert main([]) == 2
    assert "physio-relay secret --out" in capsys.readouterr().err


def test_a_secret_is_printed_or_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["secret"]) == 0
    assert re.fullmatch(r"[\w-]{43}\n", capsys.readouterr().out)
    assert main(["secret", "--out", str(tmp_path / "s")]) == 0
    assert capsys.readouterr().out == ""
    assert main(["secret", "--out", str(tmp_path / "s")]) == 4


def without(modules: list[str], arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """The program where ``modules`` are not installed."""
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({modules!r}))\n"
        "from streamfilter.relay.cli import main\n"
        f"sys.exit(main({arguments!r}))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=ENVIRON | {"PHYSIORELAY_SECRET": SECRET},
        check=False,
    )


def test_help_needs_neither_media_nor_the_extra() -> None:
    done = without(["aiortc", "jwt", "prometheus_client", "aiohttp", "cv2", "torch"], ["--help"])
    assert done.returncode == 0 and "--max-rooms" in done.stdout and done.stderr == ""


@pytest.mark.parametrize(("missing", "arguments"), [("aiortc", []), ("jwt", ["link", "--room", "r"])])
def test_without_the_extra_it_says_what_to_install(missing: str, arguments: list[str]) -> None:
    done = without([missing], arguments)
    assert done.returncode == 6
    assert "pip install 'physio-cam[relay]'" in done.stderr and "Traceback" not in done.stderr


def test_it_serves_tells_its_health_and_ends_at_sigterm(tmp_path: Path) -> None:
    admin = _free_port()
    environ = ENVIRON | {
        "PHYSIORELAY_SECRET": SECRET,
        "PHYSIORELAY_PORT": "0",
        "PHYSIORELAY_ADMIN_PORT": str(admin),
        "PHYSIORELAY_AUDIT_FILE": str(tmp_path / "audit"),
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(RUN, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        serving = json.loads(process.stderr.readline())
        assert serving["message"] == "serving" and serving["admin_port"] == admin
        assert re.search(r"@sha256:[0-9a-f]{64}$", serving["artifact"])
        with urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=5.0) as answer:
            assert b"physio_relay_rooms 0.0" in answer.read()
        assert subprocess.run([*RUN, "health"], env=environ, check=False, capture_output=True).returncode == 0
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=10.0)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert [json.loads(line)["message"] for line in rest.splitlines()] == ["draining", "ended"]
    assert (tmp_path / "audit").read_text() == ""
    assert subprocess.run([*RUN, "health"], env=environ, check=False, capture_output=True).returncode == 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
