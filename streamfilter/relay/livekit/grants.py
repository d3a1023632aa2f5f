"""Who may do what, as LiveKit's access tokens say it.

LiveKit's grants know rooms, not tracks: whoever may subscribe in a room may subscribe to all of it. So the
raw tracks are in a room of their own, for which no viewer's token is ever made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta

from livekit import api

from streamfilter.errors import UsageError

TOKEN_SECONDS = 60.0  # in which a token has to be used; a session that has begun goes on
MIN_SECRET = 32  # bytes
_MEDIA = ["camera", "microphone"]
_ROOM, _IDENTITY = re.compile(r"[A-Za-z0-9_-]{1,64}"), re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True)
class LiveKitKeys:
    """An API key of a LiveKit server and its secret, of at least 32 bytes, else UsageError is raised."""

    key: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.key or len(self.secret.encode()) < MIN_SECRET:
            raise UsageError(f"LiveKit needs an API key, and a secret of {MIN_SECRET} bytes or more")

    def patient(self, room: str, identity: str) -> str:
        """To publish camera and microphone in the raw room, and to see nothing of it."""
        return self._token(raw_room(room), identity, publishes=True)

    def listener(self, room: str, identity: str) -> str:
        """A worker's, to take what is published in the raw room."""
        return self._token(raw_room(room), identity, publishes=False, hidden=True)

    def publisher(self, room: str, identity: str) -> str:
        """A worker's, to publish what it filtered."""
        return self._token(shown_room(room), identity, publishes=True)

    def viewer(self, room: str, identity: str) -> str:
        """To take what a worker published, and to publish nothing, not even data."""
        return self._token(shown_room(room), identity, publishes=False)

    def _token(self, room: str, identity: str, *, publishes: bool, hidden: bool = False) -> str:
        if not _IDENTITY.fullmatch(identity):
            raise UsageError("an identity has 1 to 128 letters, digits, - and _")
        grants = api.VideoGrants(
            room_join=True,
            room=room,
            can_publish=publishes,
            can_publish_sources=_MEDIA if publishes else None,
            can_publish_data=False,
            can_subscribe=not publishes,
            can_update_own_metadata=False,
            hidden=hidden,
        )
        token = api.AccessToken(self.key, self.secret).with_identity(identity).with_grants(grants)
        return str(token.with_ttl(timedelta(seconds=TOKEN_SECONDS)).to_jwt())


def raw_room(room: str) -> str:
    """Where the patient publishes. Raises UsageError for a name that is none."""
    return f"raw-{_checked(room)}"


def shown_room(room: str) -> str:
    """Where viewers are. Raises UsageError for a name that is none."""
    return f"shown-{_checked(room)}"


def _checked(room: str) -> str:
    if not _ROOM.fullmatch(room):
        raise UsageError("a room's name has 1 to 64 letters, digits, - and _")
    return room
