"""The whole chain from a camera's buffer to a virtual camera's memory, with one engine's filter in it."""

from __future__ import annotations

import mmap
import time
from dataclasses import replace

import numpy as np

from streamfilter.artifact import Artifact
from streamfilter.bench.contest import Taken
from streamfilter.bench.footage import Footage, frame_of
from streamfilter.bench.probe import FILTER_STAGES, Probe, TimedEngine, TimedFinder
from streamfilter.capture.av_frames import Planes
from streamfilter.config import FilterSettings
from streamfilter.engine.select import open_engine
from streamfilter.face_filter import VideoFilter
from streamfilter.frame import Frame
from streamfilter.sinks.virtual_camera import I420Buffer

STAGES = ("capture", *FILTER_STAGES, "convert", "publish")


class Chain:
    """Capture: the buffer is decoded. Convert: the planes are packed as I420. Publish: that is copied to
    where another program could read it, as a virtual camera's driver does; no device is opened.

    Raises EngineError where the engine cannot run here.
    """

    kind = "engine"

    def __init__(self, artifact: Artifact, engine: str, settings: FilterSettings, footage: Footage) -> None:
        self.name = engine
        self._probe = Probe()
        settings = replace(settings, engine=engine, settle_seconds=0.0)
        opened = open_engine(artifact, engine, settings.threads)
        self.reason = opened.reason
        self._filter = VideoFilter(
            settings, artifact, TimedEngine(opened, self._probe), TimedFinder(self._probe)
        )
        self._footage, self._decoder = footage, footage.decoder()
        self._packed = I420Buffer(footage.size.width, footage.size.height)
        self._published = mmap.mmap(-1, self._packed.data.nbytes)
        self._shared = np.frombuffer(self._published, np.uint8)

    def take(self, index: int) -> Taken:
        """See :class:`streamfilter.bench.contest.Contestant`."""
        clock = self._probe.clock
        data = self._footage.buffer(index)
        start = clock()
        frame = frame_of(self._decoder.decode(data), index)
        worked = time.process_time()
        captured = clock()
        result = self._filter.process(frame)
        filtered = clock()
        worked = time.process_time() - worked
        self._packed.fill(result.frame)
        converted = clock()
        np.copyto(self._shared, self._packed.data)
        published = clock()
        stages = {
            "capture": 1000 * (captured - start),
            **self._probe.cut(captured, filtered),
            "convert": 1000 * (converted - filtered),
            "publish": 1000 * (published - converted),
        }
        return Taken(
            stages, 1000 * (filtered - captured), 1000 * (published - start), 1000 * worked, result.faces
        )

    def filter_only(self, frame: Frame, index: int) -> None:
        """The filter's part alone, on a frame's planes as those of frame ``index``; no times are kept."""
        self._filter.process(frame_of(Planes(frame.y, frame.u, frame.v), index))
        self._probe.cut(0.0, 0.0)

    def close(self) -> None:
        """Free the engine and the memory."""
        self._filter.close()
        del self._shared
        self._published.close()
