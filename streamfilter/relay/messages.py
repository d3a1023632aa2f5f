"""What clients may say over the events socket. Everything else ends it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamfilter.config import MAX_BPM, MIN_BPM
from streamfilter.relay.ports import Edit, Refusal, Role

_RATE = re.compile(r"[0-9]{2,3}(\.[0-9]{1,2})?")
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Pause:
    """A card in the picture's place, and silence, while ``paused``."""

    paused: bool


@dataclass(frozen=True, slots=True)
class Bye:
    """The client leaves; ``session`` is its media session, which ends with it, None where it has none."""

    session: str | None = None


def parse_hello(text: str) -> str:
    """The token of a first message. Raises Refusal (400)."""
    token = _parse(text).get("token")
    if not isinstance(token, str):
        raise Refusal(400, "the first message holds no token")
    return token


def parse_message(text: str, role: Role) -> Edit | Pause | Bye:
    """A later message, if ``role`` may send it. Raises Refusal (400), whatever the text."""
    message = _parse(text)
    match message.get("type"):
        case "edit" if role is Role.PATIENT and "bpm" in message:
            return Edit(_rate(message["bpm"]))
        case "pause" if role is Role.PATIENT and isinstance(message.get("paused"), bool):
            return Pause(message["paused"])
        case "bye":
            session = message.get("session")
            valid = isinstance(session, str) and _SESSION.fullmatch(session)
            return Bye(session if valid else None)
        case _:
            raise Refusal(400, "the message is none that may be sent here")


def parse_hr(given: Sequence[str]) -> Edit | None:
    """What ``?hr=70`` or ``?hr=hide`` asks for; None where nothing is given. Raises Refusal (400)."""
    if not given:
        return None
    if list(given) == ["hide"]:
        return Edit(None)
    if len(given) == 1 and _RATE.fullmatch(given[0]) and MIN_BPM <= float(given[0]) <= MAX_BPM:
        return Edit(float(given[0]))
    raise Refusal(400, f"hr should be a heart rate from {MIN_BPM:g} to {MAX_BPM:g}, or hide.")


def _parse(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise Refusal(400, "the message is no JSON") from None
    if not isinstance(message, dict):
        raise Refusal(400, "the message is no object")
    return message


def _rate(value: object) -> float | None:
    if value is None:
        return None
    # NaN and infinity, which Python's JSON reads, fail the comparison.
    if isinstance(value, bool) or not isinstance(value, int | float) or not MIN_BPM <= value <= MAX_BPM:
        raise Refusal(400, f"bpm should be a number from {MIN_BPM:g} to {MAX_BPM:g}, or null")
    return float(value)
