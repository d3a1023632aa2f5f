"""Entry point of ``physio-relay``: serve, make a link or a secret, or ask after a relay's health."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.request import urlopen

from streamfilter import __version__
from streamfilter.cli.command_parser import Parser
from streamfilter.errors import EngineError, Interrupted, PhysioCamError, UsageError
from streamfilter.live.settings_flags import add_flag
from streamfilter.relay.security.secret_files import new_secret, write_secret
from streamfilter.relay.setting_layers import BY_WORD, KEYS, default_text, load_settings

_NEEDED = ("aiortc", "jwt", "prometheus_client")
_HEALTH_SECONDS = 3.0
_DESCRIPTION = """Serves rooms in which a patient's video reaches viewers with a chosen pulse only.

  physio-relay                     serve
  physio-relay link --room NAME    two links, for the patient and for the viewers
  physio-relay secret --out FILE   the secret that signs links
  physio-relay health              whether a relay runs here
"""
_EPILOG = """Every setting may also stand in a TOML file (--config) or in the environment
(PHYSIORELAY_MAX_ROOMS=8). See docs/relay.md."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with ``argv`` (None: the program's own) and returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _command(arguments)(arguments, os.environ)
    except SystemExit as leaving:  # argparse, after --help and --version
        return leaving.code if isinstance(leaving.code, int) else 0
    except PhysioCamError as error:
        print(f"physio-relay: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        print(
            f"physio-relay: {error.name} is not installed: pip install 'physio-cam[relay]'", file=sys.stderr
        )
        return EngineError.exit_code
    except KeyboardInterrupt:
        return Interrupted.exit_code


def _command(arguments: list[str]) -> Callable[[list[str], Mapping[str, str]], int]:
    commands = {"link": _link, "secret": _secret, "health": _health}
    if arguments and arguments[0] in commands:
        return commands[arguments.pop(0)]
    return _serve


def _link(arguments: list[str], environ: Mapping[str, str]) -> int:
    parser = Parser(prog="physio-relay link", description="Prints the two links of a room.")
    parser.add_argument("--room", required=True, metavar="NAME", help="letters, digits, _ and -; no names")
    parser.add_argument("--hours", type=float, help="how long the links hold (default: token_seconds)")
    _add_settings(
        parser, ("secret_file", "public_url", "host", "port", "tls_cert", "tls_key", "behind_proxy")
    )
    flags = vars(parser.parse_args(arguments))
    room, hours = flags.pop("room"), flags.pop("hours")
    settings = load_settings(flags, environ)
    if settings.public_url is None and settings.port == 0:
        raise UsageError("links need a port that is known beforehand, or public_url")
    # Imported after the options, as everything that needs the relay extra.
    from streamfilter.relay.links import room_links
    from streamfilter.relay.security.tokens import Tokens

    seconds = settings.token_seconds if hours is None else hours * 3600
    links = room_links(settings.link_base, Tokens(settings.secret), room, seconds)
    print(f"patient: {links.patient}\nviewer: {links.viewer}")
    return 0


def _secret(arguments: list[str], environ: Mapping[str, str]) -> int:
    parser = Parser(prog="physio-relay secret", description="Makes a secret for signing links.")
    parser.add_argument("--out", type=Path, metavar="FILE", help="a new file; without it, print the secret")
    options = parser.parse_args(arguments)
    if options.out is None:
        print(new_secret())
    else:
        write_secret(options.out)
        print(f"wrote {options.out}, which only its owner reads.", file=sys.stderr)
    return 0


def _health(arguments: list[str], environ: Mapping[str, str]) -> int:
    """For a container's health check: 0 where the relay of these settings answers, else 1."""
    parser = Parser(prog="physio-relay health", description="Asks the running relay whether it is well.")
    _add_settings(parser, ("secret_file", "admin_host", "admin_port"))
    settings = load_settings(vars(parser.parse_args(arguments)), environ)
    host = f"[{settings.admin_host}]" if ":" in settings.admin_host else settings.admin_host
    try:
        with urlopen(f"http://{host}:{settings.admin_port}/healthz", timeout=_HEALTH_SECONDS) as answer:
            answer.read()
    except OSError as error:
        print(f"physio-relay: the relay does not answer ({error}).", file=sys.stderr)
        return PhysioCamError.exit_code
    return 0


def _serve(arguments: list[str], environ: Mapping[str, str]) -> int:
    parser = Parser(
        prog="physio-relay",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"physio-relay {__version__}")
    _add_settings(parser, tuple(BY_WORD))
    settings = load_settings(vars(parser.parse_args(arguments)), environ)
    # Imported after the options: --help needs no aiortc.
    from streamfilter.relay.running import serve

    return asyncio.run(serve(settings))


def _add_settings(parser: argparse.ArgumentParser, words: tuple[str, ...]) -> None:
    """Flags of settings. Values stay text, and what is not given stays out of the namespace."""
    parser.add_argument("--config", default=argparse.SUPPRESS, metavar="FILE", help="settings file, TOML")
    group = parser.add_argument_group("settings")
    for key in (key for key in KEYS if key.word in words):
        add_flag(group, key, default_text(key))
