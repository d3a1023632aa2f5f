"""A viewer's SDP and a VideoRoom's offer: what each end is answered."""

from __future__ import annotations

import pytest
from aiortc.sdp import MediaDescription, SessionDescription

from streamfilter.relay.cluster.subscriber_sdp import answer_both, clean_answer
from streamfilter.relay.ports import Refusal

MID, TIME = (
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
)
WIDE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"


def end(name: str, setup: str) -> str:
    """Of the transport: credentials, fingerprint and an address that tell whose it is."""
    prints = ":".join([name.encode().hex()[:2].upper()] * 32)
    return (
        f"a=ice-ufrag:{name}\r\na=ice-pwd:{name * 6}\r\na=setup:{setup}\r\na=fingerprint:sha-256 {prints}\r\n"
        f"a=candidate:1 1 udp 2015363327 192.0.2.{len(name)} 4000 typ host\r\na=rtcp-mux\r\n"
    )


def sdp(*media: str) -> str:
    mids = " ".join(part.split("a=mid:")[1].split("\r\n")[0] for part in media)
    return f"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mids}\r\n" + "".join(media)


def section(kind: str, name: str, mid: str, direction: str, setup: str, *lines: str) -> str:
    numbers = " ".join(line.split(":")[1].split()[0] for line in lines if line.startswith("a=rtpmap"))
    return (
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {numbers}\r\nc=IN IP4 0.0.0.0\r\na={direction}\r\na=mid:{mid}\r\n"
        + "".join(f"{line}\r\n" for line in lines)
        + end(name, setup)
    )


VP8 = ("a=rtpmap:96 VP8/90000", "a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli", "a=rtcp-fb:96 transport-cc")
RTX, OPUS = ("a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96"), ("a=rtpmap:111 opus/48000/2",)
JANUS = sdp(
    section(
        "video", "janus", "0", "sendonly", "actpass", *VP8, *RTX,
        f"a=extmap:2 {TIME}", f"a=extmap:3 {WIDE}", f"a=extmap:4 {MID}", "a=ssrc:7 cname:janus",
    ),
    section("audio", "janus", "1", "sendonly", "actpass", *OPUS, f"a=extmap:4 {MID}"),
)  # fmt: skip


def viewer(*video: str, audio: tuple[str, ...] = (), mid: str = "0", setup: str = "actpass") -> str:
    sections = [section("audio", "viewer", "a", "recvonly", setup, *audio)] if audio else []
    return sdp(*sections, section("video", "viewer", mid, "recvonly", setup, *video))


def of(text: str, kind: str) -> MediaDescription:
    return next(media for media in SessionDescription.parse(text).media if media.kind == kind)


def test_each_end_gets_its_own_sections_with_the_others_transport() -> None:
    answers = answer_both(viewer(*VP8, *RTX, audio=OPUS), JANUS)
    for text, kinds, name, direction, role in (
        (answers.to_viewer, ["audio", "video"], "janus", "sendonly", "server"),
        (answers.to_janus, ["video", "audio"], "viewer", "recvonly", "client"),
    ):
        media = SessionDescription.parse(text).media
        assert [one.kind for one in media] == kinds
        for one in media:
            assert one.ice is not None and one.ice.usernameFragment == name
            assert one.direction == direction and one.rtcp_mux
            assert one.dtls is not None and one.dtls.role == role
            assert [candidate.ip for candidate in one.ice_candidates] == [f"192.0.2.{len(name)}"]
    video = of(answers.to_viewer, "video")
    assert [codec.payloadType for codec in video.rtp.codecs] == [96, 97] and video.ssrc[0].ssrc == 7
    assert not of(answers.to_janus, "video").ssrc


def test_what_is_numbered_otherwise_is_left_out() -> None:
    extensions = (f"a=extmap:2 {TIME}", f"a=extmap:5 {WIDE}", f"a=extmap:4 {MID}")
    for mid, kept in (("0", {TIME, MID}), ("1", {TIME})):  # Janus would send its own section's name
        video = of(answer_both(viewer(*VP8, *extensions, mid=mid), JANUS).to_viewer, "video")
        assert {one.uri for one in video.rtp.headerExtensions} == kept
        assert [str(one.type) for one in video.rtp.codecs[0].rtcpFeedback] == ["nack", "nack"]
    resent_otherwise = ("a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=98", "a=rtpmap:98 VP8/90000")
    video = of(answer_both(viewer(*VP8, *resent_otherwise), JANUS).to_janus, "video")
    assert [codec.payloadType for codec in video.rtp.codecs] == [96]


def test_a_viewer_that_takes_no_sound_gets_none() -> None:
    audio = of(answer_both(viewer(*VP8), JANUS).to_janus, "audio")
    assert audio.port == 0 and audio.direction == "inactive" and not audio.ice_candidates


@pytest.mark.parametrize(
    "video",
    [
        ("a=rtpmap:97 VP8/90000",),  # Janus' number for sending again
        ("a=rtpmap:96 VP9/90000",),
        RTX,
    ],
)
def test_no_codec_in_common_is_406(video: tuple[str, ...]) -> None:
    for make in (answer_both, clean_answer):
        with pytest.raises(Refusal, match="VP8 as 96") as refused:
            make(viewer(*video), JANUS)
        assert refused.value.status == 406


def test_an_answer_is_made_anew_of_what_janus_offered() -> None:
    extra = ("a=rtpmap:45 AV1/90000", "a=x-made-up:1", f"a=extmap:9 {TIME}")
    clean = clean_answer(viewer(*VP8, *extra, setup="passive"), JANUS)
    video = of(clean, "video")
    assert [codec.payloadType for codec in video.rtp.codecs] == [96] and "made-up" not in clean
    assert not video.rtp.headerExtensions and "a=ice-ufrag:viewer" in clean
    assert video.dtls is not None and video.dtls.role == "server"
