"""The relay's figures for Prometheus. Labels are few and fixed: no room, no session, no heart rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from streamfilter.relay.ports import MediaFacts, MediaState, Refusal, Role

_REASONS = {
    400: "bad_request",
    401: "token",
    403: "other_room_or_role",
    404: "not_found",
    408: "too_slow",
    405: "method",
    406: "no_common_codec",
    413: "too_large",
    415: "wrong_type",
    429: "rate",
    500: "fault",
    503: "full",
}
_CAUSES = 16  # of dropped frames; a further one counts as other


@dataclass(slots=True)
class _Seen:
    """A session's counters as they were last read."""

    frames: int = 0
    shielded: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


class RelayMetrics:
    """A registry of its own, fed by :meth:`observe` (at each scrape, and whenever a session ends)."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = {"namespace": "physio_relay", "registry": self.registry}
        self._sessions = Gauge("sessions", "Sessions now", ["role", "state"], **own)  # type: ignore[arg-type]
        self._rooms = Gauge("rooms", "Rooms now", **own)  # type: ignore[arg-type]
        self._share = Gauge("load_share", "Share of what can be served in real time", **own)  # type: ignore[arg-type]
        self._draining = Gauge("draining", "1 while no new sessions are taken", **own)  # type: ignore[arg-type]
        self._frames = Counter("frames", "Filtered frames sent on", **own)  # type: ignore[arg-type]
        self._shielded = Counter("shielded_frames", "Frames in whose place a card was sent", **own)  # type: ignore[arg-type]
        self._dropped = Counter("dropped_frames", "Frames dropped", ["cause"], **own)  # type: ignore[arg-type]
        self._latency = Gauge(
            "filter_latency_milliseconds",
            "From a decoded frame's arrival to its filtered frame, the slowest session's",
            ["quantile"],
            **own,  # type: ignore[arg-type]
        )
        self._refused = Counter("refused", "Requests that were refused", ["reason"], **own)  # type: ignore[arg-type]
        self._seen: dict[str, _Seen] = {}
        self._causes: set[str] = set()

    def observe(
        self,
        sessions: Mapping[str, tuple[Role, MediaFacts]],
        load: Mapping[str, float],
        rooms: int = 0,
        draining: bool = False,
    ) -> None:
        """Takes in all sessions that there are now, by a name that stays theirs, and :meth:`Media.load`."""
        self._rooms.set(rooms)
        self._share.set(load.get("share", 0.0))
        self._draining.set(draining)
        for role in Role:
            for state in MediaState:
                now = [1 for who, facts in sessions.values() if who is role and facts.state is state]
                self._sessions.labels(role.value, state.value).set(len(now))
        patients = [facts for role, facts in sessions.values() if role is Role.PATIENT]
        for quantile, values in (
            ("0.5", [facts.latency_p50 for facts in patients]),
            ("0.99", [facts.latency_p99 for facts in patients]),
        ):
            self._latency.labels(quantile).set(
                max((value for value in values if value is not None), default=math.nan)
            )
        for name, (role, facts) in sessions.items():
            if role is Role.PATIENT:
                self._count(self._seen.setdefault(name, _Seen()), facts)
        self._seen = {name: seen for name, seen in self._seen.items() if name in sessions}

    def refused(self, refusal: Refusal) -> None:
        """Counts one refused request."""
        self._refused.labels(_REASONS.get(refusal.status, "other")).inc()

    def render(self) -> bytes:
        """The text of a scrape; its type is ``content_type``."""
        return generate_latest(self.registry)

    def _count(self, seen: _Seen, facts: MediaFacts) -> None:
        self._frames.inc(max(facts.frames - seen.frames, 0))
        self._shielded.inc(max(facts.shielded - seen.shielded, 0))
        seen.frames, seen.shielded = facts.frames, facts.shielded
        for cause, count in facts.dropped.items():
            if cause in self._causes or len(self._causes) < _CAUSES:
                self._causes.add(cause)
                label = cause
            else:
                label = "other"
            self._dropped.labels(label).inc(max(count - seen.dropped.get(cause, 0), 0))
            seen.dropped[cause] = count
