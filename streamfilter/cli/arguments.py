"""The options of ``physio-cam``: for a live camera, and with ``--input`` for files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from streamfilter import __version__
from streamfilter.cli.command_parser import Parser
from streamfilter.errors import (
    ArtifactError,
    EngineError,
    Interrupted,
    PhysioCamError,
    SinkError,
    SourceError,
    UsageError,
)
from streamfilter.live.setting_keys import BY_WORD
from streamfilter.live.settings_flags import add_flags, flags_of

COMMANDS = (
    ("devices", "list cameras and virtual cameras"),
    ("doctor", "check this machine, and say what to do"),
    ("config", "show what settings hold, and whence"),
    ("install", "set up the virtual camera, the service and the desktop entry"),
    ("uninstall", "take them away again"),
)

_EXIT_CODES = (
    (0, "the output is complete; or a live run was stopped"),
    (PhysioCamError.exit_code, "an unexpected error"),
    (UsageError.exit_code, "an option or setting is out of range or contradicts another one"),
    (SourceError.exit_code, "the input or camera cannot be opened or decoded, or holds no video"),
    (SinkError.exit_code, "the output or virtual camera cannot be written, or the file exists already"),
    (ArtifactError.exit_code, "the artifact is missing, damaged or too new"),
    (EngineError.exit_code, "no engine runs the artifact, or the filter kept failing"),
    (Interrupted.exit_code, "a file was stopped by Ctrl-C; what was filtered until then is in the output"),
)

# Settings that the filter of files takes too; the others are of cameras.
OF_FILTER = ("hr_variability", "pulse", "beyond_face", "engine", "artifact", "threads", "max_faces", "seed")
_OF_FILES = frozenset({"hr", "output", "fps", "quiet", *OF_FILTER})
_FILES_ONLY = ("overwrite", "lossless", "crf", "mode", "window_hop")
STREAM, WINDOW = MODES = ("stream", "window")
_LIVE_ONLY = ("duration", "wait")


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The options; of the settings only those that were given, as text (see ``settings_flags``).

    Raises UsageError, also where options of live cameras and of files are mixed; SystemExit for ``--help``.
    """
    options = build_parser().parse_args(arguments)
    if options.input is None:
        for name in _FILES_ONLY:
            if getattr(options, name) not in (None, False):
                flag = name.replace("_", "-")
                raise UsageError(f"--{flag} is for files: give --input, the video to filter")
        return options
    for word in flags_of(options):
        if word not in _OF_FILES:
            raise UsageError(f"{BY_WORD[word].flag} is for live cameras: leave it out, or leave --input out")
    for name in _LIVE_ONLY:
        if getattr(options, name) not in (None, False):
            raise UsageError(f"--{name} is for live cameras: leave it out, or leave --input out")
    return options


def build_parser() -> argparse.ArgumentParser:
    """The parser. It raises UsageError instead of leaving the program."""
    commands = "\n".join(f"  physio-cam {name:<10} {meaning}" for name, meaning in COMMANDS)
    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in _EXIT_CODES)
    parser = Parser(
        prog="physio-cam",
        description="Takes the true pulse out of the faces that a camera sees, live, and shows a chosen "
        "heart rate: physio-cam --hr 70. With --input it filters a file.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"commands (each has --help):\n{commands}\n\nexit codes:\n{codes}",
    )
    add_flags(parser)
    live = parser.add_argument_group("live only")
    live.add_argument("--duration", type=float, metavar="SECONDS", help="stop after so long")
    live.add_argument(
        "--wait",
        action="store_true",
        help="wait for a camera or virtual camera that is not there at the start",
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "--input",
        type=Path,
        metavar="PATH",
        help="video file, or folder of PNG or JPEG pictures. --output is then a file that ends in .mp4, "
        ".mov, .m4v, .mkv (H.264) or .webm (VP9), a folder for PNG pictures, or null: (keeps nothing); "
        "--fps is the rate of a folder",
    )
    files.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    files.add_argument(
        "--lossless", action="store_true", help="FFV1 in .mkv: the filter's very pixels, in a large file"
    )
    files.add_argument(
        "--crf",
        type=int,
        metavar="N",
        help="quality of H.264 (0..51) or VP9 (0..63), less is better; too high erases the pulse",
    )
    files.add_argument(
        "--mode",
        choices=MODES,
        help="stream: frame by frame (default); window: many frames at once, as the paper, with a window "
        "editor's --artifact (docs/reference.md)",
    )
    files.add_argument(
        "--window-hop",
        type=int,
        metavar="N",
        help="window mode: frames from one window to the next, 1 to the window's length; what is left of it "
        "overlaps and is cross-faded (default: three quarters)",
    )
    parser.add_argument("--debug", action="store_true", help="show where in the program an error arose")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser
