"""Runs the live filter for a while and reports what a long day would show: drops, latency, memory, threads.

python scripts/soak_live.py [--minutes 30] [--slow 3] [--out soak.json]

A simulated camera shows the built-in portrait, moving, at 30 frames a second; the filter is the real one;
what leaves is copied into a buffer, as for a virtual camera, and thrown away. ``--slow 3`` makes the filter
take three frames' time for each. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.portrait_frames import HEIGHT, WIDTH, portrait_frames
from streamfilter.config import FilterSettings
from streamfilter.errors import PhysioCamError, SinkError
from streamfilter.face_filter import FilteredFrame, VideoFilter, build_filter
from streamfilter.frame import Frame
from streamfilter.live.ports import LIVE_TIME_BASE, Picture
from streamfilter.live.status import State
from streamfilter.live.supervisor import Parts, Supervisor
from streamfilter.live.target import FixedRate
from streamfilter.sinks.virtual_camera import I420Buffer

FPS = 30.0
SETTLED = 5.0  # seconds until the figures count: start, settling, first readings of the meter


class PortraitCamera:
    """Drawn frames forth and back, on time; a reader that is late gets the newest, as from a driver."""

    name = "portrait"
    pixel_format = "I420"

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.picture = Picture(frames[0].width, frames[0].height, FPS)
        self._frames = frames
        self._order = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
        self._start = time.monotonic()
        self._index = 0
        self.missed = 0
        self._closed = threading.Event()

    def read(self, timeout: float) -> Frame | None:
        due = self._start + self._index / FPS
        wait = due - time.monotonic()
        if wait > timeout:
            self._closed.wait(timeout)
            return None
        if wait > 0:
            self._closed.wait(wait)
        newest = int((time.monotonic() - self._start) * FPS)
        self.missed += max(0, newest - self._index)
        self._index = max(self._index, newest)
        captured = self._start + self._index / FPS
        frame: Frame = self._frames[self._order[self._index % len(self._order)]]
        self._index += 1
        timed: Frame = replace(frame, pts=round(captured / LIVE_TIME_BASE), time_base=LIVE_TIME_BASE)
        return timed

    def close(self) -> None:
        self._closed.set()


class BufferOutput:
    """Copies each frame as a virtual camera would."""

    name = "buffer"

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self._buffer = I420Buffer(picture.width, picture.height)
        self._closed = False

    def write(self, frame: Frame) -> None:
        if self._closed:
            raise SinkError("the buffer is closed")
        self._buffer.fill(frame)

    def watchers(self) -> int | None:
        return None

    def close(self) -> None:
        self._closed = True


class SlowFilter(VideoFilter):
    """Takes ``periods`` frames' time for each frame."""

    periods = 0.0

    def process(self, frame: Frame) -> FilteredFrame:
        end = time.monotonic() + self.periods / FPS
        result = super().process(frame)
        time.sleep(max(0.0, end - time.monotonic()))
        return result


@dataclass(frozen=True)
class Sample:
    """One second's look. Latencies in ms, ``cpu`` in seconds of the process, ``resident`` in MB."""

    seconds: float
    p50: float | None
    p99: float | None
    cpu: float
    resident: float
    threads: int
    descriptors: int
    state: State


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def look(supervisor: Supervisor, start: float) -> Sample:
    status = supervisor.status()
    return Sample(
        time.monotonic() - start,
        status.latency_p50,
        status.latency_p99,
        time.process_time(),
        resident_mb(),
        threading.active_count(),
        descriptors(),
        status.state,
    )


def soak(minutes: float, slow: float, engine: str) -> dict[str, object]:
    """Run and measure."""
    frames = portrait_frames()
    camera = PortraitCamera(frames)
    made_by: list[str] = []

    def make_filter() -> VideoFilter:
        made = build_filter(FilterSettings(engine=engine, settle_seconds=1.5))
        made_by.append(made.engine.name)
        if slow:
            made.__class__ = SlowFilter
            made.periods = slow  # type: ignore[attr-defined]
        return made

    before = (threading.active_count(), descriptors())
    parts = Parts(lambda name: camera, BufferOutput, make_filter, engine=lambda: made_by[-1])
    supervisor = Supervisor(parts, FixedRate(70.0))
    supervisor.start()
    start = time.monotonic()
    samples: list[Sample] = []

    def each() -> None:
        if time.monotonic() - start >= SETTLED + len(samples):
            samples.append(look(supervisor, start))

    supervisor.run(lambda: False, each, SETTLED + 60.0 * minutes)
    status = supervisor.status()
    stopping = time.monotonic()
    supervisor.stop()
    stopped = time.monotonic() - stopping
    first, last = samples[0], samples[-1]
    latency = [(one.seconds / 60, one.p50) for one in samples[10:] if one.p50 is not None]
    points = np.array(latency).reshape(-1, 2)
    slope = float(np.polyfit(points[:, 0], points[:, 1], 1)[0]) if len(points) > 5 else None
    quarter = samples[len(samples) // 4].resident
    return {
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}",
        "load": [round(load, 1) for load in os.getloadavg()],
        "picture": f"{WIDTH}x{HEIGHT} at {FPS:g} fps",
        "minutes": round((last.seconds - first.seconds) / 60, 2),
        "slow": slow,
        "engine": status.engine,
        "fps_in": round(status.fps_in, 2),
        "fps_out": round(status.fps_out, 2),
        "frames": status.frames,
        "dropped": dict(status.dropped),
        "missed_by_capture": camera.missed,
        "shielded": dict(status.shielded),
        "restarts": status.restarts,
        "latency_p50_ms": _median([one.p50 for one in samples]),
        "latency_p99_ms": _median([one.p99 for one in samples]),
        "latency_slope_ms_per_minute": None if slope is None else round(slope, 3),
        "cpu_share_of_one_core": round((last.cpu - first.cpu) / (last.seconds - first.seconds), 3),
        "resident_mb": round(last.resident, 1),
        "resident_mb_by_minute": [round(one.resident, 1) for one in samples[::60]],
        "resident_growth_percent": round(100 * (last.resident / quarter - 1), 2),
        "true_bpm": status.pulse.true,
        "shown_bpm": status.pulse.shown,
        "stop_seconds": round(stopped, 2),
        "threads_left": threading.active_count() - before[0],
        "descriptors_left": descriptors() - before[1],
        "most_threads": max(one.threads for one in samples),
    }


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.median(known)), 1) if known else None


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--slow", type=float, default=0.0, help="frames' time that the filter takes for each")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    try:
        figures = soak(options.minutes, options.slow, options.engine)
    except PhysioCamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(figures, indent=1))
    if options.out is not None:
        options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
