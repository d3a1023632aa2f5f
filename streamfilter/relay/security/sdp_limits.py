"""What an SDP offer may be, before anything is built from it.

The cheap checks (length, encoding, counts) come before the parser: aiortc's takes time that grows with the
square of some counts, and runs in the relay's one loop.
"""

from __future__ import annotations

import re

from streamfilter.relay.ports import Refusal

MAX_BYTES = 64 * 1024
MAX_MEDIA = 4  # m-lines
MAX_CANDIDATES = 20
MAX_LINES = 1000  # Chromium's offer of audio and video has about 250
MAX_CODECS = 128  # a=rtpmap lines, about 50 in that offer
MAX_FEEDBACK = 256  # a=rtcp-fb lines, about 60 there; the parser holds each against every codec
# Control characters, and whatever else str.splitlines, and so aiortc, takes for the end of a line.
_STRAY = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_PARSE_ERRORS = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    StopIteration,
    TypeError,
    ValueError,
)


def check_offer(sdp: bytes) -> str:
    """``sdp`` as text, if it is an offer that may be negotiated.

    Raises Refusal: 413 where it is too long or has too many parts, 400 where it is no offer of audio or
    video in UTF-8.
    """
    if len(sdp) > MAX_BYTES:
        raise Refusal(413, f"the offer has more than {MAX_BYTES // 1024} KiB")
    try:
        text = sdp.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(400, "the offer is no text in UTF-8") from None
    unified = text.replace("\r\n", "\n")
    if _STRAY.search(unified):
        raise Refusal(400, "the offer holds characters that SDP has no use for")
    _check_counts(unified.split("\n"))
    _parse(text)
    return text


def _check_counts(lines: list[str]) -> None:
    for limit, count, name in (
        (MAX_LINES, len(lines), "lines"),
        (MAX_MEDIA, sum(line.startswith("m=") for line in lines), "media sections"),
        (MAX_CANDIDATES, sum(line.startswith("a=candidate") for line in lines), "candidates"),
        (MAX_CODECS, sum(line.startswith("a=rtpmap") for line in lines), "codecs"),
        (MAX_FEEDBACK, sum(line.startswith("a=rtcp-fb") for line in lines), "kinds of feedback"),
    ):
        if count > limit:
            raise Refusal(413, f"the offer has more than {limit} {name}")


def _parse(text: str) -> None:
    from aiortc.sdp import SessionDescription  # here: physio-relay --help need not wait for it

    try:
        parsed = SessionDescription.parse(text)
    except _PARSE_ERRORS:
        # The cause stays here: it may quote the offer.
        raise Refusal(400, "the offer is no SDP that can be read") from None
    if not parsed.media:
        raise Refusal(400, "the offer has no media")
    for media in parsed.media:
        if media.kind not in ("audio", "video"):
            raise Refusal(400, "the offer may have audio and video only")
