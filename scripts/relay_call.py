"""What a doctor's browser reads: one clip through a real physio-relay, by WHIP and WHEP.

The patient's Chromium publishes the clip as its webcam; the relay, a process of its own, puts the wanted
heart rate in; the doctor's Chromium plays it. Both legs are encoded with the same codec and bitrate. The
decoded planes are read over the face at the doctor's side, and the heart rate is read from them, before and
after an attacker has notched the shown rate out. Every frame carries its number (see webcam_clip.py), so that
it is known which frames arrived, and which pictures are cards.

Without --clip, the built-in portrait is brought to life with a known pulse. Needs the Chromium of the system,
and the extras `relay` and `dev`; an idle machine, or frames are dropped and the sender lowers its bitrate::

    python scripts/relay_call.py --codec VP8 --kbps 500 --hr 90
    python scripts/relay_call.py --clip ../shared/data/clips/evm_face.mp4 --true 53 --table
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.call_browser import CHROMIUM, browser_pages, page_server
from scripts.call_reading import CELLS
from scripts.relay_call_report import Call, FailedCall, call_of, row, table_head, write_page
from scripts.relay_process import RunningRelay, running_relay
from scripts.webcam_clip import BLOCK, STRIP, Clip, frame_number, write_webcam
from streamfilter.errors import EngineError, PhysioCamError, SourceError, UsageError
from streamfilter.relay.ports import VIDEO_CODECS, Role

ROOM = "call"
TABLE_KBPS = (300, 500, 1500, 4000)
MOST_PASSES = 4.0  # that are waited for
PAGE = Path(__file__).resolve().parent.parent / "docs" / "evaluation" / "relay-calls.md"
_HERE = Path(__file__).resolve().parent
_FILES = (
    _HERE / "relay_call.html",
    _HERE / "call_parts.js",
    _HERE.parent / "streamfilter" / "relay" / "static" / "js" / "whip.js",
)


def record(clip: Clip, codec: str, kbps: int, options: argparse.Namespace) -> dict[str, Any]:
    """One call. Returns the doctor's ``frames``, when the patient's session ``opened`` (s since 1970), what
    both sides report at the end (``sent``, ``received``) and did once they were warm (``sent_first``,
    ``received_first``), and the relay's own ``counts``. Raises EngineError."""
    mark = {"bits": STRIP, "block_width": BLOCK / clip.width, "block_height": BLOCK / clip.height}
    how = {"box": clip.box, "cells": CELLS, "mark": mark}
    camera = {"width": clip.width, "height": clip.height, "fps": clip.fps}
    with tempfile.TemporaryDirectory() as name, page_server(*_FILES) as origin:
        flags = ["--codecs", codec, "--video-kbps", str(kbps), "--origins", origin]
        if options.artifact is not None:
            flags += ["--artifact", str(options.artifact.resolve())]
        with (
            running_relay(Path(name), *flags) as relay,
            browser_pages(f"{origin}/relay_call.html", options.chromium, clip.path, None) as (
                patient,
                doctor,
            ),
        ):
            doctor.evaluate("job => watch(job)", _side(relay, Role.VIEWER, codec) | how)
            job = _side(relay, Role.PATIENT, codec) | camera | {"kbps": kbps}
            job["endpoint"] += f"?hr={options.hr:g}"
            opened = patient.evaluate("job => publish(job)", job)
            doctor.wait_for_timeout(1000.0 * options.warm_up)
            first = [page.evaluate("() => report()") for page in (patient, doctor)]
            _wait_for_pass(doctor, clip)
            last = [page.evaluate("() => report()") for page in (patient, doctor)]
            counts = relay.counts()
            frames = doctor.evaluate("() => seen()")
    print(
        f"sent {last[0]['frames']} frames, relay filtered {counts.frames}, shielded {counts.shielded}, "
        f"dropped {dict(counts.dropped)}, viewer decoded {last[1]['frames']}, read {len(frames)}",
        file=sys.stderr,
    )
    return {
        "frames": frames,
        "opened": opened,
        "sent_first": first[0],
        "received_first": first[1],
        "sent": last[0],
        "received": last[1],
        "counts": counts,
    }


def _wait_for_pass(doctor: Any, clip: Clip) -> None:
    """Until the clip has begun anew twice: a whole pass lies between. A slow machine plays it slowly."""
    known, before, begun = 0, -1, 0
    end = time.monotonic() + MOST_PASSES * clip.frames / clip.fps
    while begun < 2 and time.monotonic() < end:
        doctor.wait_for_timeout(1000.0)
        marks = doctor.evaluate("known => marks(known)", known)
        known += len(marks)
        for number in filter(None, map(frame_number, marks)):
            begun += number < before - clip.frames // 2
            before = number


def _side(relay: RunningRelay, role: Role, codec: str) -> dict[str, Any]:
    path = "whip" if role is Role.PATIENT else "whep"
    return {"endpoint": f"{relay.url}/{path}/{ROOM}", "token": relay.token(ROOM, role), "codec": codec}


def _prepared(options: argparse.Namespace, folder: Path) -> tuple[Clip, float | None]:
    """The clip as webcam, and its true heart rate where it is known."""
    source, truth = options.clip, options.truth
    if source is None:
        from scripts.demo import bring_to_life  # imports what draws the portrait

        source = folder / "portrait.mkv"
        truth = bring_to_life(source)
    return write_webcam(source, folder / "webcam.y4m", options.max_seconds, options.every), truth


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--clip", type=Path, help="any video file with a face (default: the portrait)")
    parser.add_argument("--true", dest="truth", type=float, help="the clip's own heart rate, bpm")
    parser.add_argument("--hr", type=float, default=90.0, help="heart rate to show, bpm (default: 90)")
    parser.add_argument("--codec", choices=VIDEO_CODECS, default="VP8")
    parser.add_argument("--kbps", type=int, default=1500, help="of each leg, kbit/s (default: 1500)")
    parser.add_argument("--table", action="store_true", help="both codecs, 300 to 4000 kbit/s")
    parser.add_argument("--page", type=Path, default=PAGE, help="where --table writes its page")
    parser.add_argument("--warm-up", type=float, default=8.0, help="seconds before frames are read")
    parser.add_argument("--settle", type=float, default=1.5, help="seconds left out at the clip's start")
    parser.add_argument("--max-seconds", type=float, default=60.0, help="longest part of the clip used")
    parser.add_argument("--every", type=int, default=1, help="2: half the clip's frame rate (default: 1)")
    parser.add_argument("--artifact", type=Path, help="folder of another trained editor")
    parser.add_argument("--chromium", default=CHROMIUM)
    parser.add_argument("--json", type=Path, help="write everything but the frames' cells here")
    options = parser.parse_args(arguments)
    if not 40 <= options.hr <= 180:
        raise UsageError(f"--hr {options.hr:g}: give a heart rate of 40 to 180 bpm")
    if not 100 <= options.kbps <= 10_000:
        raise UsageError(f"--kbps {options.kbps}: the relay takes 100 to 10000 kbit/s")
    if not 1 <= options.every <= 4:
        raise UsageError(f"--every {options.every}: give 1 to 4")
    return options


def _call(
    clip: Clip, truth: float | None, codec: str, kbps: int, options: argparse.Namespace
) -> Call | FailedCall:
    try:
        return call_of(
            record(clip, codec, kbps, options),
            clip,
            codec=codec,
            kbps=kbps,
            target=options.hr,
            truth=truth,
            warm_up=options.warm_up,
            settle=options.settle,
        )
    except (SourceError, EngineError) as error:
        if not options.table:
            raise
        return FailedCall(codec, kbps, str(error))  # the other calls can still be read


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    try:
        options = _parse(sys.argv[1:] if arguments is None else arguments)
        wanted = [(options.codec, options.kbps)]
        if options.table:
            wanted = [(codec, kbps) for codec in VIDEO_CODECS for kbps in TABLE_KBPS]
        calls: list[Call | FailedCall] = []
        print(table_head(), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            clip, truth = _prepared(options, Path(folder))
            for codec, kbps in wanted:
                calls.append(_call(clip, truth, codec, kbps, options))
                print(row(calls[-1]), flush=True)
                if options.json:  # after each call: a table takes minutes
                    options.json.write_text(json.dumps([asdict(call) for call in calls], indent=1))
        if options.table:
            given = shlex.join(sys.argv[1:] if arguments is None else arguments)
            named = "the built-in portrait" if options.clip is None else options.clip.name
            write_page(options.page, calls, named, f"python scripts/relay_call.py {given}")
    except PhysioCamError as error:
        print(f"relay_call: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
