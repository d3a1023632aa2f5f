"""Every secret of a room, derived from the relay's one: no part has to keep or pass on any of them.

A room has three VideoRooms of Janus: the raw one, where the patient publishes; the made one, where the worker
publishes what it filtered; the shown one, at every Janus, which that is passed on to and where viewers are.
Nothing that opens the one opens another.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from streamfilter.errors import UsageError
from streamfilter.relay.cluster.janus import signed_token
from streamfilter.relay.cluster.videoroom import PLUGIN, Lock

MIN_SECRET = 32  # bytes
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Side(StrEnum):
    """Which of a room's three VideoRooms."""

    RAW = "raw"
    MADE = "made"
    SHOWN = "shown"


@dataclass(frozen=True, slots=True)
class ClusterKeys:
    """``secret``: the relay's, of at least 32 bytes. ``janus_secret``: Janus' ``token_auth_secret``."""

    secret: bytes = field(repr=False)
    janus_secret: str = field(repr=False)
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if len(self.secret) < MIN_SECRET:
            raise UsageError(f"the relay's secret has {len(self.secret)} bytes: give it {MIN_SECRET} or more")

    def lock(self, room: str, side: Side) -> Lock:
        """What opens one of the room's VideoRooms. Raises UsageError for a name that is none."""
        if not _NAME.fullmatch(room):
            raise UsageError("a room's name has 1 to 64 letters, digits, - and _")
        return Lock(f"{side}-{room}", self._derive("secret", side, room), self._derive("pin", side, room))

    def room_token(self, lock: Lock, seconds: float) -> str:
        """A token that, with the pin, opens this VideoRoom for so many seconds.

        No two are alike, since a room's publishers are known by theirs.
        """
        scopes = [f"room={lock.room}", f"only={secrets.token_hex(8)}"]
        return signed_token(self.janus_secret, self.clock() + seconds, PLUGIN, scopes)

    def api_token(self, seconds: float) -> str:
        """A token that opens Janus' API, and of its plugins VideoRoom, for somebody outside the cluster."""
        return signed_token(self.janus_secret, self.clock() + seconds, "janus", [PLUGIN])

    def signature(self, purpose: str, *parts: bytes) -> str:
        """Of a message between the cluster's parts: HMAC-SHA256, in hexadecimal, over length-framed parts."""
        framed = b"".join(len(part).to_bytes(8, "big") + part for part in (purpose.encode(), *parts))
        return hmac.digest(self._key("message"), framed, "sha256").hex()

    def signed(self, given: str, purpose: str, *parts: bytes) -> bool:
        """Whether ``given`` is that message's signature."""
        return hmac.compare_digest(given.encode(errors="replace"), self.signature(purpose, *parts).encode())

    def _derive(self, purpose: str, side: Side, room: str) -> str:
        digest = hmac.digest(self._key("room"), f"{purpose}\0{side}\0{room}".encode(), "sha256")
        return urlsafe_b64encode(digest[:24]).decode()

    def _key(self, use: str) -> bytes:
        """A key for each use, so that none of them says anything about another."""
        return hmac.digest(self.secret, f"physio-relay cluster {use}".encode(), "sha256")
