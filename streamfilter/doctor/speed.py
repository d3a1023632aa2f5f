"""How fast this machine filters: a short trial of the whole filter on a drawn face."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from streamfilter.artifact import Artifact
from streamfilter.config import FilterSettings
from streamfilter.doctor.check import Check, fail, ok, warn
from streamfilter.doctor.portrait import DrawnScene
from streamfilter.engine.select import open_engine
from streamfilter.errors import EngineError
from streamfilter.face_filter import VideoFilter
from streamfilter.live.ports import Picture

SMALLER = Picture(640, 360, 30.0)
_WARM_UP = 8  # frames: memory is touched and the first search is made
_FEWEST = 10  # measured frames, however slow they are
_MARGIN = 1.25  # what else the machine does, the camera's decoding and the sink, wants its share


@dataclass(frozen=True, slots=True)
class Speed:
    """Frames a second that the filter reached, and would reach ``alone``, with the processor to itself.

    ``p50``, ``p99``: milliseconds a frame.
    """

    picture: Picture
    fps: float
    alone: float
    p50: float
    p99: float

    def __str__(self) -> str:
        size = f"{self.picture.width}x{self.picture.height}"
        return f"{self.fps:.0f} fps at {size} with one face, {self.p50:.1f} ms a frame (p99 {self.p99:.1f})"


def measure_speed(artifact: Artifact, settings: FilterSettings, picture: Picture, seconds: float) -> Speed:
    """Filters for about ``seconds``. Raises EngineError where the engine cannot run."""
    scene = DrawnScene(picture.width, picture.height, picture.fps)
    settings = replace(settings, settle_seconds=0.0)
    video = VideoFilter(settings, artifact, open_engine(artifact, settings.engine, settings.threads))
    taken: list[float] = []
    worked = 0.0  # processor's time
    try:
        begun = time.perf_counter()
        index = 0
        while len(taken) < _FEWEST or time.perf_counter() - begun < seconds:
            frame = scene.frame(index)
            start, start_worked = time.perf_counter(), time.process_time()
            result = video.process(frame)
            if index >= _WARM_UP:
                taken.append(1000 * (time.perf_counter() - start))
                worked += time.process_time() - start_worked
                if result.faces < 1:
                    raise EngineError("the filter did not find the face of the trial: choose a larger --size")
            index += 1
    finally:
        video.close()
    p50, p99 = np.percentile(taken, (50, 99))
    fps = float(1000 / np.mean(taken))
    return Speed(picture, fps, max(fps, len(taken) / worked), float(p50), float(p99))


def check_speed(picture: Picture, measure: Callable[[Picture], Speed]) -> Check:
    """Compares what ``measure`` finds for the picture with its rate; too slow, it tries a smaller picture."""
    speed = measure(picture)
    wanted = f"the camera's {picture.fps:g} fps"
    if speed.fps >= _MARGIN * picture.fps:
        return ok("speed", f"{speed}: enough for {wanted}")
    if speed.alone >= _MARGIN * picture.fps:
        return warn(
            "speed",
            f"{speed}: not enough for {wanted}, as other programs use the processor",
            f"stop those programs: with the processor to itself it would reach {speed.alone:.0f} fps",
        )
    near = speed.fps >= picture.fps
    said = f"{speed}: {'only just enough' if near else 'too slow'} for {wanted}"
    steps = ["close other programs, plug the charger in"]
    if picture.width * picture.height > SMALLER.width * SMALLER.height:
        smaller = measure(replace(SMALLER, fps=picture.fps))
        steps.append(f"use a smaller picture ({smaller.fps:.0f} fps were reached with it):")
        steps.append(f"  physio-cam --size {SMALLER.width}x{SMALLER.height}")
        if smaller.fps < picture.fps:
            steps.append(f"or fewer frames: --fps {_rate_below(smaller.fps)}")
    else:
        steps.append(f"use fewer frames: --fps {_rate_below(speed.fps)}")
    return (warn if near else fail)("speed", said, *steps)


def _rate_below(fps: float) -> int:
    """A common rate of cameras that leaves a margin."""
    return next((rate for rate in (60, 30, 25, 20, 15, 10) if rate * _MARGIN <= fps), 5)
