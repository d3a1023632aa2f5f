"""The filter's settings: frozen, checked when made; unknown keys fail."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from streamfilter.engine.select import AUTO, ENGINE_NAMES
from streamfilter.errors import UsageError

MIN_BPM = 40.0
MAX_BPM = 180.0
CLEAR, NATURAL = "clear", "natural"
PULSES = (CLEAR, NATURAL)
NATURAL_MASKING = (
    0.5  # more is told more easily, less lets the notch find the true rate (attackers/natural.md)
)

# What a running filter takes up between two frames; everything else needs a restart.
LIVE_SETTINGS = frozenset({"target_bpm", "hr_variability", "strength"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSettings:
    """How the filter edits. Raises UsageError where a value is out of its range.

    target_bpm:     heart rate to show, beats a minute, 40 to 180.
    hr_variability: beat-to-beat variability of the shown pulse, 0 (a metronome) to 1 (natural).
    strength:       share of the wanted pulse that is shown, 0 (none, the true one is still removed) to 1.
    pulse:          ``clear``, the network's own, made to survive a call's codec, or ``natural``, drawn anew
                    for each face in strength, colour and shape: harder to tell from a real one.
    masking:        share of the artifact's masking noise that is added, 0 to 1; None is all of it with the
                    clear pulse and half with the natural one, which more of it would give away.
    engine:         name of the engine, see :mod:`streamfilter.engine.select`.
    artifact:       folder of the trained editor; None is the packaged default.
    threads:        threads of one network step and of OpenCV, at least 1.
    seed:           of dither, masking and variability, at least 0; None draws one from the system, so that
                    nobody can compute the noise and take it off again. Give one only to repeat a run.
    max_faces:      faces that are edited at a time, at least 1; a further one is shielded.
    settle_seconds: how long a new face stays behind the shield, 0 to 30. The front-end follows a face from
                    its first frame on, so that a file needs none.
    beyond_face:    edit skin outside the faces' boxes too (neck, chest, hands).
    """

    target_bpm: float = 70.0
    hr_variability: float = 1.0
    strength: float = 1.0
    pulse: str = CLEAR
    masking: float | None = None
    engine: str = AUTO
    artifact: Path | None = None
    threads: int = 1
    seed: int | None = None
    max_faces: int = 5
    settle_seconds: float = 0.0
    beyond_face: bool = True

    def __post_init__(self) -> None:
        within("target_bpm", self.target_bpm, MIN_BPM, MAX_BPM, "bpm")
        within("hr_variability", self.hr_variability, 0.0, 1.0)
        within("strength", self.strength, 0.0, 1.0)
        within("settle_seconds", self.settle_seconds, 0.0, 30.0, "s")
        if self.masking is not None:
            within("masking", self.masking, 0.0, 1.0)
        whole("threads", self.threads, 1, 64)
        whole("max_faces", self.max_faces, 1, 64)
        if not isinstance(self.beyond_face, bool):
            raise UsageError(f"beyond_face should be true or false, it is {self.beyond_face!r}")
        if self.seed is not None:
            whole("seed", self.seed, 0, 2**63 - 1)
        if self.pulse not in PULSES:
            raise UsageError(f"pulse {self.pulse!r} is unknown: choose one of {', '.join(PULSES)}")
        if self.engine not in ENGINE_NAMES:
            raise UsageError(f"engine {self.engine!r} is unknown: choose one of {', '.join(ENGINE_NAMES)}")
        if self.artifact is not None and not isinstance(self.artifact, Path):
            raise UsageError(f"artifact should be a path, not {self.artifact!r}")

    @property
    def masking_share(self) -> float:
        """What ``masking`` comes to."""
        if self.masking is not None:
            return self.masking
        return NATURAL_MASKING if self.pulse == NATURAL else 1.0

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> FilterSettings:
        """Settings from a parsed file or request. Raises UsageError for an unknown key or a bad value."""
        known = [entry.name for entry in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise UsageError(f"unknown setting {', '.join(unknown)}: the settings are {', '.join(known)}")
        artifact = values.get("artifact")
        path = Path(artifact) if isinstance(artifact, str) else artifact
        return cls(**{**values, "artifact": path})


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """Names of the settings that differ: those taken up live, and those that need a restart."""

    live: frozenset[str]
    restart: frozenset[str]


def diff(old: FilterSettings, new: FilterSettings) -> SettingsChange:
    """What changes from ``old`` to ``new``."""
    changed = frozenset(
        entry.name for entry in fields(FilterSettings) if getattr(old, entry.name) != getattr(new, entry.name)
    )
    return SettingsChange(changed & LIVE_SETTINGS, changed - LIVE_SETTINGS)


def within(name: str, value: object, low: float, high: float, unit: str = "") -> None:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not low <= number <= high:
        raise UsageError(f"{name} should be from {low:g} to {high:g} {unit}".rstrip() + f", it is {value!r}")


def whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UsageError(f"{name} should be a whole number from {low} to {high}, it is {value!r}")
