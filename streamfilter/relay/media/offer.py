"""What a peer offers, looked at before a connection is made for it."""

from __future__ import annotations

from dataclasses import dataclass

from aiortc.sdp import SessionDescription

from streamfilter.relay.ports import Refusal

MAX_OFFER = 64 * 1024  # bytes
MAX_SECTIONS, MAX_CANDIDATES = 4, 20
_SENDS, _RECEIVES = frozenset({"sendonly", "sendrecv"}), frozenset({"recvonly", "sendrecv"})


@dataclass(frozen=True, slots=True)
class Offer:
    """The offer's text for aiortc, and which kinds of media (audio, video) it has."""

    text: str
    kinds: tuple[str, ...]


def read_offer(text: str, peer_sends: bool) -> Offer:
    """Checks an SDP offer of one video and at most one audio section.

    Candidates with names of the local network (``.local``) are left out: looking them up takes seconds, and
    such a peer is found by its own checks. Raises Refusal (400, 413).
    """
    if len(text.encode()) > MAX_OFFER:
        raise Refusal(413, "the offer is too long")
    lines = text.splitlines()
    if sum(line.startswith("m=") for line in lines) > MAX_SECTIONS:
        raise Refusal(400, "the offer has too many media sections")
    if sum(line.startswith("a=candidate:") for line in lines) > MAX_CANDIDATES:
        raise Refusal(400, "the offer has too many candidates")
    kept = [line for line in lines if not (line.startswith("a=candidate:") and ".local " in line)]
    text = "\r\n".join(kept) + "\r\n"
    try:
        description = SessionDescription.parse(text)
    except Exception as error:  # the parser raises whatever a damaged line leads it to
        raise Refusal(400, "the offer is no session description that can be read") from error
    wanted = _SENDS if peer_sends else _RECEIVES
    kinds = []
    for media in description.media:
        if media.kind not in ("audio", "video") or media.kind in kinds:
            raise Refusal(400, "the offer should have one video and at most one audio section")
        if (media.direction or "sendrecv") not in wanted:
            raise Refusal(400, f"the {media.kind} is offered in the wrong direction")
        kinds.append(media.kind)
    if "video" not in kinds:
        raise Refusal(400, "the offer has no video")
    if len(kinds) > 1 and not any(group.semantic == "BUNDLE" for group in description.group):
        raise Refusal(400, "the offer does not bundle its media")
    return Offer(text, tuple(kinds))


def with_bandwidth(answer: str, kbps: int) -> str:
    """The answer, telling the sender of video by how much it may send (RFC 8866, 5.8)."""
    lines = answer.split("\r\n")
    video = next((at for at, line in enumerate(lines) if line.startswith("m=video")), None)
    if video is None:
        return answer
    at = next((at for at in range(video + 1, len(lines)) if lines[at].startswith("c=")), video)
    return "\r\n".join([*lines[: at + 1], f"b=AS:{kbps}", *lines[at + 1 :]])
