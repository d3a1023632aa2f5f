"""What a VideoRoom's offer to its subscriber becomes for a viewer, and the viewer's SDP for Janus.

A viewer offers, as WHEP has it, or answers. Where it offers, both ends have made an offer, and each gets an
answer that is made of the other's: its own media sections, with the other's addresses, credentials and
fingerprint. Media go between the two. Both take themselves for ICE's controlling end, which they settle
(RFC 8445, 7.3.1.1).

Janus 1.1 numbers payloads and header extensions as it offers them, whatever it is answered: a codec that the
viewer numbers otherwise is none in common. And nothing of a viewer's SDP is passed on as it came: an answer
that leaves Janus 1.1.2 without a payload type ends the whole process.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import NamedTuple

from aiortc.rtcpeerconnection import is_codec_compatible
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpParameters
from aiortc.sdp import GroupDescription, MediaDescription, SessionDescription

from streamfilter.relay.media.offer import read_offer
from streamfilter.relay.ports import Refusal

_TRANSPORT_WIDE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
_OTHER_ROLE = {"client": "server", "server": "client"}


class TwoAnswers(NamedTuple):
    """SDP answers: to the viewer's offer, and to Janus'."""

    to_viewer: str
    to_janus: str


def answer_both(viewer: str, janus: str) -> TwoAnswers:
    """From two offers. Raises Refusal: 400 where the viewer's is none of a receiver, 406 where no codec fits.

    ``viewer`` has passed :func:`streamfilter.relay.security.sdp_limits.check_offer`.
    """
    offered = SessionDescription.parse(read_offer(viewer, peer_sends=False).text)
    sent = SessionDescription.parse(janus)
    agreed, begins = _agreed(sent, offered), _begins(offered)
    streams = {media.kind: media for media in sent.media}
    to_viewer = _answer(offered, agreed, sent.media[0], _OTHER_ROLE[begins], "sendonly", streams)
    return TwoAnswers(to_viewer, _answer(sent, agreed, offered.media[0], begins, "recvonly", {}))


def clean_answer(viewer: str, janus: str) -> str:
    """The viewer's answer to Janus' offer, made anew. Raises Refusal as :func:`answer_both` does."""
    answered = SessionDescription.parse(read_offer(viewer, peer_sends=False).text)
    sent = SessionDescription.parse(janus)
    return _answer(sent, _agreed(sent, answered), answered.media[0], _begins(answered), "recvonly", {})


def _begins(viewer: SessionDescription) -> str:
    """The viewer's part in DTLS: it begins, unless it says otherwise."""
    dtls = viewer.media[0].dtls
    return "server" if dtls is not None and dtls.role == "server" else "client"


def _agreed(sent: SessionDescription, viewer: SessionDescription) -> dict[str, RTCRtpParameters]:
    """By kind of media, what both have by the same numbers."""
    wanted = {media.kind: media for media in viewer.media if media.port}
    both = {media.kind: _common(media, wanted[media.kind]) for media in sent.media if media.kind in wanted}
    agreed = {kind: rtp for kind, rtp in both.items() if rtp.codecs}
    if "video" not in agreed:
        has = ", ".join(
            f"{one.name} as {one.payloadType}" for media in sent.media for one in media.rtp.codecs
        )
        raise Refusal(406, f"No video codec in common: payload types should be {has}.")
    return agreed


def _common(sent: MediaDescription, wanted: MediaDescription) -> RTCRtpParameters:
    known = {(one.id, one.uri) for one in wanted.rtp.headerExtensions}
    if sent.rtp.muxId != wanted.rtp.muxId:
        known = {(number, uri) for number, uri in known if uri != _MID}  # Janus would send its own name
    extensions = [one for one in sent.rtp.headerExtensions if (one.id, one.uri) in known]
    wide = any(one.uri == _TRANSPORT_WIDE for one in extensions)
    codecs: list[RTCRtpCodecParameters] = []
    for codec in sent.rtp.codecs:
        for theirs in wanted.rtp.codecs:
            same = (theirs.payloadType, theirs.parameters.get("apt")) == (
                codec.payloadType,
                codec.parameters.get("apt"),
            )
            if same and is_codec_compatible(codec, theirs):
                both = deepcopy(codec)
                both.rtcpFeedback = [
                    one for one in codec.rtcpFeedback
                    if one in theirs.rtcpFeedback and (wide or one.type != "transport-cc")
                ]  # fmt: skip
                codecs.append(both)
    numbers = {codec.payloadType for codec in codecs if codec.name.lower() != "rtx"}
    codecs = [one for one in codecs if one.payloadType in numbers or one.parameters.get("apt") in numbers]
    return RTCRtpParameters(codecs=codecs, headerExtensions=extensions)


def _answer(
    offer: SessionDescription,
    agreed: Mapping[str, RTCRtpParameters],
    transport: MediaDescription,
    role: str,
    direction: str,
    streams: Mapping[str, MediaDescription],
) -> str:
    """The answer to ``offer`` of the other end, whose first section's transport is that of all (BUNDLE).

    ``streams``: what that end sends.
    """
    answer = deepcopy(offer)
    answer.type, answer.host, answer.msid_semantic = "answer", None, []
    for media in answer.media:
        media.host, media.ice, media.dtls = "0.0.0.0", transport.ice, deepcopy(transport.dtls)
        if media.dtls is not None:
            media.dtls.role = role
        media.rtcp_port, media.rtcp_host, media.rtcp_mux = 9, "0.0.0.0", True
        stream = streams.get(media.kind)
        media.ssrc = [] if stream is None else stream.ssrc
        media.ssrc_group = [] if stream is None else stream.ssrc_group
        media.msid = None if stream is None else stream.msid
        if media.kind not in agreed:
            media.port, media.direction, media.ice_candidates = 0, "inactive", []
            continue
        media.port, media.direction = 9, direction
        media.ice_candidates, media.ice_candidates_complete = transport.ice_candidates, True
        rtp = agreed[media.kind]
        media.rtp.codecs, media.rtp.headerExtensions = rtp.codecs, rtp.headerExtensions
        media.fmt = [codec.payloadType for codec in rtp.codecs]
    mids: list[int | str] = [media.rtp.muxId for media in answer.media if media.kind in agreed]
    answer.group = [GroupDescription("BUNDLE", mids)]
    return str(answer)
