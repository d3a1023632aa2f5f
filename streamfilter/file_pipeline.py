"""From a source through the filter into a sink, one frame at a time, failing closed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from streamfilter.capture import open_source
from streamfilter.capture.source import Source
from streamfilter.errors import EngineError
from streamfilter.frame import Frame
from streamfilter.frame_filter import FILTER_FAILED, FrameFilter, check_result
from streamfilter.shield import shield_frame
from streamfilter.sinks import check_sink, open_sink
from streamfilter.sinks.codec_settings import CodecSettings
from streamfilter.sinks.sink import Sink

MAX_CONSECUTIVE_FAILURES = 30  # one second at 30 fps: a filter that fails for longer will not recover


@dataclass(frozen=True, slots=True)
class TargetChange:
    """From ``seconds`` after the first frame on, ``bpm`` beats a minute are shown."""

    seconds: float
    bpm: float


@dataclass(frozen=True, slots=True)
class FileSettings:
    """One run: what is read, what is written, and when the shown heart rate changes (rising times)."""

    input: Path
    output: Path
    schedule: tuple[TargetChange, ...] = ()
    codec: CodecSettings = field(default_factory=CodecSettings)
    overwrite: bool = False
    folder_fps: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands: frames done, frames in all (None: unknown), seconds since its start."""

    done: int
    total: int | None
    elapsed: float
    shielded: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did.

    ``faces`` is the most seen in one frame; ``reasons`` counts shielded frames by cause; ``failure`` is the
    first error that the filter raised, None if there was none; ``elapsed`` in seconds.
    """

    source: str
    output: Path
    frames: int
    elapsed: float
    faces: int
    frames_with_faces: int
    shielded: int
    reasons: tuple[tuple[str, int], ...]
    failure: str | None
    notes: tuple[str, ...]
    stopped_early: bool

    @property
    def fps(self) -> float:
        """Frames a second of the whole run, decoding and encoding included."""
        return self.frames / self.elapsed if self.elapsed > 0 else 0.0


class _FailClosed:
    """Calls the filter; whatever goes wrong there, a card leaves and never the camera's frame."""

    def __init__(self, frame_filter: FrameFilter) -> None:
        self._filter = frame_filter
        self._consecutive = 0
        self.failure: str | None = None
        self.most_faces = 0
        self.frames_with_faces = 0
        self.reasons: Counter[str] = Counter()

    def __call__(self, frame: Frame) -> Frame:
        try:
            result = self._filter.process(frame)
            check_result(result, frame)
        except Exception as error:  # noqa: BLE001  # any fault at all must end in a card, not in a raw frame
            return self._failed(frame, error)
        self._consecutive = 0
        self.most_faces = max(self.most_faces, result.faces)
        self.frames_with_faces += result.faces > 0
        if result.shielded is not None:
            self.reasons[result.shielded] += 1
        return result.frame

    def _failed(self, frame: Frame, error: Exception) -> Frame:
        self._consecutive += 1
        self.reasons[FILTER_FAILED] += 1
        said = f"{type(error).__name__}: {error}"
        self.failure = self.failure or said
        if self._consecutive >= MAX_CONSECUTIVE_FAILURES:
            raise EngineError(
                f"the filter failed on {self._consecutive} frames in a row ({said}). No output was written. "
                "Try another --engine, or check the artifact."
            ) from error
        return shield_frame(frame, FILTER_FAILED)


def filter_file(
    settings: FileSettings,
    make_filter: Callable[[], FrameFilter],
    progress: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> RunReport:
    """Filters ``settings.input`` into ``settings.output``.

    ``make_filter`` is called once, after the input has been opened. ``progress`` is called after each frame.
    When ``stop`` turns true, the output ends with the last frame written and is whole.

    An exception of the filter costs its frame, which is shown as a card; 30 in a row raise EngineError.
    Raises UsageError, SourceError, SinkError, ArtifactError and EngineError; after each of them, and after
    any other exception, nothing is left at the output, and what was there before is untouched.
    """
    check_sink(settings.output, settings.input, settings.codec, settings.overwrite)
    with open_source(settings.input, settings.folder_fps) as source:
        frame_filter = make_filter()
        try:
            sink = open_sink(settings.output, source.info, settings.codec, settings.overwrite)
            try:
                return _run(settings, source, frame_filter, sink, progress, stop)
            except BaseException:
                sink.abort()
                raise
        finally:
            frame_filter.close()


def _run(
    settings: FileSettings,
    source: Source,
    frame_filter: FrameFilter,
    sink: Sink,
    progress: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> RunReport:
    start = time.monotonic()
    guarded = _FailClosed(frame_filter)
    changes = list(settings.schedule)
    first_seconds: float | None = None
    count, stopped = 0, False
    for frame in source.frames():
        if stop():
            stopped = True
            break
        if first_seconds is None:
            first_seconds = frame.seconds
        while changes and frame.seconds - first_seconds >= changes[0].seconds:
            frame_filter.set_target(changes.pop(0).bpm)
        sink.write(guarded(frame))
        count += 1
        shielded = guarded.reasons.total()
        progress(Progress(count, source.info.frames, time.monotonic() - start, shielded))
    if not stopped:
        sink.close()
    elif count:
        sink.finish_early()
    else:
        sink.abort()
    return RunReport(
        source=source.info.description,
        output=settings.output,
        frames=count,
        elapsed=time.monotonic() - start,
        faces=guarded.most_faces,
        frames_with_faces=guarded.frames_with_faces,
        shielded=guarded.reasons.total(),
        reasons=tuple(guarded.reasons.most_common()),
        failure=guarded.failure,
        notes=(*source.notes, *sink.notes),
        stopped_early=stopped,
    )
