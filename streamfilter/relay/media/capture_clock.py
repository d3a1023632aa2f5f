"""How long after its capture each of a publisher's streams arrives, by the publisher's own sender reports.

Sound and video need not take equally long from the camera to the relay. A receiver of the relay learns the
moments of sending only, so that the relay sends together what was captured together.
"""

from __future__ import annotations

from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.rtp import RtcpSrPacket

MOST_SKEW = 0.15  # seconds; beyond, the reports are not believed
_SMOOTH = 0.02  # weight of the newest frame
_WRAP = 1 << 32


class CaptureClock:
    """One stream's. ``transit``: arrival less capture (s), of clocks that need not agree; None: not known."""

    def __init__(self, rate: int) -> None:
        """``rate``: RTP ticks a second."""
        self.transit: float | None = None
        self._rate = rate
        self._report: tuple[float, int] | None = None

    def report(self, ntp: int, timestamp: int) -> None:
        """A sender report (RFC 3550, 6.4.1): NTP time in 1/2^32 s, and the RTP time of the same moment."""
        self._report = (ntp / _WRAP, timestamp)

    def arrived(self, timestamp: int, now: float) -> None:
        """A frame captured at the RTP time ``timestamp`` came at ``now`` (s)."""
        if self._report is None:
            return
        ticks = (timestamp - self._report[1] + _WRAP // 2) % _WRAP - _WRAP // 2
        transit = now - (self._report[0] + ticks / self._rate)
        if self.transit is None or abs(transit - self.transit) > 1.0:
            self.transit = transit  # the sender's clock was set
        self.transit += _SMOOTH * (transit - self.transit)


def skew(video: CaptureClock, sound: CaptureClock) -> float:
    """Seconds by which the video takes longer to arrive than sound; 0 where that is not known."""
    if video.transit is None or sound.transit is None:
        return 0.0
    apart = video.transit - sound.transit
    return apart if abs(apart) <= MOST_SKEW else 0.0


def listen(receiver: RTCRtpReceiver, clock: CaptureClock) -> None:
    """``clock`` hears the sender reports that ``receiver``, not yet started, will get."""
    handle = receiver._handle_rtcp_packet

    async def heard(packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket):
            clock.report(packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp)
        await handle(packet)

    vars(receiver)["_handle_rtcp_packet"] = heard
