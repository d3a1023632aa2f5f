"""One connection of either role: made from an offer, watched, ended."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError
from aiortc.rtcconfiguration import RTCIceTransportPolicy
from aiortc.rtcrtpparameters import RTCRtpCodecCapability

from streamfilter.metrics import Metrics
from streamfilter.relay.media.guards import DatagramGuard
from streamfilter.relay.media.offer import Offer, read_offer
from streamfilter.relay.media.settings import MediaSettings
from streamfilter.relay.ports import MediaState, Refusal

CONNECT_SECONDS = 15.0  # until a peer that does not come is given up
SILENT_SECONDS = 3.0  # without a datagram: interrupted
CLOSE_SECONDS = 1.0  # that whoever ends a connection waits for it; what takes longer goes on behind it

_log = logging.getLogger(__name__)


class Peer(ABC):
    """Owns a peer connection. For the event loop's thread."""

    def __init__(self, settings: MediaSettings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.connected = self.ended = False
        self.codec: str | None = None
        self._connection: RTCPeerConnection | None = None
        self._guard: DatagramGuard | None = None
        self._since = time.monotonic()
        self._told: list[Callable[[], None]] = []
        self._closing: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def negotiate(self, offer: str) -> str:
        """The SDP answer, with all candidates, to an SDP offer. Raises Refusal (400, 406, 413)."""
        if self._connection is not None or self.ended:
            raise Refusal(400, "this session has been negotiated already: begin a new one")
        read = read_offer(offer, self.peer_sends)
        connection = self._connection = RTCPeerConnection(_configuration(self.settings))
        connection.on("connectionstatechange", self._changed)
        try:
            return await self._answered(connection, read)
        except Refusal:
            await self.close()
            raise
        except OperationError as error:
            await self.close()
            raise Refusal(406, "there is no codec in common") from error
        except Exception as error:  # aiortc raises whatever a strange offer leads it to
            _log.warning("an offer could not be answered: %s", type(error).__name__)
            await self.close()
            raise Refusal(400, "the offer cannot be answered") from error

    def on_end(self, told: Callable[[], None]) -> None:
        """``told`` is called once, in the loop, when the connection has ended, whoever ended it."""
        if self.ended:
            asyncio.get_running_loop().call_soon(told)
        else:
            self._told.append(told)

    async def close(self) -> None:
        """Ends the connection; waits a second at most for it to be over. Twice is once."""
        await asyncio.wait((self.end(),), timeout=CLOSE_SECONDS)

    def end(self) -> asyncio.Task[None]:
        """Begins to end the connection; the task is done when nothing of it is left."""
        if self._closing is None:
            self.ended = True
            self.released()
            self._closing = asyncio.get_running_loop().create_task(self._close())
            for told in self._told:
                told()
            self._told.clear()
        return self._closing

    def tick(self, now: float) -> None:
        """Looks at the time."""
        if not self.ended and not self.connected and now - self._since > CONNECT_SECONDS:
            self.end()

    def link_state(self, now: float) -> MediaState | None:
        """What the connection itself says of the state; None: it stands, and what it carries decides."""
        if self.ended:
            return MediaState.ENDED
        if not self.connected:
            return MediaState.CONNECTING
        if self._guard is not None and now - self._guard.heard > SILENT_SECONDS:
            return MediaState.INTERRUPTED
        return None

    @property
    @abstractmethod
    def peer_sends(self) -> bool:
        """Whether media come from this peer (else they go to it)."""

    @abstractmethod
    def prepare(self, connection: RTCPeerConnection, kinds: tuple[str, ...]) -> None:
        """Before the offer is applied: make the transceivers."""

    @abstractmethod
    def applied(self, connection: RTCPeerConnection) -> None:
        """After the offer has been applied, before anything is sent or received."""

    @abstractmethod
    def answered(self, answer: str) -> str:
        """The answer as it is sent, once all is ready."""

    @abstractmethod
    def released(self) -> None:
        """The connection ends: let go of what belongs to it."""

    def run(self, task: asyncio.Task[None]) -> None:
        """``task`` is ended with the connection."""
        self._tasks.append(task)

    async def _answered(self, connection: RTCPeerConnection, offer: Offer) -> str:
        self.prepare(connection, offer.kinds)
        await connection.setRemoteDescription(RTCSessionDescription(sdp=offer.text, type="offer"))
        self._check_open()
        guard = self._guard = DatagramGuard(connection, self.metrics.drop)
        guard.offer_only(self.settings.interfaces)
        self.applied(connection)
        self.codec = next(
            (one._codecs[0].name for one in connection.getTransceivers() if one.kind == "video"), None
        )
        await connection.setLocalDescription(await connection.createAnswer())
        guard.watch()
        self._check_open()
        return self.answered(connection.localDescription.sdp)

    def _check_open(self) -> None:
        """Whoever ends a session while it is negotiated finds nothing of what would be begun afterwards."""
        if self.ended:
            raise Refusal(400, "this session has been ended")

    def _changed(self) -> None:
        state = self._connection.connectionState if self._connection is not None else "closed"
        if state == "connected":
            self.connected = True
        elif state in ("failed", "closed"):
            self.end()

    async def _close(self) -> None:
        # Not to be broken off: a half-closed connection of aiortc leaves tasks that wait for ever.
        for task in self._tasks:
            task.cancel()
        ending = [*self._tasks, *([] if self._connection is None else [self._connection.close()])]
        for fault in await asyncio.gather(*ending, return_exceptions=True):
            if isinstance(fault, Exception):
                _log.warning("a connection did not end as it should: %s", type(fault).__name__)


def prefer(transceiver: RTCRtpTransceiver, codecs: tuple[str, ...]) -> None:
    """Video in the first of ``codecs`` that the peer has too; lost packets may be sent again (RFC 4588)."""
    known = RTCRtpSender.getCapabilities("video").codecs
    wanted: list[RTCRtpCodecCapability] = [
        one for name in codecs for one in known if one.mimeType.lower() == f"video/{name}".lower()
    ]
    again = [one for one in known if one.mimeType.lower() == "video/rtx"]
    transceiver.setCodecPreferences(wanted + again)


def _configuration(settings: MediaSettings) -> RTCConfiguration:
    policy = RTCIceTransportPolicy.RELAY if settings.relay_only else RTCIceTransportPolicy.ALL
    servers = [
        RTCIceServer(urls=server.url, username=server.username, credential=server.credential)
        for server in settings.ice_servers
    ]
    return RTCConfiguration(
        iceServers=servers, iceTransportPolicy=policy, bundlePolicy=RTCBundlePolicy.BALANCED
    )
