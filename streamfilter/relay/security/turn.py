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

from streamfilter.errors import UsageError
from streamfilter.relay.ports import IceServer

_URL = re.compile(r"(stun|turn)s?:(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?(\?transport=(udp|tcp))?")


def check_server(server: IceServer) -> IceServer:
    """``server`` as it is. Raises UsageError where its URL is none of RFC 7064 or 7065."""
    if not _URL.fullmatch(server.url):
        raise UsageError(
            f"ice_servers: {server.url!r} is no server: write turn:turn.example.org:3478?transport=udp"
        )
    if (server.username is None) != (server.credential is None):
        raise UsageError(f"ice_servers: {server.url} has a username or a credential, and needs both or none")
    for text in (server.username or "", server.credential or ""):
        if not (text.isascii() and text.isprintable()):
            raise UsageError(
                f"ice_servers: the username and credential of {server.url} should be plain ASCII"
            )
    return server


def is_turn(server: IceServer) -> bool:
    return server.url.startswith("turn")


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
        server._replace(username=user, credential=password)
        if is_turn(server) and server.username is None
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
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
