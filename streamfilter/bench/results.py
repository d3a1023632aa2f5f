"""What a run found, and its JSON form. Strict: a file of another form is refused, not guessed at."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from streamfilter.bench.allocations import Place
from streamfilter.bench.contest import Outcome
from streamfilter.bench.gpu import GpuUse
from streamfilter.bench.machine import Machine
from streamfilter.bench.start import Start
from streamfilter.bench.stats import Summary
from streamfilter.bench.streams import Trial
from streamfilter.errors import SinkError, SourceError, UsageError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ArtifactUsed:
    """``sha256`` is the step graph's."""

    name: str
    sha256: str
    megabytes: float


@dataclass(frozen=True, slots=True)
class FrameResult:
    """One contestant on one footage. ``kind``: "engine" (the filter on it) or "rival". ``gpu``: while
    all took turns."""

    size: str
    width: int
    height: int
    faces: int
    name: str
    kind: str
    outcome: Outcome
    gpu: GpuUse | None


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step of the graph. ``speedup``: how many times as long the plain run takes, pair by pair."""

    name: str
    threads: int
    took: Summary
    cpu_ms: float
    speedup: float | None


@dataclass(frozen=True, slots=True)
class StartResult:
    """See :class:`streamfilter.bench.start.Start`."""

    name: str
    size: str
    start: Start


@dataclass(frozen=True, slots=True)
class StreamsResult:
    """``what``: "engine" (steps only) or "filter" (whole). ``how``: "threads" or "processes"."""

    what: str
    how: str
    name: str
    size: str
    workers: int
    streams: int
    trials: tuple[Trial, ...]
    gpu: GpuUse | None


@dataclass(frozen=True, slots=True)
class AllocationResult:
    """The filter's allocations of more than 64 KiB in a frame, by the line that makes them."""

    name: str
    size: str
    per_frame: float
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """All of a run. ``command`` repeats it, ``footage`` says what was shown, ``notes`` what was not measured,
    and why."""

    format: int
    command: str
    made: str
    seconds: float
    machine: Machine
    artifact: ArtifactUsed
    footage: str
    camera: str
    threads: int
    notes: tuple[str, ...]
    frames: tuple[FrameResult, ...]
    steps: tuple[StepResult, ...]
    starts: tuple[StartResult, ...]
    streams: tuple[StreamsResult, ...]
    allocations: tuple[AllocationResult, ...]


def to_json(results: Results) -> str:
    """As text; the inverse of :func:`from_json`."""
    return json.dumps(asdict(results), indent=1, ensure_ascii=False) + "\n"


def from_json(text: str, source: str) -> Results:
    """Raises UsageError where the text is no result of this program's format; ``source`` names it."""
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{source} is no JSON ({error}): give a results.json of physio-bench") from error
    if not isinstance(parsed, dict) or parsed.get("format") != FORMAT:
        raise UsageError(f"{source} is no result of physio-bench, or of another version: measure again")
    try:
        made: Results = _read(Results, parsed)
    except (TypeError, ValueError, KeyError) as error:
        raise UsageError(f"{source} is damaged ({error}): measure again") from error
    return made


def load_results(path: Path) -> Results:
    """Raises SourceError where the file cannot be read, UsageError where it is no result."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read ({error}): give a results.json of physio-bench") from error
    return from_json(text, str(path))


def write_text(path: Path, text: str) -> None:
    """The file appears whole or not at all. Raises SinkError."""
    staged = path.with_name(path.name + ".part")
    try:
        staged.write_text(text, encoding="utf-8")
        staged.replace(path)
    except OSError as error:
        raise SinkError(f"{path} cannot be written ({error.strerror}): choose another --out") from error


def _read(kind: Any, value: Any) -> Any:
    """``value``, parsed from JSON, as the type ``kind``. Raises TypeError, ValueError or KeyError."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        inner = [part for part in typing.get_args(kind) if part is not type(None)]
        return None if value is None else _read(inner[0], value)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError(f"a list is expected, not {type(value).__name__}")
        return tuple(_read(typing.get_args(kind)[0], part) for part in value)
    if origin in (dict, Mapping):
        _expect(value, dict)
        return {str(key): _read(typing.get_args(kind)[1], part) for key, part in value.items()}
    if is_dataclass(kind):
        _expect(value, dict)
        hints = typing.get_type_hints(kind)
        names = {entry.name for entry in fields(kind)}
        if names != set(value):
            raise ValueError(f"unexpected or missing: {', '.join(sorted(names ^ set(value)))}")
        return typing.cast(Any, kind)(**{name: _read(hints[name], value[name]) for name in names})
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    _expect(value, kind)
    return value


def _expect(value: Any, kind: type) -> None:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{kind.__name__} is expected, not {type(value).__name__}")
