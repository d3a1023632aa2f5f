"""What the cluster's parts tell each other: which rooms there are, who serves them, and how they are shown.

An order is a register of which the newest version wins, wherever it comes from: workers carry their orders in
their heart-beats, so that a front knows all rooms again a moment after it started, with no store.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamfilter.config import MAX_BPM, MIN_BPM
from streamfilter.relay.ports import Edit

MAX_BODY = 256 * 1024  # bytes
MAX_ROOMS = 1024  # of one heart-beat
_MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class Order:
    """A room that is wanted, or with ``closed`` one that is no longer.

    ``version``: Unix ms of the wish. ``home``: name of the Janus at which the patient publishes.
    """

    room: str
    home: str
    edit: Edit = field(default_factory=Edit)
    version: int = 0
    closed: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "room": self.room,
            "home": self.home,
            "bpm": self.edit.bpm,
            "variability": self.edit.variability,
            "version": self.version,
            "closed": self.closed,
        }

    @staticmethod
    def from_json(value: object) -> Order:
        """Raises ValueError for anything else."""
        fields = _object(value)
        bpm = None if fields.get("bpm") is None else _number(fields, "bpm", MIN_BPM, MAX_BPM)
        edit = Edit(bpm, _number(fields, "variability", 0.0, 1.0))
        closed = fields.get("closed")
        if not isinstance(closed, bool):
            raise ValueError("closed should be true or false")
        version = int(_number(fields, "version", 0.0, 1e15))
        return Order(_name(fields, "room"), _name(fields, "home"), edit, version, closed)


@dataclass(frozen=True, slots=True)
class Beat:
    """A worker's heart-beat.

    ``sent``: Unix seconds, rising. ``capacity``: rooms that it can serve in real time, its own included.
    ``serving``: its rooms, with the Unix ms since which it has served them. ``orders``: all it knows.
    """

    worker: str
    sent: float
    capacity: int
    serving: Mapping[str, int]
    orders: tuple[Order, ...]

    def to_bytes(self) -> bytes:
        value = {
            "worker": self.worker,
            "sent": self.sent,
            "capacity": self.capacity,
            "serving": dict(self.serving),
            "orders": [order.to_json() for order in self.orders],
        }
        return json.dumps(value, separators=(",", ":")).encode()

    @staticmethod
    def from_bytes(body: bytes) -> Beat:
        """Raises ValueError."""
        fields = _object(_parsed(body))
        serving = {
            room: int(_checked(since, 0.0, 1e15)) for room, since in _object(fields.get("serving")).items()
        }
        return Beat(
            _name(fields, "worker"),
            _number(fields, "sent", 0.0, 1e12),
            int(_number(fields, "capacity", 0.0, 10_000.0)),
            serving,
            _orders(fields.get("orders")),
        )


@dataclass(frozen=True, slots=True)
class Instructions:
    """A front's answer to a heart-beat: what to serve, and what to let go of."""

    take: tuple[Order, ...] = ()
    leave: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        value = {"take": [order.to_json() for order in self.take], "leave": list(self.leave)}
        return json.dumps(value, separators=(",", ":")).encode()

    @staticmethod
    def from_bytes(body: bytes) -> Instructions:
        """Raises ValueError."""
        fields = _object(_parsed(body))
        leave = fields.get("leave")
        if not isinstance(leave, list) or not all(isinstance(room, str) for room in leave):
            raise ValueError("leave should be a list of rooms")
        return Instructions(_orders(fields.get("take")), tuple(leave))


def newest(known: Mapping[str, Order], more: tuple[Order, ...]) -> dict[str, Order]:
    """The newest version of each order."""
    merged = dict(known)
    for order in more:
        if order.room not in merged or order.version > merged[order.room].version:
            merged[order.room] = order
    return merged


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError("no JSON") from error


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > MAX_ROOMS:
        raise ValueError("an object is wanted")
    return value


def _orders(value: object) -> tuple[Order, ...]:
    if not isinstance(value, list) or len(value) > MAX_ROOMS:
        raise ValueError("a list of orders is wanted")
    return tuple(Order.from_json(one) for one in value)


def _name(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_NAME:
        raise ValueError(f"{key} should be a name")
    return value


def _number(fields: Mapping[str, Any], key: str, low: float, high: float) -> float:
    return _checked(fields.get(key), low, high)


def _checked(value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number is wanted")
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError("a number is out of its range")
    return float(value)
