"""The files that make physio-cam part of a Linux desktop: which they are, where they go, what they hold."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from streamfilter.doctor.loopback import OPTIONS

SERVICE = "physio-cam.service"
PROGRAM = "physio-cam"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders below which files go: the user's configuration, data and state, and the system's root."""

    config: Path
    data: Path
    state: Path
    root: Path

    @property
    def user_record(self) -> Path:
        """What was installed for this user."""
        return self.state / "installed.json"

    @property
    def system_record(self) -> Path:
        """What was installed for the machine."""
        return self.root / "var" / "lib" / PROGRAM / "installed.json"


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file as it should be."""

    path: Path
    content: bytes


def user_places(root: Path = Path("/")) -> Places:
    """The XDG folders of this user."""
    import platformdirs

    return Places(
        config=platformdirs.user_config_path(),
        data=platformdirs.user_data_path(),
        state=platformdirs.user_state_path(PROGRAM),
        root=root,
    )


def program_command() -> tuple[str, ...]:
    """The command line that starts the physio-cam of this very interpreter."""
    script = Path(sysconfig.get_path("scripts")) / PROGRAM
    if os.access(script, os.X_OK):
        return (str(script),)
    return (sys.executable, "-m", "streamfilter")


def user_files(places: Places, command: Sequence[str]) -> tuple[PlannedFile, ...]:
    """systemd user unit, desktop entry and its icon. ``command`` starts physio-cam."""
    service, entry = systemd_command(command), desktop_command((*command, "--web"))
    return (
        PlannedFile(places.config / "systemd" / "user" / SERVICE, _filled(SERVICE, COMMAND=service)),
        PlannedFile(
            places.data / "applications" / "physio-cam.desktop", _filled("physio-cam.desktop", COMMAND=entry)
        ),
        PlannedFile(
            places.data / "icons" / "hicolor" / "scalable" / "apps" / "physio-cam.svg",
            _filled("physio-cam.svg"),
        ),
    )


def system_files(places: Places) -> tuple[PlannedFile, ...]:
    """What loads v4l2loopback, with the right options, at every start of the machine."""
    etc = places.root / "etc"
    return (
        PlannedFile(etc / "modprobe.d" / "physio-cam.conf", _filled("modprobe.conf", OPTIONS=OPTIONS)),
        PlannedFile(etc / "modules-load.d" / "physio-cam.conf", _filled("modules-load.conf")),
    )


def systemd_command(command: Sequence[str]) -> str:
    """ExecStart=, quoted as systemd.service(5), "Command lines", has it."""
    if any(character in command[0] for character in "\"'\\"):  # systemd refuses such a program, quoted or not
        command = ("/usr/bin/env", *command)
    program, *arguments = command
    # Variables are put into arguments only: in the program's own path "$" stands for itself.
    return " ".join([_systemd_word(program), *(_systemd_word(word.replace("$", "$$")) for word in arguments)])


def desktop_command(command: Sequence[str]) -> str:
    """Exec=, quoted as the Desktop Entry Specification 1.5, "The Exec key", has it."""
    return " ".join(map(_desktop_word, command))


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    plain = word and not any(character.isspace() or character in "\"'\\;" for character in word)
    return escaped if plain else f'"{escaped}"'


def _desktop_word(word: str) -> str:
    escaped = "".join("\\" + character if character in '"`$\\' else character for character in word)
    plain = word and not any(character in " \t\n\"'\\><~|&;$*?#()`" for character in word)
    quoted = word if plain else f'"{escaped}"'
    # The rules of any string value apply on top: there a backslash is written as two.
    return quoted.replace("\\", "\\\\").replace("%", "%%")


def _filled(name: str, **values: str) -> bytes:
    text = files("streamfilter.doctor").joinpath("files", name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text.encode("utf-8")
