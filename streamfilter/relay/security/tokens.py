"""Signed tokens (JWT, RFC 7519): one room, one role, for a short while.

The algorithm is pinned to HS256, whatever a token's header says. The signature is compared in constant time
(PyJWT: ``hmac.compare_digest``). Times are checked here, against a clock that can be given.
"""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from streamfilter.errors import UsageError
from streamfilter.relay.ports import Refusal, Role
from streamfilter.relay.security.secret_files import check_secret
from streamfilter.relay.settings import MAX_TOKEN_SECONDS

AUDIENCE = "physio-relay"
SKEW = 5.0  # seconds by which the clock of whoever issued a token may be ahead
_ALGORITHM = "HS256"
_MAX_LENGTH = 1024  # of a token, before anything of it is decoded
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_ROOM = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_CLAIMS = ("room", "role", "jti", "iat", "exp", "aud")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: ``role`` in ``room`` until ``expires`` (Unix seconds). ``id`` names the token."""

    room: str
    role: Role
    id: str
    expires: float


class Tokens:
    """Issues and checks tokens. ``secret``: at least 32 bytes, else UsageError. ``clock``: Unix seconds."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret, self._clock = check_secret(secret), clock

    def issue(self, room: str, role: Role, seconds: float) -> str:
        """A token for ``seconds`` from now, up to a day. Raises UsageError for a bad room name or time."""
        check_room(room)
        if not 1.0 <= seconds <= MAX_TOKEN_SECONDS:
            raise UsageError(f"a token holds from 1 s to {MAX_TOKEN_SECONDS:g} s, not {seconds:g} s")
        now = int(self._clock())
        claims = {
            "aud": AUDIENCE,
            "room": room,
            "role": role.value,
            "jti": secrets.token_urlsafe(12),
            "iat": now,
            "exp": now + math.ceil(seconds),
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def check(self, token: str) -> Grant:
        """What ``token`` allows now. Raises Refusal (401) where it is forged, expired or no token."""
        if len(token) > _MAX_LENGTH or not _FORM.fullmatch(token):
            raise Refusal(401, "this is no token of the relay: ask for a new link")
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                # The two times are checked below: PyJWT's clock cannot be given.
                options={
                    "require": list(_CLAIMS),
                    "strict_aud": True,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            # The cause stays here: it may quote the token.
            raise Refusal(401, "this token is not valid: ask for a new link") from None
        return self._grant(claims)

    def _grant(self, claims: Mapping[str, Any]) -> Grant:
        room, role, identity = (claims[name] for name in ("room", "role", "jti"))
        issued, expires = (_moment(claims[name]) for name in ("iat", "exp"))
        now = self._clock()
        if not (
            _matches(_ROOM, room) and _matches(_ID, identity) and role in [entry.value for entry in Role]
        ):
            raise Refusal(401, "this token names no room or role: ask for a new link")
        # NaN fails every comparison.
        if not (issued <= now + SKEW and issued < expires <= issued + MAX_TOKEN_SECONDS + 1.0):
            raise Refusal(401, "this token's times are not valid: ask for a new link")
        if now >= expires:
            raise Refusal(401, "this link has expired: ask for a new one")
        return Grant(room, Role(role), identity, expires)


def check_room(room: str) -> str:
    """``room`` as it is. Raises UsageError where it is no room's name."""
    if not _matches(_ROOM, room):
        raise UsageError(
            f"{room!r} is no name of a room: up to 64 letters, digits, _ and - (it is seen in addresses and "
            "in the audit log, so no person's name)"
        )
    return room


def _matches(form: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _moment(value: object) -> float:
    """Unix seconds, or NaN for what is none."""
    # A year-10000 bound keeps huge integers out of float().
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 253_402_300_800
    return float(value) if number else math.nan  # type: ignore[arg-type]
