"""Rates by address and kind; whose address counts behind a proxy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.relay.ports import Refusal
from streamfilter.relay.security.addresses import UNKNOWN, client_address, network_of
from streamfilter.relay.security.rate_limits import RateLimits


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def admitted(limits: RateLimits, address: str, kind: str = "whip") -> bool:
    try:
        limits.admit(address, kind)
    except Refusal as caught:
        refusal = caught
    else:
        return True
    assert refusal.status == 429 and address not in refusal.reason
    assert refusal.retry_after is not None and refusal.retry_after >= 1
    return False


def test_a_burst_of_a_minutes_worth_then_one_at_a_time() -> None:
    clock = Clock()
    limits = RateLimits(6, clock)
    assert [admitted(limits, "192.0.2.1") for _ in range(8)] == [True] * 6 + [False] * 2
    clock.now += 10.0
    assert [admitted(limits, "192.0.2.1") for _ in range(2)] == [True, False]


def test_after_retry_after_it_is_let_in() -> None:
    clock = Clock()
    limits = RateLimits(7, clock)
    for _ in range(7):
        limits.admit("192.0.2.1", "whip")
    with pytest.raises(Refusal) as caught:
        limits.admit("192.0.2.1", "whip")
    assert caught.value.retry_after is not None
    clock.now += caught.value.retry_after
    limits.admit("192.0.2.1", "whip")


def test_addresses_and_kinds_are_counted_apart() -> None:
    limits = RateLimits(1, Clock())
    assert admitted(limits, "192.0.2.1", "whip")
    assert admitted(limits, "192.0.2.2", "whip")
    assert admitted(limits, "192.0.2.1", "whep")
    assert not admitted(limits, "192.0.2.1", "whip")


def test_the_addresses_of_one_ipv6_network_count_as_one() -> None:
    limits = RateLimits(1, Clock())
    assert admitted(limits, "2001:db8:1:2::1")
    assert not admitted(limits, "2001:db8:1:2:ffff::9")
    assert admitted(limits, "2001:db8:1:3::1")


def test_memory_is_bounded_and_the_busy_stay_remembered() -> None:
    limits = RateLimits(2, Clock(), capacity=100)
    assert admitted(limits, "198.51.100.1") and admitted(limits, "198.51.100.1")
    for number in range(1000):
        limits.admit(f"10.0.{number // 256}.{number % 256}", "whip")
        assert not admitted(limits, "198.51.100.1")
    assert len(limits) == 100


def test_a_clock_that_stands_still_or_goes_back_gives_nothing_away() -> None:
    clock = Clock()
    limits = RateLimits(1, clock)
    assert admitted(limits, "192.0.2.1")
    clock.now -= 1000.0
    assert not admitted(limits, "192.0.2.1")


@given(st.lists(st.floats(0.0, 30.0), max_size=80), st.integers(1, 20))
def test_never_more_than_a_burst_and_the_rate(gaps: list[float], per_minute: int) -> None:
    clock = Clock()
    limits = RateLimits(per_minute, clock)
    passed = 0
    for gap in gaps:
        clock.now += gap
        passed += admitted(limits, "192.0.2.1")
    assert passed <= per_minute + sum(gaps) * per_minute / 60.0 + 1e-6


@pytest.mark.parametrize(
    ("peer", "forwarded", "behind", "address"),
    [
        ("192.0.2.1", ["198.51.100.1"], False, "192.0.2.1"),
        ("127.0.0.1", ["198.51.100.1"], True, "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1"], True, "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6", "198.51.100.1"], True, "198.51.100.1"),
        ("10.0.0.7", ["2001:db8::5"], True, "2001:db8::5"),
        ("10.0.0.7", ["[2001:db8::5]"], True, "2001:db8::5"),
        ("127.0.0.1", ["::ffff:198.51.100.1"], True, "198.51.100.1"),
        ("127.0.0.1", [], True, "127.0.0.1"),
        ("127.0.0.1", ["nonsense"], True, "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1, "], True, "127.0.0.1"),
        ("8.8.8.8", ["198.51.100.1"], True, "8.8.8.8"),
        ("::ffff:8.8.8.8", ["198.51.100.1"], True, "8.8.8.8"),
        ("fe80::1%eth0", [], False, "fe80::1"),
        (None, ["198.51.100.1"], True, UNKNOWN),
        ("", [], False, UNKNOWN),
        ("\ud800", [], True, UNKNOWN),
    ],
)
def test_whose_address_counts(peer: str | None, forwarded: list[str], behind: bool, address: str) -> None:
    assert client_address(peer, forwarded, behind) == address


@given(st.text(), st.lists(st.text(), max_size=3), st.booleans())
def test_no_header_is_an_error(peer: str, forwarded: list[str], behind: bool) -> None:
    address = client_address(peer, forwarded, behind)
    assert network_of(address) == UNKNOWN or address != UNKNOWN


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_ipv6_clothes_counts_as_itself(address: object) -> None:
    assert network_of(f"::ffff:{address}") == network_of(str(address)) == str(address)
