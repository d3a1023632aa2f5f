"""What the other side of a video call reads: one clip through a real call between two Chromium peers.

The clip is Chromium's fake webcam; codec and bitrate are set as a conference sets them; the receiver's
decoded planes are read over the face, and the heart rate is read from them, before and after an attacker
has notched the shown rate out. Every frame carries its number as a strip of black and white blocks at the
top edge (Gray code: one block changes a frame), so that dropped frames, and the seam where Chromium starts
the clip again, are known: one whole pass through the clip is read.

Needs the Chromium of the system and `pip install playwright`::

    python scripts/webrtc_call.py --clip filtered.mkv --codec VP8 --kbps 500 --target 90 --true 53
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.call_browser import CHROMIUM, browser_pages, page_server
from scripts.call_reading import AT_TARGET, CELLS, Floats, Reading, read_pulse, whole_pass
from scripts.webcam_clip import BLOCK, STRIP, Clip, write_webcam
from streamfilter.errors import PhysioCamError, UsageError

READ_BY = ("POS", "CHROM", "GREEN", "PCA")
_HERE = Path(__file__).parent


def call(clip: Clip, codec: str, kbps: int, warm_up: float, chromium: str) -> dict[str, Any]:
    """One call; returns the page's ``frames`` and the sender's ``report``. Raises EngineError."""
    # From wherever in the clip the warm-up ends, one whole pass lies within two.
    seconds = warm_up + 2.0 * clip.frames / clip.fps + 1.0
    mark = {"bits": STRIP, "block_width": BLOCK / clip.width, "block_height": BLOCK / clip.height}
    job = {
        "codec": codec,
        "kbps": kbps,
        "seconds": seconds,
        "width": clip.width,
        "height": clip.height,
        "fps": clip.fps,
        "box": clip.box,
        "cells": CELLS,
        "mark": mark,
    }
    with (
        page_server(_HERE / "webrtc_call.html", _HERE / "call_parts.js") as origin,
        browser_pages(f"{origin}/webrtc_call.html", chromium, clip.path) as (page,),
    ):
        result: dict[str, Any] = page.evaluate("job => call(job)", job)
    return result


def one_pass(frames: list[dict[str, Any]], clip: Clip, warm_up: float, settle: float) -> Floats:
    """(T, 3) mean R, G, B over the face in a whole pass through the clip, at the clip's own even rate.

    As :func:`scripts.call_reading.whole_pass`, in the clip's time: what is read was in the clip.
    """
    read = whole_pass(frames, clip.frames, clip.fps, warm_up, settle)
    print(f"read {len(read.numbers)} of {read.wanted} frames of one pass", file=sys.stderr)
    return read.by_number(clip.frames - read.wanted, clip.frames)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--clip", type=Path, required=True, help="any video file with a face")
    parser.add_argument("--codec", choices=("VP8", "VP9", "H264", "AV1"), default="VP8")
    parser.add_argument("--kbps", type=int, default=1500, help="maxBitrate of the sender, kbit/s")
    parser.add_argument("--target", type=float, required=True, help="heart rate that the clip shows, bpm")
    parser.add_argument("--true", dest="truth", type=float, help="heart rate that must not be found, bpm")
    parser.add_argument("--warm-up", type=float, default=8.0, help="seconds before frames are read")
    parser.add_argument("--settle", type=float, default=1.5, help="seconds left out at the clip's start")
    parser.add_argument("--max-seconds", type=float, default=60.0, help="longest part of the clip used")
    parser.add_argument("--chromium", default=CHROMIUM)
    parser.add_argument("--json", type=Path, help="write readings, traces and the sender's report here")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    try:
        if not 30 <= options.target <= 240:
            raise UsageError(f"--target {options.target:g} is no heart rate: give 30 to 240 bpm")
        with tempfile.TemporaryDirectory() as folder:
            clip = write_webcam(options.clip, Path(folder) / "webcam.y4m", options.max_seconds)
            result = call(clip, options.codec, options.kbps, options.warm_up, options.chromium)
        rgb = one_pass(result["frames"], clip, options.warm_up, options.settle)
    except PhysioCamError as error:
        print(f"webrtc_call: {error}", file=sys.stderr)
        return error.exit_code
    readings = read_pulse(rgb, clip.fps, options.target, READ_BY)
    report = result["report"]
    print(
        f"{report['codec']} ({report['encoder']}), {report['width']}x{report['height']}, "
        f"{report['target'] / 1000:.0f} kbit/s, mean qp {report['qp']:.0f}, limited by {report['limit']}"
    )
    for reading in readings:
        print(
            f"{reading.estimator:6s} {reading.shown:6.1f}   after notch {reading.after_notch:6.1f}"
            + _verdict(reading, options)
        )
    if options.json:
        options.json.write_text(
            json.dumps(
                {
                    "readings": [asdict(r) for r in readings],
                    "fps": clip.fps,
                    "rgb": rgb.tolist(),
                    "sender": report,
                }
            )
        )
    return 0


def _verdict(reading: Reading, options: argparse.Namespace) -> str:
    remarks = [] if abs(reading.shown - options.target) <= AT_TARGET else ["NOT at the target"]
    if options.truth is not None and reading.finds(options.truth):
        remarks.append("TRUE RATE FOUND")
    return "   " + ", ".join(remarks) if remarks else ""


if __name__ == "__main__":
    raise SystemExit(main())
