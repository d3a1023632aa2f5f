"""What the relay's parts ask of each other: media on one side, rooms and their web server on the other.

Everything here runs in the relay's one event loop, unless it says otherwise. Moments are seconds of the
monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol


class Role(StrEnum):
    """Who somebody is in a room."""

    PATIENT = "patient"
    VIEWER = "viewer"


VIDEO_CODECS = ("VP8", "H264")  # what the relay can encode and decode


class IceServer(NamedTuple):
    """A STUN or TURN server: ``stun:host:port``, ``turn:host:port?transport=udp``."""

    url: str
    username: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """What is shown: ``bpm`` 40 to 180, None for no pulse at all (the true one is removed either way)."""

    bpm: float | None = 70.0
    variability: float = 1.0


class MediaState(StrEnum):
    """Where a session is. SHIELDED: connected, but a card is shown, and ``reason`` says why."""

    CONNECTING = "connecting"
    SHIELDED = "shielded"
    LIVE = "live"
    INTERRUPTED = "interrupted"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """A session's state and figures now, for pages and metrics.

    ``latency_p50``, ``latency_p99``: milliseconds from a decoded frame's arrival to its filtered frame.
    ``size``: width and height in pixels of what arrives; ``codec``: its name, as VP8. ``dropped``: frames by
    cause.
    """

    state: MediaState
    reason: str | None = None
    fps_in: float = 0.0
    fps_out: float = 0.0
    latency_p50: float | None = None
    latency_p99: float | None = None
    size: tuple[int, int] | None = None
    codec: str | None = None
    frames: int = 0
    shielded: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)


class Refusal(Exception):
    """A request that is not served. ``status``: HTTP's; ``reason``: for whoever asked, no secrets in it;
    ``retry_after``: seconds after which it may be tried again, None where that is of no use."""

    def __init__(self, status: int, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.retry_after = status, reason, retry_after


class ViewerMedia(Protocol):
    """One viewer's connection: sends a publisher's filtered video and delayed audio, else a card."""

    async def negotiate(self, offer: str) -> str:
        """The SDP answer, with all candidates, to an SDP offer. Raises Refusal (400, 406, 413)."""
        ...

    def facts(self) -> MediaFacts: ...

    def on_end(self, told: Callable[[], None]) -> None:
        """``told`` is called once, in the loop, when the connection has ended, whoever ended it."""
        ...

    async def close(self) -> None:
        """Ends the connection. Twice is once."""
        ...


class PatientMedia(Protocol):
    """A publisher's connection and its filter. What leaves it is edited or a card, never anything else."""

    async def negotiate(self, offer: str) -> str:
        """The SDP answer, with all candidates, to an SDP offer. Raises Refusal (400, 406, 413)."""
        ...

    def set_edit(self, edit: Edit) -> None:
        """Show another heart rate from now on; the phase runs on."""
        ...

    def pause(self, paused: bool) -> None:
        """A card instead of the picture, and silence, while ``paused``."""
        ...

    def facts(self) -> MediaFacts: ...

    def on_end(self, told: Callable[[], None]) -> None:
        """As :meth:`ViewerMedia.on_end`."""
        ...

    async def close(self) -> None:
        """Ends the connection and frees the filter. Twice is once."""
        ...


class Broadcast(Protocol):
    """What a room shows to its viewers: one patient's stream, or a card while there is none.

    Viewers stay connected while the patient comes, goes and comes back.
    """

    def publisher(self, edit: Edit) -> PatientMedia:
        """The room's next publisher, taking the place of one that is there. Raises Refusal (503) where the
        machine cannot filter one more in real time."""
        ...

    def viewer(self) -> ViewerMedia:
        """One more viewer. Raises Refusal (503) where the machine cannot encode for one more."""
        ...

    async def close(self) -> None:
        """Ends all of its connections."""
        ...


class Media(Protocol):
    """All media of this process."""

    def broadcast(self, room: str) -> Broadcast:
        """A room's stream. The caller closes it."""
        ...

    def load(self) -> Mapping[str, float]:
        """For metrics and admission: ``publishers``, ``viewers``, ``share`` (0..1 of what can be served)."""
        ...

    async def close(self) -> None: ...
