"""Who is in a room: media sessions, and the ears of events sockets."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from streamfilter.relay.ports import PatientMedia, ViewerMedia
from streamfilter.relay.security.tokens import Grant

_SESSION_BYTES = 16

M = TypeVar("M", PatientMedia, ViewerMedia)


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Why a socket is closed, and after how many seconds its client may come back (None: it should not)."""

    reason: str
    reconnect_in: float | None


class Listener:
    """One events socket's ear in a room: ``changed`` is set when there is something new to tell, or
    ``goodbye`` to say."""

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self.changed = asyncio.Event()
        self.goodbye: Goodbye | None = None

    def dismiss(self, goodbye: Goodbye) -> None:
        self.goodbye = self.goodbye or goodbye
        self.changed.set()


@dataclass(eq=False, slots=True)
class Session(Generic[M]):
    """One connection of a room.

    ``address``: the client's, for the limits only; it is never logged. ``begun``: by the monotonic clock.
    ``answered``: its negotiation is done. ``ended``: its media is gone.
    """

    grant: Grant
    address: str
    begun: float
    media: M
    id: str = field(default_factory=lambda: secrets.token_urlsafe(_SESSION_BYTES))
    answered: bool = False
    ended: bool = False
