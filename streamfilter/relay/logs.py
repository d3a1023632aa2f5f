"""Log lines without SDP, addresses, tokens or heart rates: one JSON object (or one line of text) each.

The parts should not log such things; the scrubber is for what slips through, above all from libraries and
from the text of exceptions.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import TextIO

from aiohttp.http_exceptions import HttpProcessingError

from streamfilter.relay.settings import RelaySettings

# Fields (logger.info(..., extra={...})) that never leave, whatever is in them.
_DROPPED = re.compile(
    r"sdp|offer|answer|candidate|addr|peer|remote|host|(^|_)ip($|_)|token|secret|credential|password|bpm|heart|pulse"
)
_SDP = re.compile(
    r"(^|\\r\\n|\\n|\s|['\"])(v=0|[moc]=\w+ |a=(candidate|fingerprint|ice-|ssrc|rtpmap|fmtp))", re.I
)
_CANDIDATE = re.compile(r"\bcandidate:\S+.*", re.I)
_TOKEN = re.compile(r"\beyJ[\w.-]{8,}")  # also where it is cut off
_ADDRESS = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*(?::[0-9A-Fa-f.]*){2,})(?![\w])")
_PULSE = re.compile(r"\b\d+(\.\d+)?\s*(bpm|beats)\b|\bbpm['\"]?\s*[=:]\s*\d+(\.\d+)?", re.I)
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET = ("aioice", "aiortc", "aiohttp.access", "aiohttp.client", "libav")  # they log addresses and SDP


def scrub(text: str, level: int = logging.INFO) -> str:
    """``text`` without what must not be logged; heart rates may be at DEBUG."""
    if _SDP.search(text):
        return "[SDP]"
    text = _TOKEN.sub("[token]", _CANDIDATE.sub("[candidate]", text))
    text = _ADDRESS.sub(_address, text)
    return text if level <= logging.DEBUG else _PULSE.sub("[rate]", text)


def _address(found: re.Match[str]) -> str:
    return "[address]" if any(map(_is_address, (found[0], found[0].rstrip(":.")))) else found[0]


def _is_address(text: str) -> bool:
    """No time of day, no version."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class Scrubber(logging.Filter):
    """Scrubs a record's message, its exception's text and its extra fields."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            return False  # no HTTP: aiohttp has answered 400, and a stranger should not fill the log
        record.msg, record.args = scrub(record.getMessage(), record.levelno), None
        if record.exc_info and not record.exc_text:
            lines = "".join(traceback.format_exception(*record.exc_info)).splitlines()
            record.exc_text = "\n".join(scrub(line, record.levelno) for line in lines)
        record.exc_info = None
        for name in set(vars(record)) - _OWN:
            value = getattr(record, name)
            if _DROPPED.search(name.lower()):
                delattr(record, name)
            elif not isinstance(value, bool | int | float | type(None)):
                setattr(record, name, scrub(str(value), record.levelno))
        return True


class JsonLines(logging.Formatter):
    """One JSON object a line: ``at`` (UTC), ``level``, ``logger``, ``message``, extra fields, ``error``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in sorted(set(vars(record)) - _OWN)}
        if record.exc_text:
            line["error"] = record.exc_text
        return json.dumps(line, default=str)


def set_up_logs(settings: RelaySettings, stream: TextIO | None = None) -> None:
    """Sends all log lines of the process to ``stream`` (None: standard error), scrubbed."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.addFilter(Scrubber())
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if settings.log_json else plain)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
