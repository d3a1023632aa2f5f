"""The relay's settings from three layers, each outweighing the one before: TOML file, environment, flags.

Secrets come from files that only their owner reads, or from the environment; never from a flag, which every
user of the machine sees, and never from the settings file, which gets copied about.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from streamfilter.engine.select import ENGINE_NAMES
from streamfilter.errors import UsageError
from streamfilter.live.setting_keys import AUTO, Key, Kind, read_text, read_value, unknown
from streamfilter.relay.ports import VIDEO_CODECS, IceServer
from streamfilter.relay.security.secret_files import read_secret
from streamfilter.relay.security.turn import check_server
from streamfilter.relay.settings import RelaySettings

PREFIX = "PHYSIORELAY_"
FILE_VARIABLE = PREFIX + "CONFIG"
# Variable and field of each secret, and the word of the file that may hold it instead.
SECRETS = {
    PREFIX + "SECRET": ("secret", "secret_file"),
    PREFIX + "TURN_SECRET": ("turn_secret", "turn_secret_file"),
}
LISTS = frozenset({"origins", "ice_servers", "codecs"})

KEYS = (
    Key("host", Kind.NAME, "address to listen at", "ADDRESS"),
    Key("port", Kind.WHOLE, "port; 0 is any free one", "PORT"),
    Key(
        "admin_host", Kind.NAME, "address of metrics, health, drain and new rooms; keep it private", "ADDRESS"
    ),
    Key("admin_port", Kind.WHOLE, "its port", "PORT"),
    Key("public_url", Kind.NAME, "what links start with; auto: host and port", "URL", optional=True),
    Key("secret_file", Kind.PATH, "file with the secret that signs links", "FILE"),
    Key("tls_cert", Kind.PATH, "own certificate with its chain, PEM", "FILE", optional=True),
    Key("tls_key", Kind.PATH, "its key, PEM", "FILE", optional=True),
    Key("behind_proxy", Kind.SWITCH, "one proxy on a private address adds TLS and X-Forwarded-For", ""),
    Key("origins", Kind.NAME, "further web origins whose pages may use the relay", "URL,…"),
    Key("ice_servers", Kind.NAME, "STUN and TURN servers, also for the pages", "URL,…"),
    Key("turn_secret_file", Kind.PATH, "file with coturn's static-auth-secret", "FILE", optional=True),
    Key("relay_only", Kind.SWITCH, "media through TURN servers only", ""),
    Key("max_rooms", Kind.WHOLE, "rooms at a time", "N"),
    Key("max_viewers_per_room", Kind.WHOLE, "viewers of a room", "N"),
    Key("max_sessions_per_address", Kind.WHOLE, "sessions of one address at a time", "N"),
    Key("requests_per_minute", Kind.WHOLE, "requests of one address, of each kind", "N"),
    Key("max_width", Kind.WHOLE, "widest picture that is decoded, in pixels", "N"),
    Key("max_height", Kind.WHOLE, "highest picture that is decoded, in pixels", "N"),
    Key("video_kbps", Kind.WHOLE, "bitrate of a filtered video in kbit/s, 100 to 10000", "N"),
    Key("codecs", Kind.NAME, f"video codecs, the preferred one first: {', '.join(VIDEO_CODECS)}", "NAME,…"),
    Key("engine", Kind.CHOICE, "what runs the network: " + ", ".join(ENGINE_NAMES), "NAME"),
    Key("artifact", Kind.PATH, "folder of another trained editor", "DIR", optional=True),
    Key("token_seconds", Kind.WHOLE, "how long a link holds, 60 to 86400", "SECONDS"),
    Key("drain_seconds", Kind.WHOLE, "how long sessions may go on after SIGTERM, 0 to 3600", "SECONDS"),
    Key("audit_file", Kind.PATH, "where audit lines go; auto: standard output", "FILE", optional=True),
    Key("log_json", Kind.SWITCH, "log lines as JSON", ""),
    Key("log_level", Kind.CHOICE, "DEBUG, INFO, WARNING or ERROR", "LEVEL"),
)
BY_WORD: Mapping[str, Key] = {key.word: key for key in KEYS}


def variable(key: Key) -> str:
    """As in the environment: ``PHYSIORELAY_MAX_ROOMS``."""
    return PREFIX + key.word.upper()


def default_text(key: Key) -> str:
    """The default as a flag takes it; empty for none."""
    entry = next((entry for entry in fields(RelaySettings) if entry.name == key.word), None)
    value = None if entry is None or entry.default is MISSING else entry.default
    if value is None:
        return AUTO if key.optional else ""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def load_settings(flags: Mapping[str, object], environ: Mapping[str, str]) -> RelaySettings:
    """The settings of all layers together.

    ``flags``: by word, and ``config``, the settings file, which PHYSIORELAY_CONFIG may name too; without
    either there is none. An empty variable sets nothing. A relative path in the file starts at its folder.

    Raises UsageError for an unknown key or variable, a wrong type, a value out of range, a secret that is
    missing or open to others; the message names the place.
    """
    path = flags.get("config") or environ.get(FILE_VARIABLE)
    layers = (
        _file(Path(str(path)).expanduser()) if path else iter(()),
        _variables(environ),
        _flags({word: value for word, value in flags.items() if word != "config"}),
    )
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for entry in (entry for layer in layers for entry in layer):
        values[entry.word], origins[entry.word] = entry.value, entry.place
    _read_secrets(values, environ)
    try:
        return RelaySettings(**values)  # type: ignore[arg-type]
    except UsageError as error:
        place = origins.get(str(error).split(" ", 1)[0].rstrip(":"))
        raise UsageError(f"{place}: {error}" if place else str(error)) from None


@dataclass(frozen=True, slots=True)
class _Entry:
    """What one layer says of one word."""

    word: str
    value: object
    place: str


def _file(path: Path) -> Iterator[_Entry]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the settings file {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # no UTF-8, no TOML, or a number of thousands of digits
        raise UsageError(f"the settings file {path} is no TOML in UTF-8: {error}.") from error
    for word, value in values.items():
        if word in {name for name, _ in SECRETS.values()}:
            raise UsageError(f"{path}: a secret does not belong here: put it in a file and set {word}_file")
        yield _entry(word, value, path.parent, f"{path.name}: {word}", text=False)


def _variables(environ: Mapping[str, str]) -> Iterator[_Entry]:
    known = {variable(key): key for key in KEYS}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name == FILE_VARIABLE or name in SECRETS:
            continue
        if name not in known:
            hint = unknown(name, [*known, *SECRETS, FILE_VARIABLE])
            raise UsageError(f"the environment variable {name} is unknown: {hint}")
        if environ[name].strip():
            yield _entry(known[name].word, environ[name], Path(), name, text=True)


def _flags(flags: Mapping[str, object]) -> Iterator[_Entry]:
    for word, value in flags.items():
        yield _entry(word, value, Path(), "--" + word.replace("_", "-"), text=isinstance(value, str))


def _entry(word: str, value: object, folder: Path, place: str, text: bool) -> _Entry:
    key = BY_WORD.get(word)
    if key is None:
        raise UsageError(f"{place}: the setting {word} is unknown: {unknown(word, BY_WORD)}")
    try:
        if word in LISTS:
            return _Entry(word, _list(key, value), place)
        read = read_text(key, str(value), folder) if text else read_value(key, value, folder)
        return _Entry(word, read[word], place)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None


def _list(key: Key, value: object) -> tuple[object, ...]:
    """Of text with commas between, or a list of TOML."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list):
        raise UsageError(f"{value!r} should be a list of texts.")
    if key.word == "ice_servers":
        return tuple(_ice_server(entry) for entry in value)
    if not all(isinstance(entry, str) for entry in value):
        raise UsageError(f"{value!r} should be a list of texts.")
    return tuple(value)


def _ice_server(entry: object) -> IceServer:
    parts = {"url": entry} if isinstance(entry, str) else entry
    if not isinstance(parts, dict) or not {"url"} <= set(parts) <= {"url", "username", "credential"}:
        raise UsageError('a server is written as "URL", or as {url = "…", username = "…", credential = "…"}.')
    if not all(isinstance(value, str) for value in parts.values()):
        raise UsageError("url, username and credential should be texts.")
    return check_server(IceServer(**parts))


def _read_secrets(values: dict[str, object], environ: Mapping[str, str]) -> None:
    """Puts the secrets themselves in the place of their files' names."""
    for name, (word, file_word) in SECRETS.items():
        path = values.pop(file_word, None)
        given = environ.get(name, "").strip()
        if given and path is not None:
            raise UsageError(f"{name} and {file_word} both give the {word}: keep one of them")
        if isinstance(path, Path):
            values[word] = read_secret(path)
        elif given:
            values[word] = given.encode()
    if "secret" not in values:
        raise UsageError(
            "there is no secret: physio-relay secret --out relay.secret makes one; then give "
            f"--secret-file relay.secret (or set {PREFIX}SECRET)"
        )
