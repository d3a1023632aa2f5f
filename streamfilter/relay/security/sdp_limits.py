"""What an SDP offer may be, before anything is built from it.

The cheap checks (length, encoding, counts) come before the parser: aiortc's takes time that grows with the
square of some counts, and runs in the relay's one loop.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from streamfilter.relay.ports import Refusal

if TYPE_CHECKING:
    from aiortc.sdp import MediaDescription, SessionDescription

MAX_BYTES = 64 * 1024
MAX_MEDIA = 4  # m-lines
MAX_CANDIDATES = 20
MAX_LINES = 1000  # Chromium's offer of audio and video has about 250
MAX_CODECS = 128  # a=rtpmap lines, about 50 in that offer
MAX_FEEDBACK = 256  # a=rtcp-fb lines, about 60 there; the parser holds each against every codec
# Control characters, and whatever else str.splitlines, and so aiortc, takes for the end of a line.
_STRAY = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
MAX_FINGERPRINTS = 4  # of one media section
_UFRAG, _PASSWORD = re.compile(r"[A-Za-z0-9+/]{4,256}"), re.compile(r"[A-Za-z0-9+/]{22,256}")  # RFC 8839, 5.4
_HEX = "[0-9A-Fa-f]{2}"
_HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}  # bytes
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
    from aiortc.sdp import SessionDescription  # here: who only makes a link need not wait for it

    try:
        parsed = SessionDescription.parse(text)
    except _PARSE_ERRORS:
        # The cause stays here: it may quote the offer.
        raise Refusal(400, "the offer is no SDP that can be read") from None
    if not parsed.media:
        raise Refusal(400, "the offer has no media")
    for media in parsed.media:
        _check_media(media)
    _check_bundle(parsed)


def _check_media(media: MediaDescription) -> None:
    """What aiortc asks for only when the answer is out already, in a task of its own."""
    if media.kind not in ("audio", "video"):
        raise Refusal(400, "the offer may have audio and video only")
    ice, dtls = media.ice, media.dtls
    if ice is None or not (_is(_UFRAG, ice.usernameFragment) and _is(_PASSWORD, ice.password)):
        raise Refusal(400, "the offer's ICE user or password is missing or malformed")
    if dtls is None or not 1 <= len(dtls.fingerprints) <= MAX_FINGERPRINTS:
        raise Refusal(400, "the offer's DTLS set-up or fingerprint is missing, or there are too many")
    for fingerprint in dtls.fingerprints:
        size = _HASHES.get(fingerprint.algorithm.lower())
        if size is None or not re.fullmatch(f"{_HEX}(:{_HEX}){{{size - 1}}}", fingerprint.value):
            raise Refusal(400, "a fingerprint of the offer is malformed, or its hash is too weak")


def _check_bundle(parsed: SessionDescription) -> None:
    """Media sections have names, all different, and a bundle is of such names (RFC 9143, section 7.2)."""
    names = [media.rtp.muxId for media in parsed.media]
    bundles = [group.items for group in parsed.group if group.semantic == "BUNDLE"]
    bundled = [name for items in bundles for name in items]
    if len(set(names)) < len(names) or (bundles and "" in names):
        raise Refusal(400, "the offer's media sections need names that differ (a=mid)")
    if len(set(bundled)) < len(bundled) or not set(bundled) <= set(names):
        raise Refusal(400, "the offer's bundle names media sections that there are not, or one twice")


def _is(form: re.Pattern[str], text: str | None) -> bool:
    return text is not None and form.fullmatch(text) is not None
