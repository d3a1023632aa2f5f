"""Guards of a connection against datagrams that are not its peer's.

aioice 0.13 hands on every datagram that is not STUN, whoever sent it, and aiortc 1.16 reads the first byte of
each: an empty one from a stranger ends the session. STUN itself is authenticated where it matters.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from aioice.stun import TransactionError
from aiortc import RTCPeerConnection

MOST_QUEUED = 1024  # datagrams that wait for the connection to take them
CONSENT_SECONDS = 45.0  # without an answer of the peer; a black-out of half a minute is outlasted
CONSENT_EVERY = 4.0
_STUN = 4  # first bytes below this are STUN's (RFC 9443, 2)


class DatagramGuard:
    """Lets in what a connection's peer sent; counts what it drops. ``heard``: when it last let in."""

    def __init__(self, connection: RTCPeerConnection, drop: Callable[[str], None]) -> None:
        self.heard = time.monotonic()
        self._drop = drop
        self._connections: list[Any] = [
            transport._connection for transport in vars(connection)["_RTCPeerConnection__iceTransports"]
        ]

    def offer_only(self, addresses: tuple[str, ...] | None) -> None:
        """Before candidates are gathered: host candidates at these addresses only (None: all)."""
        for connection in self._connections:
            self._guard_queue(connection)
            connection.query_consent = partial(_query_consent, connection)
            if addresses is not None:
                _restrict(connection, list(addresses))

    def watch(self) -> None:
        """After candidates have been gathered: looks at the sender of each datagram."""
        for connection in self._connections:
            for protocol in connection._protocols:
                self._guard_source(connection, protocol)

    def _guard_queue(self, connection: Any) -> None:
        take = connection.data_received

        def data_received(data: bytes, component: int) -> None:
            if not data:
                self._drop("empty datagram")
            elif connection._queue.qsize() >= MOST_QUEUED:
                self._drop("datagram flood")
            else:
                take(data, component)

        connection.data_received = data_received

    def _guard_source(self, connection: Any, protocol: Any) -> None:
        take = protocol.datagram_received
        known: set[tuple[str, int]] = set()

        def datagram_received(data: bytes, addr: tuple[Any, ...]) -> None:
            sender = (addr[0], addr[1])
            if not data:
                self._drop("empty datagram")
                return
            if data[0] >= _STUN:
                if sender not in known:
                    known.update(_peers(connection))
                    if sender not in known:
                        self._drop("foreign datagram")
                        return
                self.heard = time.monotonic()
            take(data, addr)

        protocol.datagram_received = datagram_received


def _peers(connection: Any) -> set[tuple[str, int]]:
    """Where the peer is: its candidates, also those learnt from its authenticated checks."""
    return {(one._network_host, one.port) for one in connection._remote_candidates if one._network_host}


async def _query_consent(connection: Any) -> None:
    """Asks the peer whether it still wants to be sent to (RFC 7675), as aioice does, but more patiently.

    The RFC gives up after 30 s. The peer's address has been proven, and it is the relay's own client.
    """
    answered = time.monotonic()
    while time.monotonic() - answered < CONSENT_SECONDS:
        await asyncio.sleep(CONSENT_EVERY * (0.8 + 0.4 * random.random()))
        for pair in tuple(connection._nominated.values()):
            request = connection.build_request(pair, nominate=False)
            key = connection.remote_password.encode()
            try:
                await pair.protocol.request(request, pair.remote_addr, integrity_key=key, retransmissions=0)
            except TransactionError:
                continue
            answered = time.monotonic()
    connection._query_consent_task = None
    await connection.close()


def _restrict(connection: Any, allowed: list[str]) -> None:
    gather = connection.get_component_candidates

    async def get_component_candidates(component: int, addresses: list[str], timeout: int = 5) -> Any:
        # None are asked for where the transport policy allows none.
        return await gather(component, allowed if addresses else [], timeout)

    connection.get_component_candidates = get_component_candidates
