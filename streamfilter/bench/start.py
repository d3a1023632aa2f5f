"""Cold start and memory: a fresh process that loads the filter and edits a few frames, timed from outside.

``python -m streamfilter.bench.start FRAMES WIDTH HEIGHT COUNT ENGINE THREADS [ARTIFACT]`` is that process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamfilter.bench.footage import Footage
from streamfilter.errors import EngineError

_FRAMES = 45  # after which memory no longer grows


@dataclass(frozen=True, slots=True)
class Start:
    """``first_frame``: seconds from the start of the process to its first edited frame, a run each.

    ``resident_mb``, ``peak_mb``: the process's memory once it runs, and at its peak (None: not known here).
    """

    first_frame: tuple[float, ...]
    resident_mb: float | None
    peak_mb: float | None


def cold_start(footage: Footage, engine: str, threads: int, artifact: Path | None, runs: int) -> Start:
    """Start ``runs`` processes, one after the other. Raises EngineError where one fails."""
    taken, memory = [], None
    with tempfile.TemporaryDirectory(prefix="physio-bench-") as folder:
        frames = Path(folder) / "frames.i420"
        pictures = footage.frames()
        with frames.open("wb") as out:
            for picture in pictures:
                for plane in (picture.y, picture.u, picture.v):
                    out.write(np.ascontiguousarray(plane).tobytes())
        size = footage.size
        command = [sys.executable, "-m", "streamfilter.bench.start", str(frames)]
        command += [str(size.width), str(size.height), str(len(pictures)), engine, str(threads)]
        command += [] if artifact is None else [str(artifact.resolve())]
        for _ in range(runs):
            begun = time.perf_counter()
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout is not None
                first = process.stdout.readline()
                taken.append(round(time.perf_counter() - begun, 3))
                rest, said = process.communicate()
            if process.returncode != 0 or first.strip() != "first":
                why = said.strip().splitlines()[-1:] or ["without a word"]
                raise EngineError(f"a fresh process with the engine {engine} failed: {why[0]}")
            memory = json.loads(rest)
    return Start(tuple(taken), *(memory or (None, None)))


def main(arguments: Sequence[str]) -> int:
    """The fresh process: no more is imported than a run of the filter needs."""
    from fractions import Fraction

    from streamfilter.bench.machine import memory_mb
    from streamfilter.config import FilterSettings
    from streamfilter.face_filter import build_filter
    from streamfilter.frame import ColorSpec, Frame

    path, width, height, count = Path(arguments[0]), *map(int, arguments[1:4])
    engine, threads = arguments[4], int(arguments[5])
    artifact = Path(arguments[6]) if len(arguments) > 6 else None
    settings = FilterSettings(engine=engine, threads=threads, artifact=artifact, seed=1)
    area = width * height
    with path.open("rb") as frames:
        made = build_filter(settings)
        for index in range(_FRAMES):
            if index % count == 0:
                frames.seek(0)
            data = np.frombuffer(frames.read(area * 3 // 2), np.uint8)
            y = data[:area].reshape(height, width)
            u = data[area : area * 5 // 4].reshape(height // 2, width // 2)
            v = data[area * 5 // 4 :].reshape(height // 2, width // 2)
            made.process(Frame(y, u, v, index, Fraction(1, 30), ColorSpec()))
            if index == 0:
                print("first", flush=True)
    print(json.dumps(memory_mb()))
    made.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
