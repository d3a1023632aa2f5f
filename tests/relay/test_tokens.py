"""Tokens: what is let in, and everything else that is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest

from streamfilter.errors import UsageError
from streamfilter.relay.ports import Refusal, Role
from streamfilter.relay.security.tokens import AUDIENCE, Tokens

SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(SECRET, clock)


def claims(**changes: Any) -> dict[str, Any]:
    good = {
        "aud": AUDIENCE,
        "room": "room-1",
        "role": "viewer",
        "jti": "abcdefgh",
        "iat": int(NOW),
        "exp": int(NOW) + 60,
    }
    return {name: value for name, value in (good | changes).items() if value is not ...}


def signed(header: dict[str, Any], payload: Any, secret: bytes = SECRET) -> str:
    """A token made by hand, signed with HMAC-SHA256 whatever its header says."""
    body = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, payload)
    )
    mac = hmac.new(secret, body, hashlib.sha256).digest()
    return (body + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


HS256 = {"alg": "HS256", "typ": "JWT"}


def refused(tokens: Tokens, token: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        tokens.check(token)
    assert caught.value.status == 401
    assert token[:20] not in caught.value.reason or len(token) < 3
    return caught.value


@pytest.mark.parametrize("role", list(Role))
def test_an_issued_token_is_a_grant_of_its_room_and_role(tokens: Tokens, role: Role) -> None:
    grant = tokens.check(tokens.issue("room_1-x", role, 60))
    assert (grant.room, grant.role, grant.expires) == ("room_1-x", role, NOW + 60)


def test_each_token_has_its_own_id(tokens: Tokens) -> None:
    ids = {tokens.check(tokens.issue("r", Role.VIEWER, 60)).id for _ in range(50)}
    assert len(ids) == 50


def test_it_ends_to_the_second(tokens: Tokens, clock: Clock) -> None:
    token = tokens.issue("r", Role.PATIENT, 60)
    clock.now += 59.9
    tokens.check(token)
    clock.now += 0.1
    assert "expired" in refused(tokens, token).reason


def test_a_token_by_hand_is_let_in_so_that_the_refusals_below_mean_something(tokens: Tokens) -> None:
    assert tokens.check(signed(HS256, claims())).room == "room-1"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "other"},
        {"aud": [AUDIENCE, "other"]},
        {"aud": ...},
        {"room": ...},
        {"room": ""},
        {"room": "a/b"},
        {"room": "r" * 65},
        {"room": 7},
        {"room": ["room-1"]},
        {"room": "room-1\n"},
        {"role": ...},
        {"role": "admin"},
        {"role": ["viewer"]},
        {"role": None},
        {"jti": ...},
        {"jti": ""},
        {"jti": 5},
        {"jti": "x" * 100},
        {"iat": ...},
        {"iat": int(NOW) + 60, "exp": int(NOW) + 120},
        {"iat": True},
        {"exp": ...},
        {"exp": int(NOW)},
        {"exp": str(int(NOW) + 60)},
        {"exp": int(NOW) + 30 * 86400},
        {"exp": 10**400},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"iat": int(NOW) - 2 * 86400},
        {"exp": True},
    ],
)
def test_a_signed_token_with_a_wrong_claim_is_refused(tokens: Tokens, changes: dict[str, Any]) -> None:
    refused(tokens, signed(HS256, claims(**changes)))


def test_another_secret_is_refused(tokens: Tokens, clock: Clock) -> None:
    refused(tokens, Tokens(b"x" * 32, clock).issue("r", Role.VIEWER, 60))


def test_one_changed_character_anywhere_is_refused(tokens: Tokens) -> None:
    token = tokens.issue("r", Role.VIEWER, 60)
    for index in range(len(token) - 1):  # some bits of the last character carry nothing
        refused(tokens, token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :])


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "HS384", "HS512", "RS256", "hs256", "", None, 5, ["HS256"]]
)
def test_no_other_algorithm_is_taken_whatever_the_header_says(tokens: Tokens, algorithm: object) -> None:
    refused(tokens, signed({"alg": algorithm, "typ": "JWT"}, claims()))


def test_unsigned_and_otherwise_signed_tokens_of_the_library_are_refused(tokens: Tokens) -> None:
    refused(tokens, jwt.encode(claims(), "", algorithm="none"))
    refused(tokens, jwt.encode(claims(), SECRET * 2, algorithm="HS512"))
    refused(tokens, jwt.encode(claims(), SECRET * 2, algorithm="HS384"))


@pytest.mark.parametrize(
    "header", [{}, [], "x", {"alg": "HS256", "crit": ["exp"]}, {"alg": "HS256", "b64": False}]
)
def test_headers_that_ask_for_something_else_are_refused(tokens: Tokens, header: Any) -> None:
    refused(tokens, signed(header, claims()))


@pytest.mark.parametrize("payload", [[], "text", 7, None, {}, [claims()]])
def test_payloads_of_another_shape_are_refused(tokens: Tokens, payload: Any) -> None:
    refused(tokens, signed(HS256, payload))


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b", "a.b.c.d", "é.é.é", "\ud800.a.b", "a" * 3000, "a.b.c\n", "W1s.W1s.W1s"]
)
def test_what_is_no_token_at_all_is_refused(tokens: Tokens, text: str) -> None:
    refused(tokens, text)


def test_a_deeply_nested_header_does_not_overflow_the_stack(tokens: Tokens) -> None:
    nested = base64.urlsafe_b64encode(b"[" * 700).decode().rstrip("=")
    refused(tokens, f"{nested}.e30.e30")


def test_a_clock_a_little_behind_the_issuers_is_forgiven(tokens: Tokens, clock: Clock) -> None:
    token = tokens.issue("r", Role.VIEWER, 60)
    clock.now -= 4
    tokens.check(token)
    clock.now -= 4
    refused(tokens, token)


@pytest.mark.parametrize("length", [0, 31])
def test_a_short_secret_is_refused(length: int) -> None:
    with pytest.raises(UsageError, match="physio-relay secret"):
        Tokens(b"s" * length)


@pytest.mark.parametrize(
    ("room", "seconds"), [("", 60), ("a b", 60), ("r", 0), ("r", float("nan")), ("r", 90_000)]
)
def test_no_token_is_issued_for_a_bad_room_or_time(tokens: Tokens, room: str, seconds: float) -> None:
    with pytest.raises(UsageError):
        tokens.issue(room, Role.VIEWER, seconds)
