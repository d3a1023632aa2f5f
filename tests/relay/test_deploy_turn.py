"""coturn as deployed: who gets an allocation, and which peers nobody reaches through it."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aioice import stun, turn
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.relay.security.turn import turn_credential
from tests.relay.turn_server import DEPLOY, SECRET, TurnServer, turn_server

CONFIGURATION = (DEPLOY / "turnserver.conf").read_text()
RANGES = [
    (ipaddress.ip_address(low), ipaddress.ip_address(high))
    for low, high in re.findall(r"^denied-peer-ip=([0-9a-f.:]+)-([0-9a-f.:]+)$", CONFIGURATION, re.MULTILINE)
]
# Networks of IANA's special-purpose registries that are not reachable from the Internet, or lead elsewhere
# (NAT64, Teredo, 6to4); not left to Python's own list, which differs by version.
SPECIAL = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::1/128",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]


def denied(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return any(
        low.version == address.version and int(low) <= int(address) <= int(high) for low, high in RANGES
    )


def test_every_denied_line_was_read() -> None:
    assert len(RANGES) == CONFIGURATION.count("\ndenied-peer-ip=") > 20
    assert all(low.version == high.version and int(low) <= int(high) for low, high in RANGES)


@pytest.mark.parametrize("network", SPECIAL)
def test_a_network_that_is_not_public_is_denied_from_end_to_end(network: str) -> None:
    parsed = ipaddress.ip_network(network)
    assert denied(str(parsed[0])) and denied(str(parsed[-1]))


@given(st.ip_addresses())
def test_no_address_that_python_holds_for_private_is_allowed(address: ipaddress.IPv4Address) -> None:
    assert address.is_global or address.is_unspecified or denied(str(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2a00:1450::1", "2606:4700::1111"]
)
def test_public_addresses_are_not_denied(address: str) -> None:
    assert not denied(address)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnServer]:
    with turn_server(tmp_path_factory.mktemp("turn")) as running:
        yield running


def allocate(
    server: TurnServer, user: str, password: str, peers: tuple[str, ...] = (), host: str = "127.0.0.1"
) -> dict[str, Any]:
    """An allocation through aioice, then a channel to each of ``peers``: what coturn answers, by peer."""
    address = (host, server.port)

    async def run() -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(
            lambda: turn.TurnClientUdpProtocol(
                address, user, password, lifetime=600, channel_refresh_time=500
            ),
            remote_addr=address,
        )
        try:
            found: dict[str, Any] = {"relayed": await protocol.connect()}
            for number, peer in enumerate(peers):
                try:
                    await protocol.channel_bind(0x4000 + number, (peer, 5000))
                    found[peer] = "bound"
                except stun.TransactionFailed as error:
                    found[peer] = error.response.attributes["ERROR-CODE"][0]
            await protocol.delete()
            return found
        finally:
            transport.close()

    return asyncio.run(asyncio.wait_for(run(), 10.0))


def test_the_relays_passwords_give_an_allocation_within_the_configured_ports(server: TurnServer) -> None:
    user, password = turn_credential(SECRET, "grant-1", time.time() + 60)
    host, port = allocate(server, user, password)["relayed"]
    assert host == "127.0.0.1" and 49160 <= port <= 49960


@pytest.mark.parametrize(
    ("secret", "expires"), [(SECRET, -60.0), (b"another secret", 60.0)], ids=["expired", "forged"]
)
def test_expired_and_forged_passwords_give_none(server: TurnServer, secret: bytes, expires: float) -> None:
    user, password = turn_credential(secret, "grant-1", time.time() + expires)
    with pytest.raises(stun.TransactionFailed) as caught:
        allocate(server, user, password)
    assert caught.value.response.attributes["ERROR-CODE"][0] == 401


def test_private_peers_are_forbidden_and_a_public_one_is_not(server: TurnServer) -> None:
    user, password = turn_credential(SECRET, "grant-1", time.time() + 60)
    private = (
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.20.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",
    )
    found = allocate(server, user, password, (*private, "224.0.0.1", "8.8.8.8"))
    assert {found[peer] for peer in (*private, "224.0.0.1")} == {403}
    assert found["8.8.8.8"] == "bound"  # nothing is sent there


def test_so_it_is_over_ipv6(server: TurnServer) -> None:
    if not server.ipv6:
        pytest.skip("this machine has no IPv6, not even ::1")
    user, password = turn_credential(SECRET, "grant-1", time.time() + 60)
    private = (
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "fc00::1",
        "fe80::1",
        "ff02::1",
    )
    found = allocate(server, user, password, (*private, "2606:4700::1111"), host="::1")
    assert {found[peer] for peer in private} == {403}
    assert found["2606:4700::1111"] == "bound"


def test_the_password_is_that_of_coturns_own_manual() -> None:
    # openssl: printf 1700000000:alice | openssl dgst -sha1 -hmac north -binary | base64
    assert turn_credential(b"north", "alice", 1_700_000_000.9) == (
        "1700000000:alice",
        "Cd/49soE35ICqcJF/bCTn8Z4OyE=",
    )
    assert Path(DEPLOY / "turnserver.conf").read_text().count("use-auth-secret") == 1
