"""Whose address counts: the client's, also behind a proxy."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

UNKNOWN = "unknown"
_LONGEST = 64  # characters of an address with a zone


def client_address(peer: str | None, forwarded: Sequence[str], behind_proxy: bool) -> str:
    """The client's address: ``peer`` (the other end of the TCP connection), or what one proxy says of it.

    ``forwarded``: the values of all X-Forwarded-For headers, in order. Only ``behind_proxy``, and only from a
    peer that is not on the public Internet, the last entry counts: the one that the nearest proxy wrote
    itself. What stands before it, a client may have made up.
    """
    own = _parse(peer or "")
    if not behind_proxy or own is None or own.is_global:
        return UNKNOWN if own is None else str(own)
    last = ",".join(forwarded).rsplit(",", 1)[-1]
    return str(_parse(last) or own)


def network_of(address: str) -> str:
    """What limits count by: an IPv4 address, an IPv6 /64 (one household or server has at least that many
    addresses), or ``unknown``."""
    parsed = _parse(address)
    if parsed is None:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, with an IPv4 one in IPv6 clothes (::ffff:192.0.2.1) as the IPv4 one that it is."""
    bare = text.strip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    if len(bare) > _LONGEST:
        return None
    try:
        parsed = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, ipaddress.IPv6Address) else parsed
