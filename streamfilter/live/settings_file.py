"""Settings from three layers, each outweighing the one before: TOML file, environment, flags.

Every layer is checked whole, also what a later one outweighs: a mistake is found where it was made.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamfilter.errors import UsageError
from streamfilter.live.setting_keys import (
    BY_WORD,
    KEYS,
    VARIABLE_PREFIX,
    Key,
    Kind,
    read_text,
    read_value,
    unknown,
    value_text,
)
from streamfilter.live.settings import LiveSettings
from streamfilter.live.target import user_path

DEFAULT = "default"
FILE_VARIABLE = "PHYSIOCAM_CONFIG"  # names another settings file
OTHER_VARIABLES = frozenset({FILE_VARIABLE, "PHYSIOCAM_SHARED"})
FILE_NAME = "config.toml"


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings that hold; ``origins`` says for each word of KEYS whence: ``default``, the file's name,
    ``PHYSIOCAM_HR``, ``--hr``."""

    settings: LiveSettings
    origins: Mapping[str, str]


def settings_path(environ: Mapping[str, str]) -> Path:
    """Where the settings file is or would be: PHYSIOCAM_CONFIG, or in the user's config directory."""
    if named := environ.get(FILE_VARIABLE):
        return user_path(named)
    import platformdirs

    return platformdirs.user_config_path("physio-cam", appauthor=False) / FILE_NAME


def resolve(flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None = None) -> Resolved:
    """The settings of all layers together.

    ``flags`` by word (``hr_variability``), text or values; ``file`` None is :func:`settings_path`'s. A file
    that is not there sets nothing, unless PHYSIOCAM_CONFIG names it. An empty variable sets nothing.

    Raises UsageError for an unknown key or variable, a wrong type or a value out of range, naming its place.
    """
    path = file or settings_path(environ)
    fields: dict[str, object] = {}
    origins = dict.fromkeys(BY_WORD, DEFAULT)
    for layer in (_file_layer(path, bool(environ.get(FILE_VARIABLE))), _variables(environ), _flags(flags)):
        for word, entry in layer.items():
            fields |= entry.fields
            origins[word] = entry.origin
    return Resolved(_make(fields), origins)


def template() -> str:
    """A settings file in which every setting stands as a comment, at its default."""
    defaults = LiveSettings()
    lines = [
        "# Settings of physio-cam. Take the # off a line to set it.",
        "# PHYSIOCAM_* variables outweigh it, flags outweigh both. See what holds: physio-cam config",
    ]
    for key in KEYS:
        text = value_text(key, defaults)
        bare = text != "auto" and key.kind in (Kind.NUMBER, Kind.WHOLE, Kind.SWITCH)
        lines += ["", f"# {key.meaning}", f"# {key.word} = {text if bare else _quoted(text)}"]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Entry:
    """What one layer says of one word."""

    fields: dict[str, object]
    origin: str


def _file_layer(path: Path, required: bool) -> dict[str, _Entry]:
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except FileNotFoundError:
        if required:
            raise UsageError(
                f"there is no settings file {path}, which {FILE_VARIABLE} names: unset it, or make the file "
                "with physio-cam config --init."
            ) from None
        return {}
    except OSError as error:
        raise UsageError(f"the settings file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the settings file {path} is no text in UTF-8.") from error
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise UsageError(f"the settings file {path} is no TOML: {error}.") from error
    entries: dict[str, _Entry] = {}
    for word, value in values.items():
        place = f"{path}{_line(text, word)}"
        key = BY_WORD.get(word)
        if key is None:
            raise UsageError(f"{place}: the setting {word} is unknown: {unknown(word, BY_WORD)}")
        entries[word] = _entry(key, value, path.parent, f"{place}: {word}", path.name)
    return entries


def _variables(environ: Mapping[str, str]) -> dict[str, _Entry]:
    known = {key.variable: key for key in KEYS}
    entries: dict[str, _Entry] = {}
    for name in sorted(environ):
        if not name.startswith(VARIABLE_PREFIX) or name in OTHER_VARIABLES:
            continue
        key = known.get(name)
        if key is None:
            raise UsageError(
                f"the environment variable {name} is unknown: {unknown(name, [*known, FILE_VARIABLE])}"
            )
        if environ[name].strip():
            entries[key.word] = _entry(key, environ[name], Path(), name, name, read=_read_text)
    return entries


def _flags(flags: Mapping[str, object]) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    for word, value in flags.items():
        key = BY_WORD.get(word)
        if key is None:
            raise UsageError(f"the setting {word} is unknown: {unknown(word, BY_WORD)}")
        read = _read_text if isinstance(value, str) else read_value
        entries[word] = _entry(key, value, Path(), key.flag, key.flag, read=read)
    return entries


def _read_text(key: Key, value: Any, folder: Path) -> dict[str, object]:
    return read_text(key, value, folder)


def _entry(
    key: Key,
    value: object,
    folder: Path,
    place: str,
    origin: str,
    read: Callable[[Key, Any, Path], dict[str, object]] = read_value,
) -> _Entry:
    """Reads and checks one value; what is wrong is said with its ``place`` before it."""
    try:
        fields = read(key, value, folder)
        _make(fields)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None
    return _Entry(fields, origin)


def _make(fields: Mapping[str, Any]) -> LiveSettings:
    return LiveSettings(**fields)


def _line(text: str, word: str) -> str:
    """``:3`` where ``word`` is set at the start of line 3, else nothing."""
    pattern = re.compile(rf"""\s*\[*\s*["']?{re.escape(word)}["']?\s*[=.\]]""")
    for number, line in enumerate(text.splitlines(), 1):
        if pattern.match(line):
            return f":{number}"
    return ""


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
