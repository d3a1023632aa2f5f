"""The engines behind a process's filters: one for all where it takes many streams, else one for each."""

from __future__ import annotations

from threading import Lock

from streamfilter.artifact import Artifact
from streamfilter.config import FilterSettings
from streamfilter.contract import STEP_GRAPH
from streamfilter.engine import Engine, open_engine
from streamfilter.engine.shared import SharedEngine, open_shared
from streamfilter.face_filter import VideoFilter, build_filter

SLOTS = 16  # streams for each processor that filters: more than it does in real time


class Engines:
    """Thread-safe. Whoever needs one first opens it; an artifact that has been exchanged gets another."""

    def __init__(self, processors: int) -> None:
        self._slots = SLOTS * processors
        self._lock = Lock()
        self._shared: dict[tuple[str, int, str], SharedEngine | None] = {}

    def build_filter(self, settings: FilterSettings) -> VideoFilter:
        """As :func:`streamfilter.face_filter.build_filter`. Each has a face detector of its own: one for all
        takes 7 % more of the processor, and pictures are lost where two look at once."""
        return build_filter(settings, self.open)

    def open(self, artifact: Artifact, name: str, threads: int) -> Engine:
        """As :func:`streamfilter.engine.select.open_engine`, for one filter."""
        key = (name, threads, artifact.manifest.files[STEP_GRAPH])
        with self._lock:
            if key not in self._shared:
                self._shared[key] = open_shared(artifact, name, threads, self._slots)
            shared = self._shared[key]
        return open_engine(artifact, name, threads) if shared is None else shared.engine()

    def counts(self) -> tuple[int, int]:
        """Steps so far, and the calls of shared engines in which they went."""
        with self._lock:
            shared = [one for one in self._shared.values() if one is not None]
        return sum(one.steps for one in shared), sum(one.calls for one in shared)

    def close(self) -> None:
        """Free the graphs, once no filter steps any more. Twice is once."""
        with self._lock:
            shared, self._shared = self._shared, {}
        for one in shared.values():
            if one is not None:
                one.close()
