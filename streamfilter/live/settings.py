"""All settings of a live run: frozen, checked when made."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path

from streamfilter.config import CLEAR, FilterSettings, within
from streamfilter.engine.select import AUTO
from streamfilter.errors import UsageError
from streamfilter.live.target import Target, parse_target, shown

_FOURCC = re.compile(r"[A-Z0-9]{3,4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """How the live filter runs. Raises UsageError where a value is out of its range.

    target:         what is shown, see :func:`streamfilter.live.target.parse_target`; read into ``wanted``.
    hr_variability: beat-to-beat variability of the shown pulse, 0 (a metronome) to 1 (natural).
    pulse, beyond_face, engine, artifact, threads, seed, max_faces: see
                    :class:`streamfilter.config.FilterSettings`.
    camera:         index, name or path; None is the first camera.
    width, height:  size of the picture in pixels, even, 16 to 7680 and 4320.
    fps:            frames a second, 1 to 240.
    pixel_format:   what the camera delivers (``MJPG``, ``YUYV``, ``NV12``); None is the best for the size.
    output:         name or path of the virtual camera; None is the first one.
    always_on:      keep the camera open while nobody watches.
    settle_seconds: how long a new face stays behind the shield, 0.5 to 2.
    web, web_port:  whether the local page is served, and where, 0 (any free port) to 65535.
    quiet:          say nothing but errors.
    """

    target: str = "70"
    hr_variability: float = 1.0
    pulse: str = CLEAR
    beyond_face: bool = True
    camera: str | None = None
    width: int = 1280
    height: int = 720
    fps: float = 30.0
    pixel_format: str | None = None
    output: str | None = None
    always_on: bool = False
    settle_seconds: float = 1.5
    engine: str = AUTO
    artifact: Path | None = None
    threads: int = 1
    max_faces: int = 5
    seed: int | None = None
    web: bool = False
    web_port: int = 0
    quiet: bool = False
    wanted: Target = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.target, str):
            raise UsageError(f"hr should be text, it is {self.target!r}")
        object.__setattr__(self, "wanted", parse_target(self.target))
        _even("width", self.width, 16, 7680)
        _even("height", self.height, 16, 4320)
        within("fps", self.fps, 1.0, 240.0)
        within("settle", self.settle_seconds, 0.5, 2.0, "s")
        if not _whole(self.web_port, 0, 65535):
            raise UsageError(f"web_port should be a whole number from 0 to 65535, it is {self.web_port!r}")
        for name in ("beyond_face", "always_on", "web", "quiet"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} should be true or false, it is {getattr(self, name)!r}")
        for name in ("camera", "output"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and value.strip()):
                raise UsageError(f"{name} should be a name or a path, it is {value!r}")
        if self.pixel_format is not None and not _FOURCC.fullmatch(str(self.pixel_format)):
            raise UsageError(f"pixel_format should be MJPG, YUYV or NV12, it is {self.pixel_format!r}")
        self.filter_settings()

    def filter_settings(self) -> FilterSettings:
        """The filter's part; its rate and strength are those of the start."""
        start = shown(self.wanted, 0.0, None)
        return FilterSettings(
            target_bpm=start.bpm,
            hr_variability=self.hr_variability,
            pulse=self.pulse,
            strength=start.strength,
            engine=self.engine,
            artifact=self.artifact,
            threads=self.threads,
            seed=self.seed,
            max_faces=self.max_faces,
            settle_seconds=self.settle_seconds,
            beyond_face=self.beyond_face,
        )


class Part(StrEnum):
    """What has to be opened again for a setting to hold."""

    CAMERA = "camera"
    OUTPUT = "output"
    FILTER = "filter"
    WEB = "web"


_PICTURE = frozenset({Part.CAMERA, Part.OUTPUT})
_FILTER = frozenset({Part.FILTER})

# The parts that each setting restarts; none: it is taken up between two frames.
_RESTARTS: dict[str, frozenset[Part]] = {
    "target": frozenset(),
    "always_on": frozenset(),
    "quiet": frozenset(),
    "camera": frozenset({Part.CAMERA}),
    "pixel_format": frozenset({Part.CAMERA}),
    "width": _PICTURE,
    "height": _PICTURE,
    "fps": _PICTURE,
    "output": frozenset({Part.OUTPUT}),
    "hr_variability": _FILTER,
    "pulse": _FILTER,
    "beyond_face": _FILTER,
    "engine": _FILTER,
    "artifact": _FILTER,
    "threads": _FILTER,
    "max_faces": _FILTER,
    "seed": _FILTER,
    "settle_seconds": _FILTER,
    "web": frozenset({Part.WEB}),
    "web_port": frozenset({Part.WEB}),
}


@dataclass(frozen=True, slots=True)
class LiveChange:
    """``live``: names of the changed settings that a running filter takes up; ``restart``: what restarts."""

    live: frozenset[str]
    restart: frozenset[Part]


def diff(old: LiveSettings, new: LiveSettings) -> LiveChange:
    """What changes from ``old`` to ``new``. A target's file with other contents is a change of ``target``."""
    names = [entry.name for entry in fields(LiveSettings)]
    changed = {name for name in names if getattr(old, name) != getattr(new, name)}
    if "wanted" in changed:
        changed = (changed - {"wanted"}) | {"target"}
    return LiveChange(
        live=frozenset(name for name in changed if not _RESTARTS[name]),
        restart=frozenset(part for name in changed for part in _RESTARTS[name]),
    )


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _even(name: str, value: int, low: int, high: int) -> None:
    if not _whole(value, low, high) or value % 2:
        raise UsageError(f"size: {name} should be an even number from {low} to {high}, it is {value!r}")
