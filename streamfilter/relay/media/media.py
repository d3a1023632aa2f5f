"""All media of one process: its rooms' broadcasts, its filter threads and what it has room for."""

from __future__ import annotations

from collections.abc import Mapping

from streamfilter.relay.media.settings import MediaSettings
from streamfilter.relay.ports import Broadcast


class AiortcMedia:
    """:class:`streamfilter.relay.ports.Media` on aiortc. Made and used in the relay's event loop."""

    def __init__(self, settings: MediaSettings) -> None:
        self.settings = settings

    def broadcast(self, room: str) -> Broadcast:
        """A room's stream. The caller closes it."""
        raise NotImplementedError

    def load(self) -> Mapping[str, float]:
        """``publishers``, ``viewers``, ``share`` (0..1 of what can be served)."""
        raise NotImplementedError

    async def close(self) -> None:
        """Ends every connection, and every thread."""
        raise NotImplementedError
