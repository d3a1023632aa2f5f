"""No offer, damaged or made up, is more than a refusal; what passes can be parsed."""

from __future__ import annotations

from random import Random

from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.relay_fuzz_cases import PIECES, damaged_offer
from streamfilter.relay.ports import Refusal
from streamfilter.relay.security.sdp_limits import MAX_CANDIDATES, MAX_MEDIA, check_offer
from tests.relay.test_sdp_limits import GOOD

LINES = st.one_of(
    st.sampled_from([line + "\r\n" for line in GOOD.splitlines()] + list(PIECES)),
    st.builds(
        "a={}:{}\r\n".format,
        st.sampled_from(["candidate", "rtpmap", "fmtp", "ssrc", "rtcp", "extmap", "setup", "group"]),
        st.text(max_size=30),
    ),
)


def check(offer: bytes) -> None:
    try:
        text = check_offer(offer)
    except Refusal as caught:
        refusal = caught
    else:
        parsed = SessionDescription.parse(text)
        assert 1 <= len(parsed.media) <= MAX_MEDIA
        assert sum(len(media.ice_candidates) for media in parsed.media) <= MAX_CANDIDATES
        return
    assert refusal.status in (400, 413)


@settings(deadline=None)
@given(st.lists(LINES, max_size=40).map("".join))
def test_lines_of_sdp_in_any_order(offer: str) -> None:
    check(offer.encode("utf-8", errors="surrogatepass"))


@given(st.binary(max_size=300))
def test_bytes(offer: bytes) -> None:
    check(offer)


@given(st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_a_good_offer_damaged(seed: int) -> None:
    check(damaged_offer(Random(seed), GOOD))
