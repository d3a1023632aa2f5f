"""Times the filter on this machine: the step graph, the whole filter at 1280 x 720, start to first frame.

python scripts/benchmark_filter.py [--artifact DIR] [--engine NAME] [--out docs/evaluation/benchmark.json]

One face, the built-in portrait; decoding and encoding are left out. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from streamfilter import contract
from streamfilter.artifact import Artifact, load_artifact
from streamfilter.config import FilterSettings
from streamfilter.engine import open_engine
from streamfilter.errors import PhysioCamError
from streamfilter.face_filter import VideoFilter
from streamfilter.frame import Frame, Plane

WIDTH, HEIGHT, FACE = 1280, 720, 560
DISTINCT = 60  # frames drawn; they are shown forth and back
WARM_UP = 45  # frames, the shield's time among them
START_RUNS = 3


def portrait_frames() -> list[Frame]:
    """1280 x 720 frames with the built-in portrait in the middle of a grey room."""
    from model.data.portrait import builtin_portrait
    from model.data.settings import ClipSettings
    from model.data.video import render_video

    settings = ClipSettings(frames=DISTINCT, fps=30.0, motion=2)
    video = render_video(np.random.default_rng(1), builtin_portrait(), settings, FACE)
    left, top = (WIDTH - FACE) // 4 * 2, (HEIGHT - FACE) // 4 * 2
    frames = []
    for drawn in video.frames():
        seen = drawn.frame

        def in_room(plane: Plane, scale: int, grey: int) -> Plane:
            room = np.full((HEIGHT // scale, WIDTH // scale), grey, np.uint8)
            room[top // scale : (top + FACE) // scale, left // scale : (left + FACE) // scale] = plane
            return room

        frames.append(
            seen.with_planes(in_room(seen.y, 1, 120), in_room(seen.u, 2, 128), in_room(seen.v, 2, 128))
        )
    return frames


def time_step(artifact: Artifact, engine_name: str, steps: int) -> dict[str, object]:
    """Milliseconds of one step of the graph, 1 thread."""
    engine = open_engine(artifact, engine_name, 1)
    rng = np.random.default_rng(0)
    inputs = {
        spec.name: rng.uniform(0.2, 0.8, spec.shape).astype(np.float32)
        for spec in artifact.manifest.inputs
        if not spec.name.startswith(contract.STATE_PREFIX)
    }
    inputs[contract.DT] = np.full((1, 1), 1 / 30, np.float32)
    state, taken = engine.init_state(), []
    for _ in range(steps + 20):
        start = time.perf_counter()
        _, state = engine.step(inputs, state)
        taken.append(1000 * (time.perf_counter() - start))
    engine.close()
    return {
        "median_ms": round(float(np.median(taken[20:])), 2),
        "p99_ms": round(float(np.percentile(taken[20:], 99)), 2),
    }


def time_filter(artifact: Artifact, engine_name: str, count: int) -> dict[str, object]:
    """The whole filter: detection, tracking, crop, network, composite."""
    frames = portrait_frames()
    order = [*range(DISTINCT), *range(DISTINCT - 2, 0, -1)]
    settings = FilterSettings(engine=engine_name, seed=1)
    cv2.setNumThreads(settings.threads)  # as build_filter does
    video_filter = VideoFilter(settings, artifact, open_engine(artifact, engine_name, 1))
    taken, faces = [], 0
    busy = 0.0
    for index in range(count + WARM_UP):
        if index == WARM_UP:
            busy = time.process_time()
        frame = replace(frames[order[index % len(order)]], pts=index * 3000)
        start = time.perf_counter()
        faces = max(faces, video_filter.process(frame).faces)
        taken.append(1000 * (time.perf_counter() - start))
    busy = time.process_time() - busy
    video_filter.close()
    measured = np.array(taken[WARM_UP:])
    return {
        "frames": count,
        "faces": faces,
        "fps": round(float(1000 / measured.mean()), 1),
        "p50_ms": round(float(np.percentile(measured, 50)), 2),
        "p99_ms": round(float(np.percentile(measured, 99)), 2),
        "cpu_ms": round(1000 * busy / count, 2),
    }


def resident_mb(artifact: Path | None, engine_name: str) -> float:
    """Resident memory of a process that does nothing but filter, at its peak."""
    code = (
        "import resource, sys, numpy as np\n"
        "from fractions import Fraction\nfrom pathlib import Path\n"
        "from streamfilter.config import FilterSettings\nfrom streamfilter.face_filter import build_filter\n"
        "from streamfilter.capture import open_source\n"
        "path, engine = sys.argv[2], sys.argv[3]\n"
        "made = build_filter(FilterSettings(engine=engine, artifact=Path(path) if path else None))\n"
        "with open_source(Path(sys.argv[1])) as source:\n"
        "    faces = max(made.process(frame).faces for frame in source.frames())\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, faces)\n"
    )
    with tempfile.TemporaryDirectory() as place:
        clip = write_clip(Path(place))
        done = _run(["-c", code, str(clip), "" if artifact is None else str(artifact), engine_name])
    peak, faces = done.split()
    if int(faces) < 1:
        raise SystemExit("no face was found in the test clip: the memory figure would be of an idle filter")
    return round(float(peak), 1)


def start_seconds(artifact: Path | None, engine_name: str) -> float:
    """From the start of the process to its end after one frame of 720p: median of a few runs."""
    taken = []
    with tempfile.TemporaryDirectory() as place:
        clip = write_clip(Path(place), 1)
        command = ["-m", "streamfilter", "--input", str(clip), "--output", "null:", "--quiet"]
        command += ["--engine", engine_name] + ([] if artifact is None else ["--artifact", str(artifact)])
        for _ in range(START_RUNS):
            start = time.perf_counter()
            _run(command)
            taken.append(time.perf_counter() - start)
    return round(float(np.median(taken)), 2)


def write_clip(folder: Path, count: int = DISTINCT) -> Path:
    from fractions import Fraction

    from streamfilter.capture.source import ColorTags, SourceInfo
    from streamfilter.frame import ColorSpec
    from streamfilter.sinks.codec_settings import CodecSettings
    from streamfilter.sinks.video_file import VideoFileSink

    info = SourceInfo(
        WIDTH,
        HEIGHT,
        Fraction(30),
        count,
        ColorSpec(),
        False,
        "portrait",
        Fraction(1, 90000),
        ColorTags(matrix=6, video_range=1),
    )
    path = folder / "portrait.mkv"
    sink = VideoFileSink(path, info, CodecSettings(lossless=True))
    for frame in portrait_frames()[:count]:
        sink.write(frame)
    sink.close()
    return path


def _run(arguments: list[str]) -> str:
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--artifact", type=Path)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    try:
        artifact = load_artifact(options.artifact)
        size = sum(file.stat().st_size for file in artifact.path.iterdir() if file.is_file())
        figures: dict[str, object] = {
            "artifact": artifact.manifest.name,
            "artifact_mb": round(size / 1e6, 2),
            "engine": open_engine(artifact, options.engine, 1).name,
            "machine": f"{os.cpu_count()} CPUs, {platform.machine()}",
            "load_at_start": round(os.getloadavg()[0], 1),
            "step": time_step(artifact, options.engine, options.frames),
            "filter_720p": time_filter(artifact, options.engine, options.frames),
            "resident_mb": resident_mb(options.artifact, options.engine),
            "start_to_first_frame_s": start_seconds(options.artifact, options.engine),
        }
    except PhysioCamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(figures, indent=1))
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
