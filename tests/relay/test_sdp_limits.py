"""What an offer may be; a real one of aiortc and one of Chromium's shape pass."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from aiortc import RTCPeerConnection

from streamfilter.relay.ports import Refusal
from streamfilter.relay.security.sdp_limits import MAX_BYTES, check_offer

HEAD = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\n"
ICE = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n" + FINGERPRINT + "a=setup:actpass\r\n"
VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n" + ICE + "a=mid:0\r\na=sendonly\r\na=rtcp-mux\r\n"
)
VP8 = "a=rtpmap:96 VP8/90000\r\n"
GOOD = HEAD + VIDEO + VP8
CANDIDATE = "a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host\r\n"


def media(number: int) -> str:
    return (VIDEO + VP8).replace("a=mid:0", f"a=mid:{number}")


def status(sdp: str | bytes) -> int:
    with pytest.raises(Refusal) as caught:
        check_offer(sdp.encode() if isinstance(sdp, str) else sdp)
    return caught.value.status


def test_a_good_offer_comes_back_as_it_was() -> None:
    assert check_offer(GOOD.encode()) == GOOD


def test_line_feeds_alone_are_read_too() -> None:
    bare = GOOD.replace("\r\n", "\n")
    assert check_offer(bare.encode()) == bare


def test_an_offer_of_a_real_peer_passes() -> None:
    async def offer() -> str:
        peer = RTCPeerConnection()
        try:
            peer.addTransceiver("video", direction="recvonly")
            peer.addTransceiver("audio", direction="recvonly")
            return (await peer.createOffer()).sdp
        finally:
            await peer.close()

    sdp = asyncio.run(offer())
    assert check_offer(sdp.encode()) == sdp


def test_exactly_the_limits_pass_and_one_more_does_not() -> None:
    assert check_offer((GOOD + CANDIDATE * 20).encode())
    assert status(GOOD + CANDIDATE * 21) == 413
    four, five = (HEAD + "".join(media(number) for number in range(count)) for count in (4, 5))
    assert check_offer(four.encode())
    assert status(five) == 413
    padding = "a=x:" + "y" * (MAX_BYTES - len(GOOD) - 6) + "\r\n"
    assert len(check_offer((GOOD + padding).encode())) == MAX_BYTES
    assert status(GOOD + padding.replace("y", "yy", 1)) == 413
    assert status(GOOD + "a=x\r\n" * 1000) == 413
    assert status(HEAD + VIDEO + VP8 * 129) == 413
    assert status(GOOD + "a=rtcp-fb:96 nack\r\n" * 257) == 413


@pytest.mark.parametrize(
    "sdp",
    [
        "",
        "hello",
        HEAD,
        GOOD + "\0",
        GOOD.replace("m=video 9", "m=video"),
        GOOD.replace("SAVPF 96", "SAVPF x"),
        GOOD.replace("SAVPF 96", "SAVPF 300"),
        GOOD.replace("SAVPF 96", "SAVPF 72"),
        GOOD + "a=rtpmap:96\r\n",
        GOOD + "a=fmtp:97 x=1\r\n",
        GOOD + "a=candidate:1 1 udp\r\n",
        GOOD + "a=setup:maybe\r\n",
        GOOD + "a=ssrc:x cname:y\r\n",
        GOOD + "a=rtcp:x\r\n",
        GOOD + "a=fingerprint\r\n",
        GOOD + "a=rtpmap:96 VP8/" + "9" * 5000 + "\r\n",
        GOOD.replace("m=video", "m=application"),
        GOOD.replace("a=ice-ufrag:abcd", "a=x:y"),
        GOOD.replace("a=ice-ufrag:abcd", "a=ice-ufrag:abc"),
        GOOD.replace("a=ice-ufrag:abcd", "a=ice-ufrag:ab d"),
        GOOD.replace("a=ice-pwd:", "a=ice-pwd:" + "x" * 256),
        GOOD.replace("a=ice-pwd:abcdefghijklm", "a=ice-pwd:"),
        GOOD.replace("a=setup:actpass\r\n", ""),
        GOOD.replace(FINGERPRINT, ""),
        GOOD.replace("sha-256", "md5"),
        GOOD.replace("sha-256", "sha-1"),
        GOOD.replace("AB:AB:", "AB:", 1),
        GOOD.replace("AB:AB:", "AB:XY:", 1),
        GOOD + FINGERPRINT * 4,
        GOOD.replace("BUNDLE 0", "BUNDLE 1"),
        GOOD.replace("BUNDLE 0", "BUNDLE 0 0"),
        GOOD.replace("BUNDLE 0", "BUNDLE x 0"),
        GOOD.replace("a=mid:0\r\n", ""),
        GOOD + media(0),
        GOOD + "a=x:y\u2028m=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
        GOOD + "a=x:y\vm=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
        GOOD + "a=x:y\rm=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
        GOOD + "a=x:y\x85a=candidate:1\r\n",
    ],
)
def test_what_is_no_offer_is_a_bad_request(sdp: str) -> None:
    assert status(sdp) == 400


def test_other_encodings_are_a_bad_request() -> None:
    assert status(GOOD.encode("utf-16")) == 400
    assert status(GOOD.encode() + b"\xff") == 400
    assert status(GOOD.encode() + b"a=x:\xed\xa0\x80") == 400  # half of a surrogate pair


def test_the_reason_does_not_quote_the_offer() -> None:
    with pytest.raises(Refusal) as caught:
        check_offer((GOOD + "a=rtpmap:private-thing\r\n").encode())
    assert "private" not in caught.value.reason
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


MEDIA = HEAD + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"


@pytest.mark.parametrize(
    "offer",
    [
        MEDIA + VP8 * 128 + "a=rtcp-fb:* nack\r\n" * 256,
        MEDIA + "".join(f"a=ssrc:{number} cname:x\r\n" for number in range(980)),
        MEDIA + "".join(f"a=rtpmap:{number} x/1\r\n" for number in range(128)) + "a=fmtp:127 x=1\r\n" * 860,
        HEAD + "a=group:x" + " y" * 32_000,
        HEAD + "m=video 9 UDP/TLS/RTP/SAVPF" + " 96" * 21_000,
        GOOD + "a=fmtp:96 " + "x=1;" * 16_000,
        HEAD + "m=" + " " * 65_000,
        HEAD + "m=video 1 " + "A/" * 32_000,
    ],
)
def test_the_worst_that_passes_the_counts_does_not_hold_the_loop_up(offer: str) -> None:
    spent = []
    for _ in range(3):
        began = time.process_time()
        with contextlib.suppress(Refusal):
            check_offer(offer.encode())
        spent.append(time.process_time() - began)
    assert min(spent) < 0.15
