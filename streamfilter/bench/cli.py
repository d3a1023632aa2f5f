"""Entry point of ``physio-bench``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamfilter import __version__
from streamfilter.cli.command_parser import Parser
from streamfilter.errors import Interrupted, PhysioCamError, SinkError, UsageError

if TYPE_CHECKING:
    from streamfilter.bench.plan import Plan

_DESCRIPTION = """How fast the filter is on this machine: every engine, by size of picture and number of
faces, stage by stage, beside others on the same frames; streams at once, cold start, memory.

  physio-bench                              everything, about ten minutes; use an idle machine
  physio-bench --quick                      a look, in less than a minute
  physio-bench --compare old.json new.json  what changed between two runs
"""
_EPILOG = """Writes results.json, README.md and, with matplotlib, plots into --out.

exit codes: 0 done; 1 an unexpected error; 2 an option is wrong, or a file to compare is no result; 3 the clip
or a file to compare cannot be read; 4 the output cannot be written, or is there already; 5 the artifact is
missing or damaged; 6 an engine that was named, or every one, does not run; 130 Ctrl-C
"""
_PATHS = ("input", "artifact", "mediapipe_python")
REPORT, DATA = "README.md", "results.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with ``argv`` (None: the program's own) and returns its exit code."""
    try:
        options = build_parser().parse_args(sys.argv[1:] if argv is None else list(argv))
        return _compare(*options.compare) if options.compare else _measure(options)
    except SystemExit as leaving:  # argparse, after --help and --version
        return leaving.code if isinstance(leaving.code, int) else 0
    except PhysioCamError as error:
        print(f"physio-bench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("physio-bench: stopped; nothing was written.", file=sys.stderr)
        return Interrupted.exit_code


def build_parser() -> argparse.ArgumentParser:
    """The parser. It raises UsageError instead of leaving the program."""
    parser = Parser(
        prog="physio-bench",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("physio-bench"), metavar="DIR", help="folder of the results")
    add("--overwrite", action="store_true", help="replace the results that are in it")
    add("--quick", action="store_true", help="few frames of one small picture")
    add(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("OLD", "NEW"),
        help="print what changed, and measure nothing",
    )
    add("--input", type=Path, metavar="PATH", help="a clip or folder of pictures in place of the drawn face")
    add("--sizes", metavar="LIST", help="such as 720p,1080p or 640x480 (default 360p,720p,1080p,4K)")
    add("--faces", metavar="LIST", help="such as 1,2 (default 1,2,3,4)")
    add("--engines", metavar="LIST", help="such as onnxruntime,openvino (default: all that this machine has)")
    add("--parts", metavar="LIST", help="some of frames,steps,starts,streams,allocations")
    add(
        "--rivals",
        metavar="LIST",
        help="some of band-stop,background-blur,background-blur-lean,sliding-mean; or none",
    )
    add(
        "--mediapipe-python",
        metavar="PATH",
        default=sys.executable,
        help="a Python that has mediapipe 0.10 (pip install mediapipe==0.10.14); default: this one",
    )
    add(
        "--camera", default="mjpg", metavar="FORMAT", help="what is decoded: mjpg (default), nv12, yu12, yuyv"
    )
    add("--artifact", type=Path, metavar="DIR", help="another trained editor than the packaged one")
    add("--threads", type=int, default=1, help="threads of a step and of OpenCV (default 1)")
    add("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _measure(options: argparse.Namespace) -> int:
    # Imported after the options: --help needs no engine.
    from streamfilter.bench import plots
    from streamfilter.bench.report import markdown
    from streamfilter.bench.results import to_json, write_text
    from streamfilter.bench.run import Run

    folder: Path = options.out
    _check_folder(folder, options.overwrite)
    begun = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - begun:5.0f} s  {what}", file=sys.stderr, flush=True)

    plan = _plan(options)
    results = Run(plan, say).measure()
    drawn = {}
    if plots.available():
        drawn = plots.draw(results, folder)
    else:
        say(plots.ABSENT)
    write_text(folder / DATA, to_json(results))
    page = markdown(results, drawn)
    write_text(folder / REPORT, page)
    print(page.partition("## By stage")[0].strip())
    for note in results.notes:
        print(f"physio-bench: {note}", file=sys.stderr)
    print(f"physio-bench: wrote {folder / REPORT} and {folder / DATA}", file=sys.stderr)
    return 0


def _compare(old: Path, new: Path) -> int:
    from streamfilter.bench.compare import as_text, compare, differences
    from streamfilter.bench.results import load_results

    before, after = load_results(old), load_results(new)
    print(as_text(compare(before, after), differences(before, after)))
    return 0


def _check_folder(folder: Path, overwrite: bool) -> None:
    """Make the folder now, not after ten minutes. Raises SinkError."""
    if (folder / DATA).exists() and not overwrite:
        raise SinkError(f"{folder / DATA} is there already: give --overwrite, or another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{DATA}.part").touch()
        (folder / f"{DATA}.part").unlink()
    except OSError as error:
        raise SinkError(f"{folder} cannot be written ({error.strerror}): choose another --out") from error


def _plan(options: argparse.Namespace) -> Plan:
    """Raises UsageError where an option is none that can be."""
    from streamfilter.bench.footage import FORMATS, MAX_FACES, size_named
    from streamfilter.bench.plan import PARTS, Plan, quick
    from streamfilter.bench.rivals import ABOUT
    from streamfilter.config import whole

    whole("--threads", options.threads, 1, 64)
    one_of("--camera", [options.camera], tuple(FORMATS))
    chosen: dict[str, Any] = {
        "command": _command(options),
        "camera": options.camera,
        "clip": options.input,
        "artifact": options.artifact,
        "threads": options.threads,
        "mediapipe": options.mediapipe_python,
    }
    sizes = None if options.sizes is None else tuple(size_named(word) for word in _words(options.sizes))
    if options.quick:
        chosen |= quick(None if sizes is None else sizes[0])
    if sizes is not None:
        chosen["sizes"] = sizes
    if options.faces is not None:
        allowed = tuple(str(count) for count in range(1, MAX_FACES + 1))
        chosen["faces"] = tuple(map(int, one_of("--faces", _words(options.faces), allowed)))
    if options.engines is not None:
        chosen["engines"] = tuple(_words(options.engines))
    if options.parts is not None:
        chosen["parts"] = one_of("--parts", _words(options.parts), PARTS)
    if options.rivals is not None:
        words = [] if options.rivals == "none" else _words(options.rivals)
        chosen["rivals"] = one_of("--rivals", words, tuple(ABOUT))
    return Plan(**chosen)


def _command(options: argparse.Namespace) -> str:
    """The options that differ from the default, but for those of the output; no folder of this machine."""
    words = ["physio-bench"]
    for name, value in vars(options).items():
        if name in ("out", "overwrite") or value == build_parser().get_default(name):
            continue
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(Path(value).name if name in _PATHS else str(value))
    return " ".join(words)


def one_of(flag: str, words: Sequence[str], allowed: tuple[str, ...]) -> tuple[str, ...]:
    """The words, each once, in order. Raises UsageError for one that is not allowed."""
    for word in words:
        if word not in allowed:
            raise UsageError(f"{flag} {word!r} is unknown: choose from {', '.join(allowed)}")
    return tuple(dict.fromkeys(words))


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise UsageError("a list of options is empty: leave the option away for all")
    return words
