"""The flags of the settings, for every command that runs live or shows what would hold."""

from __future__ import annotations

import argparse

from streamfilter.live.setting_keys import KEYS, Key, Kind, value_text
from streamfilter.live.settings import LiveSettings

_GROUPS = (
    ("pulse", ("hr", "hr_variability", "pulse", "beyond_face")),
    ("devices", ("camera", "size", "fps", "pixel_format", "output", "always_on")),
    ("engine", ("engine", "artifact", "threads", "max_faces", "settle", "seed")),
    ("showing", ("web", "web_port", "quiet")),
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds a flag for every setting. Values stay text, and what is not given stays out of the namespace."""
    defaults = LiveSettings()
    keys = {key.word: key for key in KEYS}
    for title, words in _GROUPS:
        group = parser.add_argument_group(title)
        for key in map(keys.__getitem__, words):
            add_flag(group, key, value_text(key, defaults))


def add_flag(group: argparse._ArgumentGroup, key: Key, default: str) -> None:
    """Adds the flag of one setting; ``default`` is as its help says it, empty for none."""
    if key.kind is Kind.SWITCH:
        group.add_argument(
            key.flag,
            dest=key.word,
            action=argparse.BooleanOptionalAction,
            default=argparse.SUPPRESS,
            help=key.meaning,
        )
    else:
        group.add_argument(
            key.flag,
            dest=key.word,
            default=argparse.SUPPRESS,
            metavar=key.form,
            help=f"{key.meaning} (default: {default})" if default else key.meaning,
        )


def flags_of(namespace: argparse.Namespace) -> dict[str, object]:
    """The settings that were given as flags, by word: the first argument of ``resolve``."""
    given = vars(namespace)
    return {key.word: given[key.word] for key in KEYS if key.word in given}
