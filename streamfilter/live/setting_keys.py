"""The words that settings go by in file, environment and flags, and how each is written."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from streamfilter.config import PULSES
from streamfilter.engine.select import ENGINE_NAMES
from streamfilter.errors import UsageError
from streamfilter.live.settings import LiveSettings
from streamfilter.live.target import anchored, number_text, user_path

AUTO = "auto"  # written for a setting that is left to the program
_SIZE = re.compile(r"(\d{1,5})\s*[xX×]\s*(\d{1,5})")
_SWITCH = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)


class Kind(Enum):
    """How a setting's value is written."""

    TARGET = auto()  # text; a number in TOML too
    NAME = auto()  # text; a whole number in TOML too (a camera's index)
    FOURCC = auto()
    CHOICE = auto()
    PATH = auto()
    NUMBER = auto()
    WHOLE = auto()
    SIZE = auto()
    SWITCH = auto()


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: its word, its field in LiveSettings (``size`` has two), and what it means.

    ``optional``: it may be left to the program, by the word ``auto``.
    """

    word: str
    kind: Kind
    meaning: str
    form: str
    field: str = ""
    optional: bool = False

    @property
    def flag(self) -> str:
        """As on the command line: ``--hr-variability``."""
        return "--" + self.word.replace("_", "-")

    @property
    def variable(self) -> str:
        """As in the environment: ``PHYSIOCAM_HR_VARIABILITY``."""
        return VARIABLE_PREFIX + self.word.upper()


VARIABLE_PREFIX = "PHYSIOCAM_"

KEYS = (
    Key(
        "hr",
        Kind.TARGET,
        "heart rate to show: 40 to 180 beats a minute, changes over time (70,10:90,25:60), hide (no pulse), "
        "'scale 0.8' (share of the true rate), or a .csv of seconds,bpm",
        "TARGET",
        field="target",
    ),
    Key(
        "hr_variability",
        Kind.NUMBER,
        "variation from beat to beat, 1 natural, 0 a metronome (a give-away)",
        "0..1",
    ),
    Key(
        "pulse",
        Kind.CHOICE,
        "clear: the shown rate survives any call; natural: a weaker one, as real faces have: after a call's "
        "codec detectors tell it, and estimators read it, less surely",
        "|".join(PULSES),
    ),
    Key("beyond_face", Kind.SWITCH, "edit skin outside the face too: neck, chest, hands", ""),
    Key("camera", Kind.NAME, "index, name or path of the camera", "NAME", optional=True),
    Key("size", Kind.SIZE, "size of the picture in pixels", "WIDTHxHEIGHT"),
    Key("fps", Kind.NUMBER, "frames a second", "RATE"),
    Key("pixel_format", Kind.FOURCC, "what the camera delivers: MJPG, YUYV, NV12", "FORMAT", optional=True),
    Key("output", Kind.NAME, "name or path of the virtual camera", "NAME", optional=True),
    Key("always_on", Kind.SWITCH, "keep the camera open while nobody watches", ""),
    Key(
        "settle",
        Kind.NUMBER,
        "seconds that a new face stays behind the shield, 0.5 to 2",
        "SECONDS",
        field="settle_seconds",
    ),
    Key("engine", Kind.CHOICE, "what runs the network: " + ", ".join(ENGINE_NAMES), "NAME"),
    Key(
        "artifact",
        Kind.PATH,
        "folder of another trained editor; auto: the packaged one",
        "DIR",
        optional=True,
    ),
    Key("threads", Kind.WHOLE, "threads of the network", "N"),
    Key("max_faces", Kind.WHOLE, "faces edited at a time; a further one is shielded", "N"),
    Key("seed", Kind.WHOLE, "repeat a run exactly; weakens privacy", "N", optional=True),
    Key("web", Kind.SWITCH, "serve the local page", ""),
    Key("web_port", Kind.WHOLE, "port of the local page; 0 is any free one", "PORT"),
    Key("quiet", Kind.SWITCH, "say nothing but errors", ""),
)
BY_WORD: Mapping[str, Key] = {key.word: key for key in KEYS}


def read_text(key: Key, text: str, folder: Path) -> dict[str, object]:
    """The fields that ``text`` (a flag or variable) sets; ``folder`` is where relative paths start.

    Raises UsageError where the text has another form; ranges are LiveSettings' concern.
    """
    stripped = text.strip()
    match key.kind:
        case _ if key.optional and stripped.lower() == AUTO:
            return _fields(key, None)
        case Kind.SIZE:
            return _size(text)
        case Kind.SWITCH:
            if stripped.lower() not in _SWITCH:
                raise UsageError(f"{text!r} is no switch: write true or false.")
            return _fields(key, _SWITCH[stripped.lower()])
        case Kind.NUMBER | Kind.WHOLE:
            return _fields(key, _number(key, stripped))
        case Kind.TARGET:
            return _fields(key, anchored(text, folder))
        case Kind.PATH:
            if not stripped:
                raise UsageError("the path is empty.")
            return _fields(key, folder / user_path(stripped))
        case Kind.FOURCC:
            return _fields(key, stripped.upper().replace("MJPEG", "MJPG"))
        case _:
            return _fields(key, stripped)


def read_value(key: Key, value: object, folder: Path) -> dict[str, object]:
    """As :func:`read_text`, of a value that has a type already (TOML): ``"8080"`` is then no number."""
    match key.kind, value:
        case (Kind.SWITCH, bool()):
            return _fields(key, value)
        case (_, bool()):
            pass
        case (Kind.NUMBER, int() | float()) | (Kind.WHOLE, int()):
            return _fields(key, value)
        case (Kind.TARGET, float()):
            return _fields(key, number_text(value))
        case (Kind.TARGET | Kind.NAME, int()):
            return _fields(key, str(value))
        case (Kind.NUMBER | Kind.WHOLE, str()) if not (key.optional and value.strip().lower() == AUTO):
            pass
        case (Kind.SWITCH, str()):
            pass
        case (_, str()):
            return read_text(key, value, folder)
    raise UsageError(f"{value!r} should be {_EXPECTED[key.kind]}.")


_EXPECTED = {
    Kind.TARGET: "a number, or text in quotes",
    Kind.NAME: 'text in quotes, as in "0"',
    Kind.FOURCC: 'text in quotes, as in "MJPG"',
    Kind.CHOICE: "text in quotes",
    Kind.PATH: "a path in quotes",
    Kind.NUMBER: "a number, without quotes",
    Kind.WHOLE: "a whole number, without quotes",
    Kind.SIZE: 'text in quotes, as in "1280x720"',
    Kind.SWITCH: "true or false, without quotes",
}


def value_text(key: Key, settings: LiveSettings) -> str:
    """The value as :func:`read_text` takes it."""
    if key.kind is Kind.SIZE:
        return f"{settings.width}x{settings.height}"
    value = getattr(settings, key.field or key.word)
    if value is None:
        return AUTO
    if isinstance(value, bool):
        return str(value).lower()
    return number_text(value) if isinstance(value, int | float) else str(value)


def unknown(word: str, known: Iterable[str]) -> str:
    """What to say after the name of a word that is none of ``known``."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"the known ones are {', '.join(names)}."


def _fields(key: Key, value: object) -> dict[str, object]:
    return {key.field or key.word: value}


def _size(text: str) -> dict[str, object]:
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no size: write it as 1280x720.")
    return {"width": int(found[1]), "height": int(found[2])}


def _number(key: Key, text: str) -> int | float:
    try:
        return int(text) if key.kind is Kind.WHOLE else float(text)
    except ValueError:
        wanted = "whole number" if key.kind is Kind.WHOLE else "number"
        raise UsageError(f"{text!r} is no {wanted}.") from None
