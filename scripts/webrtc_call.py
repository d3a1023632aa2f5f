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
import contextlib
import functools
import http.server
import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.webcam_clip import BITS, BLOCK, Clip, frame_number, write_webcam
from streamfilter.errors import EngineError, PhysioCamError, SourceError, UsageError
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.face.crop import skin_prior
from streamfilter.frame import ColorSpec
from streamfilter.rppg.estimators import ESTIMATORS
from streamfilter.rppg.heart_rate import heart_rate, heart_rate_after_notch

CELLS = 24
READ_BY = ("POS", "CHROM", "GREEN", "PCA")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reading:
    """Heart rates (bpm) of one estimator: as shown, and after the target was notched out."""

    estimator: str
    shown: float
    after_notch: float


@contextlib.contextmanager
def _page_server(folder: Path) -> Iterator[str]:
    """The helper page on loopback: a browser lends its camera to a secure origin only."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/webrtc_call.html"
        finally:
            server.shutdown()
            thread.join()


def call(clip: Clip, codec: str, kbps: int, warm_up: float, chromium: str) -> dict[str, Any]:
    """One call; returns the page's ``frames`` and the sender's ``report``. Raises EngineError."""
    from playwright.sync_api import Error as BrowserError
    from playwright.sync_api import sync_playwright

    # From wherever in the clip the warm-up ends, one whole pass lies within two.
    seconds = warm_up + 2.0 * clip.frames / clip.fps + 1.0
    mark = {"bits": BITS, "block_width": BLOCK / clip.width, "block_height": BLOCK / clip.height}
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
    arguments = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={clip.path}",
        "--disable-background-timer-throttling",
        "--disable-renderer-backgrounding",
    ]
    try:
        with _page_server(Path(__file__).parent) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
            try:
                page = browser.new_page()
                page.goto(address)
                page.set_default_timeout(0)
                result: dict[str, Any] = page.evaluate("job => call(job)", job)
            finally:
                browser.close()
    except BrowserError as error:
        raise EngineError(f"the call failed: {str(error).splitlines()[0]}; is {chromium} there?") from error
    return result


def one_pass(frames: list[dict[str, Any]], clip: Clip, warm_up: float, settle: float) -> Floats:
    """(T, 3) mean R, G, B over the face in a whole pass through the clip, at the clip's own even rate.

    Frames before ``warm_up`` (the sender's bitrate still rises) and the clip's first ``settle`` seconds
    (a filter may still settle there) are left out. Raises SourceError where no whole pass arrived.
    """
    prior = skin_prior(CELLS).reshape(-1)
    passes: list[dict[int, Floats]] = []
    before = -1
    for frame in frames:
        number = frame_number(frame["mark"])
        if number >= clip.frames:
            continue  # the strip did not survive: as good as a dropped frame
        if number < before - clip.frames // 2:
            passes.append({})
        before = number
        if passes and frame["time"] - frames[0]["time"] >= warm_up:
            passes[-1][number] = _mean_rgb(frame, prior)
    first = int(settle * clip.fps)
    wanted = clip.frames - first
    whole = [p for p in passes if len(p) and min(p) <= first and max(p) >= clip.frames - 3]
    if not whole:
        raise SourceError("no whole pass through the clip arrived: the machine is too slow for this call")
    last = max(whole, key=len)
    numbers = np.array(sorted(last))
    arrived = int((numbers >= first).sum())
    if arrived < 0.5 * wanted:
        raise SourceError(f"only {arrived} of {wanted} frames arrived: the machine is too slow for this call")
    traces = np.stack([last[int(n)] for n in numbers])
    at = np.arange(first, clip.frames)
    even = np.stack([np.interp(at, numbers, traces[:, c]) for c in range(3)], axis=1)
    print(f"read {arrived} of {wanted} frames of one pass", file=sys.stderr)
    return even


def _mean_rgb(frame: dict[str, Any], prior: npt.NDArray[np.float32]) -> Floats:
    full_range = bool(frame["fullRange"])
    color = ColorSpec("bt709" if frame["matrix"] == "bt709" else "bt601", full_range)
    to_rgb, offset = yuv_to_rgb_matrix(color)
    cells = np.array(frame["means"], dtype=np.float64)
    seen = np.isfinite(cells).all(axis=0)
    mean = cells[:, seen] @ prior[seen] / prior[seen].sum()
    rgb: Floats = to_rgb @ mean + offset
    return rgb


def read_pulse(rgb: Floats, fs: float, target: float) -> list[Reading]:
    """What each estimator reads from the receiver's trace."""
    waves = {name: ESTIMATORS[name](rgb, fs) for name in READ_BY}
    return [
        Reading(name, heart_rate(wave, fs), heart_rate_after_notch(wave, fs, target))
        for name, wave in waves.items()
    ]


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
    parser.add_argument("--chromium", default="/usr/bin/chromium")
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
    readings = read_pulse(rgb, clip.fps, options.target)
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
    remarks = [] if abs(reading.shown - options.target) <= 2.0 else ["NOT at the target"]
    if (
        options.truth is not None
        and min(abs(r - options.truth) for r in (reading.shown, reading.after_notch)) < 4.0
    ):
        remarks.append("TRUE RATE FOUND")
    return "   " + ", ".join(remarks) if remarks else ""


if __name__ == "__main__":
    raise SystemExit(main())
