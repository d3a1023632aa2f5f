"""The container, compose and proxy files: that they fit each other and the program, and stay locked down."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from streamfilter.relay.setting_layers import KEYS, SECRETS, load_settings, variable

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "relay"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
CONTAINER = (DEPLOY / "Containerfile").read_text()
CADDY = (DEPLOY / "Caddyfile").read_text()
EXAMPLE = dict(
    line.split("=", 1)
    for line in (DEPLOY / "example.env").read_text().splitlines()
    if line and not line.startswith("#")
)


def filled(text: str) -> str:
    """``text`` as compose sees it, with the example's variables."""

    def value(found: re.Match[str]) -> str:
        name, default = found[1], found[2]
        return EXAMPLE.get(name) or (default or "").removeprefix(":-")

    return re.sub(r"\$\{(\w+)(:[-?][^}]*)?\}", value, text)


@pytest.mark.parametrize("name", ["relay", "turn", "proxy"])
def test_every_service_is_locked_down_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("cap_add", [])) <= {"NET_BIND_SERVICE"}
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "privileged" not in service


def test_the_container_runs_as_nobody_in_particular() -> None:
    last = CONTAINER.split("\nFROM ")[-1]
    assert re.search(r"^docker\.io/library/python:3\.13-slim$", last, re.MULTILINE)
    user = re.search(r"^USER (\d+):(\d+)$", last, re.MULTILINE)
    assert user is not None and int(user[1]) > 0 and f"--uid {user[1]}" in last
    assert 'CMD ["physio-relay", "health"]' in last and 'ENTRYPOINT ["physio-relay"]' in last
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINER, re.MULTILINE):
        for name in source.split():
            assert (DEPLOY.parents[1] / name).exists(), name


def test_every_variable_of_the_example_is_used_and_none_is_missing() -> None:
    used = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert used == set(EXAMPLE)


def test_the_relays_environment_makes_settings(tmp_path: Path) -> None:
    environ = {name: filled(value) for name, value in SERVICES["relay"]["environment"].items()}
    assert set(environ) <= {variable(key) for key in KEYS}
    for name, key in (("relay", "PHYSIORELAY_SECRET_FILE"), ("turn", "PHYSIORELAY_TURN_SECRET_FILE")):
        assert environ[key] == f"/run/secrets/{name}" and name in SERVICES["relay"]["secrets"]
        secret = tmp_path / name
        secret.write_text("0123456789abcdef" * 4)
        secret.chmod(0o440)
        environ[key] = str(secret)
    settings = load_settings({}, environ)
    assert settings.behind_proxy and settings.host == settings.admin_host == "127.0.0.1"
    assert settings.public_url == f"https://{EXAMPLE['RELAY_DOMAIN']}"
    assert {server.url for server in settings.ice_servers} == {
        f"turn:{EXAMPLE['PUBLIC_ADDRESS']}:3478?transport={transport}" for transport in ("udp", "tcp")
    }
    mounts = [volume.split(":")[1] for volume in SERVICES["relay"]["volumes"]]
    assert settings.audit_file is not None and str(settings.audit_file.parent) in mounts
    grace = int(SERVICES["relay"]["stop_grace_period"].removesuffix("s"))
    assert grace > settings.drain_seconds + 5


def test_no_secret_stands_in_a_file_of_the_repository() -> None:
    assert all("file" in secret for secret in COMPOSE["secrets"].values())
    tracked = (DEPLOY / ".gitignore").read_text().split()
    assert {"secrets/", "audit/", ".env"} <= set(tracked)
    assert not set(SECRETS) & set(SERVICES["relay"]["environment"])
    assert "static-auth-secret=" not in re.sub(
        r"^#.*$", "", (DEPLOY / "turnserver.conf").read_text(), flags=re.M
    )


def test_coturn_starts_from_a_file_that_its_script_makes(tmp_path: Path) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    (tmp_path / "base.conf").write_text((DEPLOY / "turnserver.conf").read_text())
    (tmp_path / "turn").write_text("the-secret\n")
    script = SERVICES["turn"]["command"][0].replace("$$", "$")
    for there, here in (
        ("/etc/coturn/base.conf", tmp_path / "base.conf"),
        ("/run/secrets/turn", tmp_path / "turn"),
        ("/tmp/turnserver.conf", tmp_path / "made.conf"),
        ("exec turnserver", "echo turnserver"),
    ):
        assert there in script
        script = script.replace(there, str(here))
    done = subprocess.run(
        [shell, *SERVICES["turn"]["entrypoint"][1:], script],
        env=EXAMPLE,
        capture_output=True,
        text=True,
        check=True,
    )
    made = (tmp_path / "made.conf").read_text()
    assert made.splitlines()[-3:] == [
        f"realm={EXAMPLE['RELAY_DOMAIN']}",
        f"external-ip={EXAMPLE['PUBLIC_ADDRESS']}",
        "static-auth-secret=the-secret",
    ]
    assert done.stdout.split() == ["turnserver", "-c", str(tmp_path / "made.conf")]
    assert (tmp_path / "made.conf").stat().st_mode & 0o077 == 0


def test_the_proxy_passes_what_the_relay_serves_and_nothing_of_its_admin_port() -> None:
    matcher = re.search(r"@rooms path (.+)", CADDY)
    assert matcher is not None
    assert matcher[1].split() == [
        "/whip/*", "/whep/*", "/rooms/*/events", "/patient", "/viewer", "/static/*", "/healthz", "/readyz",
    ]  # fmt: skip
    assert re.findall(r"reverse_proxy (\S+)", CADDY) == ["127.0.0.1:8080"]
    assert "\tadmin off" in CADDY and "\tlog" not in CADDY and "trusted_proxies static" not in CADDY
    assert CADDY.count("{") == CADDY.count("}")


def test_the_proxys_limit_lets_the_largest_offer_through() -> None:
    size = re.search(r"max_size (\d+)KiB", CADDY)
    assert size is not None and 64 < int(size[1]) < 128
