"""Log lines: their form, and what never gets into one."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp.http_exceptions import LineTooLong
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.relay.logs import scrub, set_up_logs
from streamfilter.relay.ports import Role
from streamfilter.relay.security.tokens import Tokens
from streamfilter.relay.settings import RelaySettings

SECRET = b"0123456789abcdef0123456789abcdef"
LOG = logging.getLogger("tests.relay.logs")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


def log(**settings: Any) -> io.StringIO:
    stream = io.StringIO()
    set_up_logs(RelaySettings(secret=SECRET, **settings), stream)
    return stream


def one(stream: io.StringIO) -> dict[str, Any]:
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    line: dict[str, Any] = json.loads(lines[0])
    return line


def test_a_line_is_one_object_with_time_level_logger_message_and_fields() -> None:
    stream = log()
    LOG.warning("two\nlines %s", 5, extra={"room": "r1", "count": 3})
    line = one(stream)
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "tests.relay.logs",
        "message": "two\nlines 5",
        "room": "r1",
        "count": 3,
    }


def test_plain_lines_are_scrubbed_too() -> None:
    stream = log(log_json=False)
    LOG.error("from %s", "192.0.2.7")
    assert "WARNING" not in stream.getvalue() and "ERROR" in stream.getvalue()
    assert "192.0.2.7" not in stream.getvalue()


def test_levels_hold() -> None:
    stream = log(log_level="WARNING")
    LOG.info("no")
    LOG.warning("yes")
    assert one(stream)["message"] == "yes"


@pytest.mark.parametrize(
    "name", ["offer", "sdp", "address", "peer", "remote_ip", "token", "credential", "bpm", "heart_rate"]
)
def test_fields_that_are_named_like_what_must_not_be_logged_are_dropped(name: str) -> None:
    stream = log()
    LOG.warning("x", extra={name: "value-of-it"})
    assert "value-of-it" not in stream.getvalue() and name not in one(stream)


@pytest.mark.parametrize(
    "secret",
    [
        "192.0.2.7",
        "192.0.2.7:5000",
        "('10.1.2.3', 5000)",
        "2001:db8::7",
        "[2001:db8::7]:443",
        "::ffff:10.1.2.3",
        "fe80::1%eth0",
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n",
        "a=candidate:1 1 udp 1 192.0.2.7 5 typ host",
        "candidate:1 1 udp 1 abcd.local 5 typ host",
        "a=ice-pwd:abcdefgh",
        Tokens(SECRET).issue("r", Role.VIEWER, 60),
    ],
)
def test_messages_arguments_fields_and_exceptions_are_scrubbed(secret: str) -> None:
    stream = log()
    LOG.warning("about " + secret.replace("%", "%%"))
    LOG.warning("about %s", secret)
    LOG.warning("about", extra={"about": secret})
    LOG.warning("about", extra={"about": {"deep": [secret]}})
    try:
        raise ValueError(f"about {secret}")
    except ValueError:
        LOG.exception("failed")
    text = stream.getvalue()
    assert len(text.splitlines()) == 5
    for trace in ("192.0.2.7", "10.1.2.3", "db8", "fe80", "127.0.0.1", "abcd", "eyJ"):
        assert trace not in text
    assert "ValueError" in text and "test_relay_logs.py" in text


def test_a_token_that_is_cut_off_is_scrubbed_too() -> None:
    token = Tokens(SECRET).issue("r", Role.VIEWER, 60)
    for cut in (20, 60, len(token) - 3):
        assert "eyJ" not in scrub(f"Got more than 8190 bytes: b'Bearer {token[:cut]}...'")


def test_strangers_who_speak_no_http_do_not_fill_the_log() -> None:
    stream = log()
    try:
        raise LineTooLong(b"x" * 9000, 8190)
    except LineTooLong:
        LOG.exception("Error handling request")
    assert stream.getvalue() == ""


def test_heart_rates_are_for_debug_only() -> None:
    stream = log(log_level="DEBUG")
    LOG.info("shows 72 bpm, bpm=81")
    LOG.debug("shows 72 bpm")
    info, debug = (json.loads(line)["message"] for line in stream.getvalue().splitlines())
    assert "72" not in info and "81" not in info and "72" in debug


@pytest.mark.parametrize(
    "text", ["at 12:30:45", "version 4.6.1", "took 3.5 ms: well", "std::vector", "room r-1: full"]
)
def test_what_only_looks_like_an_address_stays(text: str) -> None:
    assert scrub(text) == text


def test_libraries_that_log_addresses_and_offers_are_quiet() -> None:
    stream = log(log_level="DEBUG")
    logging.getLogger("aioice.ice").info("Connection(0) Check CandidatePair(('192.0.2.7', 1))")
    logging.getLogger("aiortc.rtcpeerconnection").debug("v=0")
    logging.getLogger("aiohttp.access").info("GET /")
    assert stream.getvalue() == ""


@given(st.ip_addresses(), st.sampled_from(["from {}", "({}, 5)", "{}", "x={};", "'{}'", "[{}]:5"]))
def test_no_address_passes(address: object, form: str) -> None:
    assert str(address) not in scrub(form.format(address))


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    scrub(text)
