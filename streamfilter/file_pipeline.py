"""From a source through the filter into a sink, one frame at a time, failing closed."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from streamfilter.capture import open_source
from streamfilter.capture.source import Source
from streamfilter.errors import EngineError
from streamfilter.frame import Frame
from streamfilter.frame_filter import (
    FILTER_FAILED,
    AtOnce,
    DelayedFilter,
    FilteredFrame,
    FrameFilter,
    check_result,
)
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
    """Calls the filter; whatever goes wrong there, a card leaves and never the camera's frame.

    Every frame that goes in comes out once, edited or as a card, in order.
    """

    def __init__(self, frame_filter: DelayedFilter) -> None:
        self._filter = frame_filter
        # One fault costs all frames that the filter holds: two in a row, and it will not recover.
        self._limit = MAX_CONSECUTIVE_FAILURES + frame_filter.delay
        self._held: deque[Frame] = deque()
        self._consecutive = 0
        self.failure: str | None = None
        self.most_faces = 0
        self.frames_with_faces = 0
        self.reasons: Counter[str] = Counter()

    def __call__(self, frame: Frame) -> Iterator[Frame]:
        """What may leave once ``frame`` has come."""
        self._held.append(frame)
        return self._safe(lambda: self._filter.push(frame))

    def finish(self) -> Iterator[Frame]:
        """What is left when no further frame comes."""
        yield from self._safe(self._filter.finish)
        yield from self._lost(ValueError("the filter kept frames for itself"))

    def _safe(self, ask: Callable[[], Sequence[FilteredFrame]]) -> Iterator[Frame]:
        try:
            results = ask()
        except Exception as error:  # noqa: BLE001  # any fault at all must end in cards, not in raw frames
            yield from self._lost(error)
            return
        for result in results:
            yield self._checked(result, self._held.popleft())

    def _checked(self, result: FilteredFrame, frame: Frame) -> Frame:
        try:
            check_result(result, frame)
        except Exception as error:  # noqa: BLE001  # as above
            return self._failed(frame, error)
        self._consecutive = 0
        self.most_faces = max(self.most_faces, result.faces)
        self.frames_with_faces += result.faces > 0
        if result.shielded is not None:
            self.reasons[result.shielded] += 1
        return result.frame

    def _lost(self, error: Exception) -> Iterator[Frame]:
        while self._held:
            yield self._failed(self._held.popleft(), error)

    def _failed(self, frame: Frame, error: Exception) -> Frame:
        self._consecutive += 1
        self.reasons[FILTER_FAILED] += 1
        said = f"{type(error).__name__}: {error}"
        self.failure = self.failure or said
        if self._consecutive >= self._limit:
            raise EngineError(
                f"the filter failed on {self._consecutive} frames in a row ({said}). No output was written. "
                "Try another --engine, or check the artifact."
            ) from error
        return shield_frame(frame, FILTER_FAILED)


def filter_file(
    settings: FileSettings,
    make_filter: Callable[[], FrameFilter | DelayedFilter],
    progress: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> RunReport:
    """Filters ``settings.input`` into ``settings.output``.

    ``make_filter`` is called once, after the input has been opened. ``progress`` is called after each frame.
    When ``stop`` turns true, the output ends with the last frame written and is whole; frames that the filter
    still holds do not leave.

    An exception of the filter costs the frames that it holds, which are shown as cards; 30 in a row, of a
    filter with a delay as many more, raise EngineError.
    Raises UsageError, SourceError, SinkError, ArtifactError and EngineError; after each of them, and after
    any other exception, nothing is left at the output, and what was there before is untouched.
    """
    check_sink(settings.output, settings.input, settings.codec, settings.overwrite)
    with open_source(settings.input, settings.folder_fps) as source:
        made = make_filter()
        frame_filter = made if isinstance(made, DelayedFilter) else AtOnce(made)
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
    frame_filter: DelayedFilter,
    sink: Sink,
    progress: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> RunReport:
    start = time.monotonic()
    guarded = _FailClosed(frame_filter)
    changes = list(settings.schedule)
    first_seconds: float | None = None
    count, stopped = 0, False

    def write(frames: Iterator[Frame]) -> None:
        nonlocal count
        for frame in frames:
            sink.write(frame)
            count += 1
            shielded = guarded.reasons.total()
            progress(Progress(count, source.info.frames, time.monotonic() - start, shielded))

    for frame in source.frames():
        if stop():
            stopped = True
            break
        if first_seconds is None:
            first_seconds = frame.seconds
        while changes and frame.seconds - first_seconds >= changes[0].seconds:
            frame_filter.set_target(changes.pop(0).bpm)
        write(guarded(frame))
    if not stopped:
        write(guarded.finish())
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
        notes=(*source.notes, *frame_filter.notes, *sink.notes),
        stopped_early=stopped,
    )
