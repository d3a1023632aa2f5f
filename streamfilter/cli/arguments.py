"""The options of ``physio-cam``."""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

from streamfilter import __version__
from streamfilter.engine.select import AUTO, ENGINE_NAMES
from streamfilter.errors import (
    ArtifactError,
    EngineError,
    Interrupted,
    PhysioCamError,
    SinkError,
    SourceError,
    UsageError,
)

_EXIT_CODES = (
    (0, "the output is complete"),
    (PhysioCamError.exit_code, "an unexpected error"),
    (UsageError.exit_code, "an option is out of range or contradicts another one"),
    (SourceError.exit_code, "the input cannot be opened or decoded, or holds no video"),
    (SinkError.exit_code, "the output cannot be written, or exists already"),
    (ArtifactError.exit_code, "the artifact is missing, damaged or too new"),
    (EngineError.exit_code, "no engine runs the artifact, or the filter kept failing"),
    (Interrupted.exit_code, "stopped by Ctrl-C; what was filtered until then is in the output"),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See physio-cam --help.")


def build_parser() -> argparse.ArgumentParser:
    """The parser. It raises UsageError instead of leaving the program."""
    parser = _Parser(
        prog="physio-cam",
        description="Takes the true pulse out of the faces in a video and shows a chosen heart rate.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in _EXIT_CODES),
    )
    pulse = parser.add_argument_group("pulse")
    pulse.add_argument(
        "--hr",
        default="70",
        metavar="BPM[,SECONDS:BPM...]",
        help="heart rate to show, 40 to 180 beats a minute; changes may follow: 70,10:90,25:60 (default: 70)",
    )
    pulse.add_argument(
        "--hr-variability",
        type=float,
        default=1.0,
        metavar="0..1",
        help="natural variation from beat to beat; 0 is a metronome, a give-away (default: 1)",
    )
    files = parser.add_argument_group("files")
    files.add_argument(
        "--input", type=Path, metavar="PATH", help="video file, or folder of PNG or JPEG pictures"
    )
    files.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="ends in .mp4, .mov, .m4v, .mkv (H.264) or .webm (VP9); without ending: a folder of PNG "
        "pictures; null: keeps nothing",
    )
    files.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    files.add_argument(
        "--fps", type=_fraction, metavar="RATE", help="frames a second of a folder (default: 30)"
    )
    files.add_argument(
        "--lossless", action="store_true", help="FFV1 in .mkv: the filter's very pixels, in a large file"
    )
    files.add_argument(
        "--crf",
        type=int,
        metavar="N",
        help="quality of H.264 (0..51) or VP9 (0..63), less is better; too high erases the pulse",
    )
    engine = parser.add_argument_group("engine")
    engine.add_argument(
        "--engine", choices=ENGINE_NAMES, default=AUTO, help="what runs the network (default: %(default)s)"
    )
    engine.add_argument(
        "--artifact", type=Path, metavar="DIR", help="another trained editor than the packaged one"
    )
    engine.add_argument("--seed", type=int, metavar="N", help="repeat a run exactly; weakens privacy")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    parser.add_argument("--debug", action="store_true", help="show where in the program an error arose")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is no rate: write 25, 29.97 or 30000/1001") from None
