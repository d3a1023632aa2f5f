"""What goes over the WebSocket: a status as JSON, and commands from the page."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from streamfilter.errors import UsageError
from streamfilter.live.status import Floats, Spectra, Status

TRACE_SECONDS = 10.0  # of the waveforms that the page shows
_MAX_POINTS = 400  # of a curve
# Files are not read for the page: of the targets, only those that name no file.
_TARGET = re.compile(r"hide|[0-9]{1,3}(\.[0-9]{1,2})?|scale [0-9]{1,2}(\.[0-9]{1,3})?")
_MAX_ID = 2**31

Action = Literal["target", "pause", "camera", "cameras"]


@dataclass(frozen=True, slots=True)
class Command:
    """``value`` is a text for ``target`` and ``camera``, a bool for ``pause``, None for ``cameras``."""

    action: Action
    value: str | bool | None = None
    id: int | None = None


def status_message(status: Status, spectra: bool) -> str:
    """JSON of a status, as ``Status`` names its parts; ``spectra`` adds the curves.

    The curves are lists: ``seconds``, ``before``, ``after`` over the last 10 s, and ``bpm``,
    ``before_power``, ``after_power``, four significant digits. What is not finite becomes null.
    """
    pulse = status.pulse
    readings: dict[str, Any] = {
        "true": _number(pulse.true),
        "shown": _number(pulse.shown),
        "wanted": _number(pulse.wanted),
    }
    if spectra:
        readings["spectra"] = None if pulse.spectra is None else _curves(pulse.spectra)
    return _json(
        {
            "type": "status",
            "state": status.state.value,
            "reason": status.reason,
            "camera": status.camera,
            "output": status.output,
            "engine": status.engine,
            "target": status.target,
            "fps_in": _number(status.fps_in),
            "fps_out": _number(status.fps_out),
            "latency_p50": _number(status.latency_p50),
            "latency_p99": _number(status.latency_p99),
            "frames": status.frames,
            "dropped": dict(status.dropped),
            "shielded": dict(status.shielded),
            "restarts": status.restarts,
            "watchers": status.watchers,
            "uptime": _number(status.uptime),
            "pulse": readings,
        }
    )


def cameras_message(names: Sequence[str]) -> str:
    return _json({"type": "cameras", "cameras": list(names)})


def reply_message(id: int | None, error: str | None = None) -> str:
    """The answer to a command: ``error`` is null where it was done."""
    return _json({"type": "reply", "id": id, "error": error})


def parse_command(text: str) -> Command:
    """A command from JSON such as ``{"do": "target", "value": "72", "id": 1}``.

    Raises UsageError for anything else, whatever the text.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError("the message is no JSON. Reload the page.") from None
    if not isinstance(message, dict):
        raise UsageError("the message is no object. Reload the page.")
    value, id = message.get("value"), message.get("id")
    if type(id) is not int or not 0 <= id < _MAX_ID:
        id = None
    match message.get("do"):
        case "target" if isinstance(value, str) and _TARGET.fullmatch(value):
            return Command("target", value, id)
        case "target":
            raise UsageError("that is no heart rate. Write a number, hide, or scale 0.8.")
        case "pause" if isinstance(value, bool):
            return Command("pause", value, id)
        case "camera" if isinstance(value, str):
            return Command("camera", value, id)
        case "cameras":
            return Command("cameras", None, id)
        case _:
            raise UsageError("the message is no command of this page. Reload the page.")


def _curves(spectra: Spectra) -> dict[str, list[float | None]]:
    recent = spectra.seconds >= -TRACE_SECONDS
    return {
        "seconds": _list(spectra.seconds[recent]),
        "before": _list(spectra.before[recent]),
        "after": _list(spectra.after[recent]),
        "bpm": _list(spectra.bpm),
        "before_power": _list(spectra.before_power),
        "after_power": _list(spectra.after_power),
    }


def _list(values: Floats) -> list[float | None]:
    stride = max(1, math.ceil(values.size / _MAX_POINTS))
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in values[::stride].tolist()]


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 2)


def _json(message: dict[str, Any]) -> str:
    return json.dumps(message, allow_nan=False, separators=(",", ":"))
