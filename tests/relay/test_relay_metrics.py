"""The figures for Prometheus: what is counted, once each, under labels that are few."""

from __future__ import annotations

import math

from prometheus_client.parser import text_string_to_metric_families

from streamfilter.relay.ports import MediaFacts, MediaState, Refusal, Role
from streamfilter.relay.prometheus import RelayMetrics

Sessions = dict[str, tuple[Role, MediaFacts]]


def read(metrics: RelayMetrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name.removeprefix("physio_relay_"), frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(metrics: RelayMetrics, name: str, **labels: str) -> float:
    return read(metrics)[name, frozenset(labels.items())]


def patient(frames: int, shielded: int = 0, **dropped: int) -> tuple[Role, MediaFacts]:
    return Role.PATIENT, MediaFacts(
        MediaState.LIVE, frames=frames, shielded=shielded, dropped=dropped, latency_p50=8.0, latency_p99=20.0
    )


def test_frames_are_counted_once_over_sessions_that_come_and_go() -> None:
    metrics = RelayMetrics()
    for sessions in (
        {"a": patient(10, 1, late=2)},
        {"a": patient(15, 1, late=2), "b": patient(100, 50, late=1, full=4)},
        {"b": patient(120, 50, late=1, full=5)},
        {"b": patient(120, 50, late=1, full=5)},
        {},
    ):
        metrics.observe(sessions, {})
    assert value(metrics, "frames_total") == 135
    assert value(metrics, "shielded_frames_total") == 51
    assert value(metrics, "dropped_frames_total", cause="late") == 3
    assert value(metrics, "dropped_frames_total", cause="full") == 5


def test_sessions_rooms_load_and_latency_are_those_of_now() -> None:
    metrics = RelayMetrics()
    slow = Role.PATIENT, MediaFacts(MediaState.SHIELDED, latency_p50=30.0, latency_p99=70.0)
    sessions: Sessions = {"a": patient(1), "b": slow, "c": (Role.VIEWER, MediaFacts(MediaState.LIVE))}
    metrics.observe(sessions, {"share": 0.5}, rooms=2, draining=True)
    assert value(metrics, "sessions", role="patient", state="live") == 1
    assert value(metrics, "sessions", role="patient", state="shielded") == 1
    assert value(metrics, "sessions", role="viewer", state="live") == 1
    assert (
        value(metrics, "rooms") == 2
        and value(metrics, "load_share") == 0.5
        and value(metrics, "draining") == 1
    )
    assert value(metrics, "filter_latency_milliseconds", quantile="0.5") == 30
    assert value(metrics, "filter_latency_milliseconds", quantile="0.99") == 70
    metrics.observe({}, {})
    assert value(metrics, "sessions", role="patient", state="live") == 0
    assert math.isnan(value(metrics, "filter_latency_milliseconds", quantile="0.5"))


def test_refusals_are_counted_by_reason_and_never_by_their_text() -> None:
    metrics = RelayMetrics()
    for status in (401, 401, 429, 503, 418):
        metrics.refused(Refusal(status, f"room secret-room of {status}"))
    assert value(metrics, "refused_total", reason="token") == 2
    assert value(metrics, "refused_total", reason="rate") == 1
    assert value(metrics, "refused_total", reason="full") == 1
    assert value(metrics, "refused_total", reason="other") == 1
    assert b"secret-room" not in metrics.render()


def test_labels_are_bounded_and_hold_no_session() -> None:
    metrics = RelayMetrics()
    for number in range(100):
        metrics.observe({f"session-{number}": patient(1, **{f"cause{number}": 1})}, {})
    causes = [labels for name, labels in read(metrics) if name == "dropped_frames_total"]
    assert len(causes) <= 17
    assert b"session-" not in metrics.render()
    assert value(metrics, "dropped_frames_total", cause="other") == 84


def test_two_relays_in_one_process_do_not_share_figures() -> None:
    first, second = RelayMetrics(), RelayMetrics()
    first.refused(Refusal(401, "x"))
    assert ("refused_total", frozenset({("reason", "token")})) not in read(second)
