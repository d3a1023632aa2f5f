"""What the live filter says about itself: one frozen snapshot, for terminal, page and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class State(StrEnum):
    """What the output shows, and why."""

    STARTING = "starting"  # devices and engine are being opened
    FILTERING = "filtering"  # edited frames leave
    SHIELDED = "shielded"  # a card leaves, or part of the picture is covered; ``reason`` says why
    PAUSED = "paused"  # the user asked for the shield
    WAITING = "waiting"  # nobody watches: the camera is closed
    RESTARTING = "restarting"  # a device or the engine is lost and is being opened again
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Spectra:
    """The pulse before and after the filter, over the last seconds.

    ``seconds`` (T,) before now, rising to 0; ``before``, ``after`` (T,) POS waveforms, relative colour;
    ``bpm`` (F,) and the two spectra (F,) of power, in the square of the waveforms' unit.
    """

    seconds: Floats
    before: Floats
    after: Floats
    bpm: Floats
    before_power: Floats
    after_power: Floats


@dataclass(frozen=True, slots=True)
class Pulse:
    """Heart rates (bpm), None while they cannot be read: the true one as the camera sees it, the one that
    others read, and the one that is asked for (None: hidden)."""

    true: float | None = None
    shown: float | None = None
    wanted: float | None = None
    spectra: Spectra | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot. Rates in frames a second over the last 5 s, latency from capture to sink in ms.

    ``dropped`` counts frames that did not leave, ``shielded`` frames that left as a card or partly covered,
    both by cause since the start. ``watchers`` is None where the system does not say.
    """

    state: State
    reason: str | None = None
    camera: str = ""
    output: str = ""
    engine: str = ""
    target: str = ""
    fps_in: float = 0.0
    fps_out: float = 0.0
    latency_p50: float | None = None
    latency_p99: float | None = None
    frames: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    shielded: Mapping[str, int] = field(default_factory=dict)
    restarts: int = 0
    watchers: int | None = None
    pulse: Pulse = Pulse()
    uptime: float = 0.0
