"""No message of an events socket is more than a refusal, and what passes is within its ranges."""

from __future__ import annotations

import json
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.relay_fuzz_cases import message
from streamfilter.relay.messages import Bye, Pause, parse_hello, parse_message
from streamfilter.relay.ports import Edit, Refusal, Role

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(["type", "bpm", "paused", "session", "token"]), JSON, max_size=4)
KINDS = st.sampled_from(["edit", "pause", "bye"])


def check(text: str, role: Role) -> None:
    for parse in (lambda: parse_message(text, role), lambda: parse_hello(text)):
        try:
            found = parse()
        except Refusal as caught:
            assert_refusal(caught, text)
            continue
        match found:
            case Edit(bpm):
                assert role is Role.PATIENT and (bpm is None or 40.0 <= bpm <= 180.0)
            case Pause(paused):
                assert role is Role.PATIENT and isinstance(paused, bool)
            case Bye(session):
                assert session is None or session.isascii()
            case token:
                assert isinstance(token, str)


def assert_refusal(refusal: Refusal, text: str) -> None:
    assert refusal.status == 400 and (len(text) < 12 or text not in refusal.reason)


@given(st.text(max_size=200), st.sampled_from(Role))
def test_texts(text: str, role: Role) -> None:
    check(text, role)


@given(FIELDS, KINDS, st.sampled_from(Role))
def test_objects(fields: dict[str, object], kind: str, role: Role) -> None:
    check(json.dumps({"type": kind} | fields), role)


@given(st.integers(0, 2**32), st.sampled_from(Role))
@settings(max_examples=300)
def test_damaged_messages(seed: int, role: Role) -> None:
    check(message(Random(seed)), role)
