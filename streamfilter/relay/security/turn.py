"""STUN and TURN servers for the two ends of a connection.

TURN passwords that expire: the scheme of coturn's ``use-auth-secret`` (draft-uberti-behave-turn-rest-00):
the user is ``EXPIRY:ID`` and the password base64(HMAC-SHA1(secret, user)).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from streamfilter.errors import UsageError

_URL = re.compile(r"(stun|turn)s?:(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?(\?transport=(udp|tcp))?")


@dataclass(frozen=True, slots=True)
class IceServer:
    """One server: ``stun:``, ``stuns:``, ``turn:`` or ``turns:`` URL (RFC 7064, 7065), user and password.

    Raises UsageError for another form."""

    url: str
    username: str | None = None
    credential: str | None = None

    def __post_init__(self) -> None:
        if not _URL.fullmatch(self.url):
            raise UsageError(
                f"ice_servers: {self.url!r} is no server: write turn:turn.example.org:3478?transport=udp"
            )
        if (self.username is None) != (self.credential is None):
            raise UsageError(
                f"ice_servers: {self.url} has a username or a credential, and needs both or none"
            )

    def __repr__(self) -> str:
        return f"IceServer({self.url!r})"

    @property
    def relays(self) -> bool:
        return self.url.startswith("turn")


def turn_credential(secret: bytes, identity: str, expires: float) -> tuple[str, str]:
    """User and password of coturn for ``identity`` (no colon in it) until ``expires`` (Unix seconds)."""
    user = f"{int(expires)}:{identity}"
    password = hmac.new(secret, user.encode(), hashlib.sha1).digest()
    return user, base64.b64encode(password).decode("ascii")


def servers_for(
    servers: Iterable[IceServer], secret: bytes | None, identity: str, expires: float
) -> tuple[IceServer, ...]:
    """``servers`` with passwords until ``expires`` on the TURN servers that have none of their own."""
    if secret is None:
        return tuple(servers)
    user, password = turn_credential(secret, identity, expires)
    return tuple(
        replace(server, username=user, credential=password)
        if server.relays and server.username is None
        else server
        for server in servers
    )


def link_header(server: IceServer) -> str:
    """The server as a Link header of WHIP (RFC 9725, section 4.6)."""
    parts = [f"<{server.url}>", 'rel="ice-server"']
    if server.username is not None and server.credential is not None:
        parts += [f"username={_quoted(server.username)}", f"credential={_quoted(server.credential)}"]
        parts.append('credential-type="password"')
    return "; ".join(parts)


def _quoted(text: str) -> str:
    if any(not " " <= character <= "~" for character in text):
        raise UsageError("ice_servers: a username or credential is not plain ASCII text")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
