"""No damaged token is a grant of anything but what a good one would be, and none is an error."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.relay_fuzz_cases import damaged_token
from streamfilter.relay.ports import Refusal, Role
from streamfilter.relay.security.tokens import Tokens

SECRET = b"0123456789abcdef0123456789abcdef"
TOKENS = Tokens(SECRET)
GOOD = TOKENS.issue("room-1", Role.VIEWER, 3600)
SEGMENT = st.text("ABCabc019-_=", max_size=60)


def check(token: str, forged: bool) -> None:
    try:
        grant = TOKENS.check(token)
    except Refusal as caught:
        refusal = caught
    else:
        assert not forged
        assert grant.room and grant.role in Role and grant.id
        return
    assert refusal.status == 401


@given(st.one_of(st.text(max_size=200), st.builds("{}.{}.{}".format, SEGMENT, SEGMENT, SEGMENT)))
def test_texts(token: str) -> None:
    check(token, forged=True)


@given(SEGMENT, st.integers(0, 2))
def test_one_segment_replaced(segment: str, index: int) -> None:
    parts = GOOD.split(".")
    parts[index] = segment
    check(".".join(parts), forged=True)


@given(st.integers(0, 2**32))
@settings(max_examples=300)
def test_damaged_and_signed_anew(seed: int) -> None:
    check(damaged_token(Random(seed), GOOD, SECRET), forged=False)


@given(st.integers(0, 2**32))
def test_damaged_and_signed_with_another_secret(seed: int) -> None:
    token = damaged_token(Random(seed), GOOD, b"x" * 32)
    check(token, forged=token.rsplit(".", 1)[0] != GOOD.rsplit(".", 1)[0])
