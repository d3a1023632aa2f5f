"""A room's filtered stream on its way into a VideoRoom: a viewer's connection that offers, not answers.

It carries what any viewer gets, safe frames and delayed sound; only the negotiation is the other way round.
"""

from __future__ import annotations

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError

from streamfilter.relay.media.guards import DatagramGuard
from streamfilter.relay.media.peer import _configuration
from streamfilter.relay.media.viewer import AiortcViewer
from streamfilter.relay.ports import Refusal, ViewerMedia

_KINDS = ("video", "audio")
LAYOUTS = ((0, _KINDS), (0, _KINDS[::-1]), (2, _KINDS))  # empty sections, then the streams, in an offer


class Uplink:
    """``viewer``: a fresh one of the room's broadcast, of aiortc. For the event loop's thread."""

    def __init__(self, viewer: ViewerMedia) -> None:
        if not isinstance(viewer, AiortcViewer):
            raise TypeError("an uplink sends what aiortc's media show")
        self.viewer = viewer
        self._connection = RTCPeerConnection(_configuration(viewer.settings))

    async def offer(self, layout: int = 0) -> str:
        """The offer, with all candidates, of one video and one audio stream, placed as in ``layout``."""
        viewer, connection = self.viewer, self._connection
        viewer._connection = connection  # its end is the viewer's end
        connection.on("connectionstatechange", viewer._changed)
        empty, kinds = LAYOUTS[layout]
        for _ in range(empty):
            connection.addTransceiver("audio", direction="recvonly")  # Janus answers: inactive
        viewer.prepare(connection, kinds)
        description = await connection.createOffer()
        guard = viewer._guard = DatagramGuard(connection, viewer.metrics.drop)
        guard.offer_only(viewer.settings.interfaces)
        await connection.setLocalDescription(description)
        guard.watch()
        return str(connection.localDescription.sdp)

    def begin(self) -> None:
        """Sends video from now on, a key frame first: whoever is switched to it by then sees no picture that
        lacks its past."""
        for sender in self._connection.getSenders():
            if sender.kind == "video":
                sender.replaceTrack(self.viewer.video)

    async def accept(self, answer: str) -> None:
        """Takes the answer; video waits for :meth:`begin`. Raises Refusal (400, 406) where it fits not."""
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        except (InvalidAccessError, InvalidStateError, OperationError, ValueError) as error:
            await self.viewer.close()
            raise Refusal(406, "the answer to the room's stream fits not") from error
        # Sending begins only after ICE and DTLS, which are still to come: encoders may be set now.
        self.viewer.applied(self._connection)
        for sender in self._connection.getSenders():
            if sender.kind == "video":
                sender.replaceTrack(None)
        self.viewer.codec = next(
            (one._codecs[0].name for one in self._connection.getTransceivers() if one.kind == "video"), None
        )
