"""Measures the window mode beside the stream mode on generated clips of held-out identities.

python scripts/measure_window.py --artifact runs/window --faces FACES --out runs/measure-window

Prints a table in Markdown, and with --picture writes one frame before and after each mode as a PNG.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.evaluate.clip import EvalClip
from model.evaluate.metrics import Fidelity, leaks, readings, rgb_of
from model.evaluate.reading import block_sums, even, face_trace
from model.evaluate.synthetic import open_synthetic, synthetic_specs
from streamfilter.config import FilterSettings
from streamfilter.errors import PhysioCamError
from streamfilter.face_filter import build_filter
from streamfilter.frame import Frame
from streamfilter.frame_filter import AtOnce, DelayedFilter
from streamfilter.rppg.filters import band_pass
from streamfilter.window.face_filter import build_window_filter

ESTIMATORS = ("POS", "CHROM")
NONE, STREAM, WINDOW = MODES = ("none", "stream", "window")


@dataclass
class Figures:
    """One mode on one clip: errors to the target (bpm), coherence with the true pulse, ``swing`` of the
    skin's green in the pulse's band (per cent, rms), PSNR (dB) over the face's box, latency (frames, s),
    frames a second."""

    clip: str
    mode: str
    error: dict[str, float | None]
    coherence: float | None
    swing: float
    psnr: float | None
    latency: tuple[int, float]
    fps: float
    shielded: int
    pictures: list[npt.NDArray[np.uint8]] = field(default_factory=list, repr=False)


def edited(
    clip: EvalClip, made: DelayedFilter | None
) -> Iterator[tuple[int, Frame, Frame, int, float, bool]]:
    """Number, frame before and after, frames and seconds waited, whether it is shielded."""
    held: list[Frame] = []
    done = 0
    for index, frame in enumerate(clip.frames()):
        held.append(frame)
        if made is None:
            yield index, frame, frame, 0, 0.0, False
            continue
        for result in made.push(frame):
            source = held.pop(0)
            waited = frame.seconds - source.seconds
            yield done, source, result.frame, index - done, waited, result.shielded is not None
            done += 1
    if made is not None:
        for result in made.finish():
            yield done, held.pop(0), result.frame, 0, 0.0, result.shielded is not None
            done += 1


def measure(clip: EvalClip, mode: str, options: argparse.Namespace) -> Figures:
    """Run one mode over one clip."""
    made: DelayedFilter | None = None
    settings: dict[str, Any] = {"target_bpm": clip.target, "seed": clip.seed}
    if mode == STREAM:
        made = AtOnce(build_filter(FilterSettings(**settings)))
    elif mode == WINDOW:
        filter_settings = FilterSettings(**settings, artifact=options.artifact)
        made = build_window_filter(filter_settings, options.hop)
    fidelity, blocks, frames, seconds, shielded = Fidelity(), [], 0, 0.0, 0
    pictures: list[npt.NDArray[np.uint8]] = []
    first, last = clip.read
    spent, since = 0.0, time.perf_counter()
    for index, before, after, waited, late, covered in edited(clip, made):
        spent += time.perf_counter() - since
        frames, seconds = max(frames, waited), max(seconds, late)
        if index >= first:
            shielded += covered
            blocks.append(block_sums(after, clip, index))
            fidelity.add(rgb_of(before), rgb_of(after), clip.box(index))
            if index == (first + last) // 2:
                pictures = [rgb_of(before), rgb_of(after)]
        since = time.perf_counter()
    if made is not None:
        made.close()
    read = np.stack(blocks)
    span = slice(first, last)
    trace = face_trace(read)
    found = readings(trace, clip, span)["error"]
    leak = leaks(read, clip, span)
    green = even(trace, clip.times[span], clip.fps)[:, 1]
    swing = 100.0 * float(band_pass(green / green.mean() - 1.0, clip.fps).std())
    return Figures(
        clip=clip.name,
        mode=mode,
        error={name: found[name] for name in ESTIMATORS},
        coherence=leak.get("face_mean"),
        swing=swing,
        psnr=None if mode == NONE else fidelity.figures()["psnr"],
        latency=(frames, seconds),
        fps=last / spent,
        shielded=shielded,
        pictures=pictures,
    )


def row(figures: Figures) -> str:
    """One row of the table."""
    error = " / ".join("–" if value is None else f"{value:.2f}" for value in figures.error.values())
    numbers = [
        "–" if value is None else f"{value:.{digits}f}"
        for value, digits in ((figures.coherence, 2), (figures.swing, 2), (figures.psnr, 1))
    ]
    frames, seconds = figures.latency
    cells = [figures.clip, figures.mode, error, *numbers, f"{frames} ({seconds:.2f} s)", f"{figures.fps:.0f}"]
    return f"| {' | '.join(cells)} | {figures.shielded} |"


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--artifact", type=Path, required=True, help="a window editor's folder")
    parser.add_argument("--faces", type=Path, help="folder of stills (default: the built-in portrait)")
    parser.add_argument("--out", type=Path, required=True, help="folder for clips and pictures")
    parser.add_argument("--seconds", type=float, default=20.0, help="read of each clip (%(default)s)")
    parser.add_argument("--clips", type=int, default=4, help="how many (%(default)s)")
    parser.add_argument("--hop", type=int, help="frames from window to window (default: three quarters)")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--picture", action="store_true", help="write a frame before and after")
    options = parser.parse_args(argv)
    cv2.setNumThreads(1)
    print(
        "| clip | mode | error to target, POS / CHROM (bpm) | coherence with the true pulse "
        "| green in the pulse's band, rms (%) "
        "| PSNR of the face's box (dB) | latency (frames) | frames a second | shielded |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    try:
        for spec in synthetic_specs(options.faces, quick=True, seconds=options.seconds)[: options.clips]:
            clip = open_synthetic(spec, options.out / "clips")
            for mode in options.modes:
                figures = measure(clip, mode, options)
                print(row(figures), flush=True)
                if options.picture and figures.pictures:
                    both = np.concatenate(figures.pictures, axis=1)
                    path = options.out / f"{clip.name}-{mode}.png"
                    cv2.imwrite(str(path), cv2.cvtColor(both, cv2.COLOR_RGB2BGR))
    except PhysioCamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
