"""The cluster's settings from one TOML file for all of its parts; secrets are in files of their own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamfilter.errors import UsageError
from streamfilter.relay.cluster.janus import JanusServer
from streamfilter.relay.cluster.keys import ClusterKeys
from streamfilter.relay.security.secret_files import read_secret

_TOP = {"secret_file", "janus_secret_file", "fronts", "kbps", "codecs", "janus"}
_JANUS = {"url", "api_secret_file", "admin_key_file", "media_address"}


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """``fronts``: their URLs. ``januses``: by name."""

    keys: ClusterKeys
    secret: bytes
    fronts: tuple[str, ...]
    januses: dict[str, JanusServer]
    kbps: int = 1500
    codecs: tuple[str, ...] = ("VP8",)


def load_cluster(path: Path) -> ClusterSettings:
    """Reads the file; names in it are relative to its folder. Raises UsageError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the cluster's settings {path} cannot be read: {error}") from error
    _known(values, _TOP, str(path))
    here = path.parent
    januses = {}
    for name, one in _table(values, "janus").items():
        if not isinstance(one, dict):
            raise UsageError(f"janus.{name} should be a table")
        _known(one, _JANUS, f"janus.{name}")
        januses[name] = JanusServer(
            name,
            _text(one, "url"),
            api_secret=_secret(here, one, "api_secret_file"),
            admin_key=_secret(here, one, "admin_key_file"),
            media_address=_text(one, "media_address"),
        )
    fronts, codecs = values.get("fronts", []), values.get("codecs", ["VP8"])
    kbps = values.get("kbps", 1500)
    if not januses or not _texts(fronts) or not _texts(codecs) or not isinstance(kbps, int):
        raise UsageError("the cluster needs [janus.NAME] tables, a list of fronts, and whole kbps")
    secret = read_secret(here / _text(values, "secret_file"))
    keys = ClusterKeys(secret, _secret(here, values, "janus_secret_file"))
    return ClusterSettings(keys, secret, tuple(fronts), januses, kbps, tuple(codecs))


def _known(values: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(values) - known)
    if unknown:
        raise UsageError(f"{where} has unknown keys: {', '.join(unknown)}")


def _table(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = values.get(key, {})
    if not isinstance(table, dict):
        raise UsageError(f"{key} should be a table")
    return table


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not value:
        raise UsageError(f"{key} should be given, as text")
    return value


def _texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def _secret(here: Path, values: Mapping[str, Any], key: str) -> str:
    return read_secret(here / _text(values, key)).decode()
