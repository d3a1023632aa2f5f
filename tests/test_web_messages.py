"""Messages of the page's WebSocket: finite JSON goes out, a command or a UsageError comes in."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.errors import UsageError
from streamfilter.live.status import Pulse, Spectra, State, Status
from streamfilter.web.messages import Command, parse_command, status_message
from tests.web_control import spectra

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_subnormal=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["do", "value", "id"]) | st.text(), inner)
    ),
    max_leaves=8,
)


@given(st.text() | _JSON.map(json.dumps))
def test_any_text_is_a_command_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert parse_command(text).action in ("target", "pause", "camera", "cameras")


def test_deep_nesting_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        parse_command("[" * 100_000)


@pytest.mark.parametrize("text", ["72", "72.5", "180", "hide", "scale 0.8", "scale 1"])
def test_targets_that_pass(text: str) -> None:
    assert parse_command(json.dumps({"do": "target", "value": text, "id": 3})) == Command("target", text, 3)


@pytest.mark.parametrize(
    "text", ["/etc/passwd", "rates.csv", "", "72\n", "nan", "scale", "scale -1", "-5", "٧٢", 72]
)
def test_targets_that_do_not(text: object) -> None:
    with pytest.raises(UsageError, match="heart rate"):
        parse_command(json.dumps({"do": "target", "value": text}))


@pytest.mark.parametrize("value", [1, "true", None])
def test_pause_takes_a_bool_only(value: object) -> None:
    with pytest.raises(UsageError):
        parse_command(json.dumps({"do": "pause", "value": value}))


def test_status_holds_what_was_measured() -> None:
    status = Status(State.SHIELDED, "face lost", shielded={"face lost": 7}, latency_p50=8.123)
    message = json.loads(status_message(status, spectra=False))
    assert message["state"] == "shielded" and message["reason"] == "face lost"
    assert message["shielded"] == {"face lost": 7} and message["latency_p50"] == 8.12
    assert "spectra" not in message["pulse"]


def test_curves_are_short_and_keep_their_peak() -> None:
    curves = spectra(63.0, 90.0)
    text = status_message(Status(State.FILTERING, pulse=Pulse(spectra=curves)), spectra=True)
    sent = json.loads(text)["pulse"]["spectra"]
    assert len(text) < 25_000
    assert min(sent["seconds"]) >= -10 and max(sent["seconds"]) == 0
    assert len(sent["seconds"]) == len(sent["before"]) == len(sent["after"]) > 200
    assert sent["bpm"][int(np.argmax(sent["after_power"]))] == pytest.approx(90, abs=1)
    np.testing.assert_allclose(sent["before"], curves.before[curves.seconds >= -10], rtol=1e-3)


def test_what_is_not_finite_becomes_null() -> None:
    rough = np.array([0.0, np.nan, np.inf])
    curves = Spectra(np.array([-2.0, -1.0, 0.0]), rough, rough, rough, rough, rough)
    status = Status(State.FILTERING, fps_in=float("nan"), pulse=Pulse(true=float("inf"), spectra=curves))
    message = json.loads(status_message(status, spectra=True))
    assert message["fps_in"] is None and message["pulse"]["true"] is None
    assert message["pulse"]["spectra"]["before"] == [0.0, None, None]
    longer = replace(status, pulse=replace(status.pulse, spectra=None))
    assert json.loads(status_message(longer, spectra=True))["pulse"]["spectra"] is None
