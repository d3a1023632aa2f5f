"""The two links of a room. Tokens stand in the fragment, which browsers send to nobody."""

from __future__ import annotations

from dataclasses import dataclass

from streamfilter.relay.ports import Role
from streamfilter.relay.security.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Links:
    """``patient`` holds the viewers' token too: the patient's page shows a link to share."""

    patient: str
    viewer: str


def room_links(base: str, tokens: Tokens, room: str, seconds: float) -> Links:
    """``base``: scheme, host and port. Raises UsageError for a bad room name or time."""
    patient, viewer = (tokens.issue(room, role, seconds) for role in (Role.PATIENT, Role.VIEWER))
    return Links(f"{base}/{Role.PATIENT}#t={patient}&v={viewer}", f"{base}/{Role.VIEWER}#t={viewer}")
