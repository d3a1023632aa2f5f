"""Shows what physio-cam does: filters a clip and leaves its pulse before and after in one picture.

python scripts/demo.py                    the built-in portrait, brought to life with a known pulse
python scripts/demo.py --input clip.mp4   a clip of your own

Leaves demo/input.mkv (without --input), demo/filtered.mp4 and demo/pulse.png.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.data.portrait import builtin_portrait
from model.data.settings import ClipSettings
from model.data.video import render_video
from model.evaluate.clip import READ_SECONDS, SKIP_SECONDS, read_range
from model.evaluate.metrics import rgb_of
from model.evaluate.picture import Reading, draw_picture
from model.evaluate.reading import even, face_trace, sums_of
from model.evaluate.real import SteadySkin
from streamfilter.capture import open_source
from streamfilter.capture.source import ColorTags, SourceInfo
from streamfilter.errors import PhysioCamError, SourceError
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import CROP_SIZE
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import ColorSpec, Frame
from streamfilter.rppg.estimators import ESTIMATORS, MIN_SECONDS
from streamfilter.rppg.heart_rate import heart_rate, heart_rate_after_notch
from streamfilter.sinks.codec_settings import CodecSettings
from streamfilter.sinks.video_file import VideoFileSink

ROOT = Path(__file__).resolve().parent.parent
TRUE_BPM = 58.0
SECONDS, FPS, SIZE, SEED = 13.5, 30, 400, 7
Array64 = npt.NDArray[np.float64]


def bring_to_life(path: Path) -> float:
    """Writes the built-in portrait as a clip with a known pulse; returns its rate where it is read."""
    settings = ClipSettings(
        frames=round(SECONDS * FPS), fps=float(FPS), motion=1, hr=TRUE_BPM, strength=0.005, noise=1.5
    )
    video = render_video(np.random.default_rng(SEED), builtin_portrait(), settings, SIZE)
    info = SourceInfo(
        SIZE,
        SIZE,
        Fraction(FPS),
        settings.frames,
        ColorSpec(),
        False,
        "the built-in portrait",
        Fraction(1, 90000),
        ColorTags(matrix=6, video_range=1),
    )
    sink = VideoFileSink(path, info, CodecSettings(lossless=True), overwrite=True)
    try:
        for drawn in video.frames():
            sink.write(drawn.frame)
        sink.close()
    except BaseException:
        sink.abort()
        raise
    return heart_rate(video.bvp[round(SKIP_SECONDS * FPS) :], FPS)


def run_filter(source: Path, output: Path, hr: str, artifact: Path | None) -> None:
    """Runs the very command that a user types. Raises SystemExit with its exit code where it fails."""
    command = [sys.executable, "-m", "streamfilter", "--hr", hr, "--input", str(source)]
    command += ["--output", str(output), "--overwrite"]
    shown = ["physio-cam", "--hr", hr, "--input", _short(source), "--output", _short(output)]
    if artifact is not None:
        command += ["--artifact", str(artifact)]
        shown += ["--artifact", str(artifact)]
    print("$ " + " ".join(shown), flush=True)
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise SystemExit(done.returncode)


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def read_both(source: Path, filtered: Path) -> tuple[Reading, Reading]:
    """Both files, read in the same places: the face and skin found in the input.

    Raises SourceError where the face is not seen for long enough.
    """
    finder = FaceFinder()
    steady: SteadySkin | None = None
    times, found, boxes = [], [], []
    blocks: tuple[list[npt.NDArray[np.float32]], ...] = ([], [])
    for before, after in _pairs(source, filtered):
        steady = steady or SteadySkin(30.0)
        faces = finder.find(before)
        times.append(before.seconds)
        found.append(bool(faces))
        box = faces[0].box if faces else FaceBox(1.0, 1.0, 2.0)
        boxes.append(box)
        skin = np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
        if faces:
            skin = np.rint(np.clip(steady.next(before, box), 0.0, 1.0) * 255.0).astype(np.uint8)
        for frame, sums in zip((before, after), blocks, strict=True):
            sums.append(sums_of(frame, np.array([box.cx, box.cy, box.size]), skin))
    seconds = np.array(times)
    first, last = read_range(seconds, np.array(found))
    if last - first < 2 or seconds[last - 1] - seconds[first] < MIN_SECONDS:
        raise SourceError(
            f"{source}: a face is seen for too short a time to read a heart rate; "
            f"give a clip with {SKIP_SECONDS + MIN_SECONDS:.0f} s of it or more"
        )
    middle = (first + last) // 2
    pictures = next(pair for k, pair in enumerate(_pairs(source, filtered)) if k == middle)
    span = slice(first, last)
    fps = float((last - first - 1) / (seconds[last - 1] - seconds[first]))
    out = []
    for frame, sums in zip(pictures, blocks, strict=True):
        stacked = np.stack(sums[span])
        trace = even(face_trace(stacked), seconds[span], fps)
        out.append(Reading(trace, fps, _thumbnail(frame, boxes[middle])))
    return out[0], out[1]


def _pairs(source: Path, filtered: Path) -> Iterator[tuple[Frame, Frame]]:
    """Frames of both files, one for one, no more than are read."""
    with open_source(source) as first, open_source(filtered) as second:
        for before, after in zip(first.frames(), second.frames(), strict=False):
            if before.seconds > SKIP_SECONDS + READ_SECONDS + 2.0:
                return
            yield before, after


def _thumbnail(frame: Frame, box: FaceBox) -> npt.NDArray[np.uint8]:
    rgb = rgb_of(frame)
    top, left = max(0, round(box.top)), max(0, round(box.left))
    face = rgb[top : round(box.top + box.size), left : round(box.left + box.size)]
    return np.asarray(cv2.resize(face, (256, 256), interpolation=cv2.INTER_AREA), np.uint8)


def print_table(before: Reading, after: Reading, true_bpm: float | None, target: float) -> None:
    """The heart rate that each estimator reads before and after, and once the target is notched out."""
    known = "not known" if true_bpm is None else f"{true_bpm:.1f}"
    print(f"\ntrue heart rate {known}, asked for {target:g} (beats a minute)\n")
    print(f"{'':8}{'before':>9}{'after':>9}{'error':>8}{'target notched out':>21}")
    for name, estimate in ESTIMATORS.items():
        first = heart_rate(estimate(before.rgb, before.fps), before.fps)
        wave = estimate(after.rgb, after.fps)
        second = heart_rate(wave, after.fps)
        left = heart_rate_after_notch(wave, after.fps, target)
        print(f"{name:8}{first:9.1f}{second:9.1f}{abs(second - target):8.2f}{left:21.1f}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", type=Path, help="a clip of your own")
    parser.add_argument("--hr", default="90", help="heart rate to show (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "demo", help="folder (default: demo)")
    parser.add_argument("--artifact", type=Path, help="another trained editor than the packaged one")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    source, true_bpm = options.input, None
    try:
        target = float(options.hr)
        if source is None:
            source = options.out / "input.mkv"
            print(f"bringing the built-in portrait to life at {TRUE_BPM:g} beats a minute …", flush=True)
            true_bpm = bring_to_life(source)
        filtered = options.out / "filtered.mp4"
        run_filter(source, filtered, options.hr, options.artifact)
        before, after = read_both(source, filtered)
        print_table(before, after, true_bpm, target)
        draw_picture(options.out / "pulse.png", before, after, true_bpm, target)
    except PhysioCamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ValueError:
        print(f"error: --hr {options.hr}: give one heart rate, 40 to 180", file=sys.stderr)
        return 2
    print(f"\n{_short(filtered)} and {_short(options.out / 'pulse.png')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
