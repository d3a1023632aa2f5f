"""Frames of a video file, in the file's own planes and at the file's own times."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamfilter.capture.av_frames import Planes, describe_color, orientation_of, planes_of
from streamfilter.capture.media import clock_origin, declared_seconds, has_decoding_times_only, open_media
from streamfilter.capture.source import MIN_SIDE, SourceInfo
from streamfilter.errors import SourceError
from streamfilter.frame import Frame

_FALLBACK_FPS = Fraction(30)
_SHORTFALL = 0.02  # share of the declared frames or seconds that may be absent without a warning


class VideoFileSource:
    """Decodes the first real video stream of a file (cover pictures are passed over).

    Raises SourceError if the file is missing, cannot be read, holds no video or no frame, or if its
    pictures are smaller than 16 x 16. A damaged or truncated file gives what can be decoded, and ``notes``
    then says how much that was.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container: InputContainer = open_media(path)
        try:
            self._stream = self._pick_stream()
            self._damaged = 0
            self._packets = 0
            self._retimed = 0
            self._notes: list[str] = []
            self._decoded = self._decode()
            self._first = self._read_first()
            self._info = self._describe(self._first)
        except BaseException:
            self._container.close()
            raise

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    def frames(self) -> Iterator[Frame]:
        """Every frame that can be decoded. ``pts`` are the file's own; absent ones follow the rate."""
        time_base = self._info.time_base
        origin = round(clock_origin(self._container) / time_base)
        step = max(1, round(1 / (self._info.fps * time_base)))
        by_decoding = has_decoding_times_only(self._container)
        count, last = 0, None
        for picture in self._upright_size(self._all_pictures()):
            stamp = picture.dts if by_decoding else picture.pts
            pts = stamp - origin if stamp is not None else 0 if last is None else last + step
            if last is not None and pts <= last:
                self._retimed += 1
                pts = last + 1
            last = pts
            count += 1
            planes = [self._orientation.apply(plane) for plane in self._planes(picture)]
            yield Frame(planes[0], planes[1], planes[2], pts, time_base, self._info.color)
        self._note_damage(count, 0.0 if last is None else float((last + step) * time_base))

    def close(self) -> None:
        self._decoded.close()
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pick_stream(self) -> VideoStream:
        for stream in self._container.streams.video:
            if not stream.disposition & Disposition.attached_pic:
                if stream.codec_context is None:
                    raise SourceError(
                        f"{self._path}: no decoder for its video. "
                        "Convert it to H.264 first, or give another file."
                    )
                stream.thread_type = "AUTO"
                return stream
        raise SourceError(f"{self._path} holds no video stream. Give a file with video.")

    def _decode(self) -> Generator[VideoFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError):
                self._damaged += 1
                yield from self._flush()
                return
            self._packets += packet.size > 0
            self._damaged += bool(packet.is_corrupt)
            try:
                pictures = packet.decode()
            except av.FFmpegError:
                self._damaged += 1
                continue
            yield from pictures

    def _flush(self) -> list[VideoFrame]:
        try:
            return self._stream.decode(None)
        except (av.FFmpegError, EOFError):
            return []

    def _read_first(self) -> VideoFrame:
        picture = next(self._decoded, None)
        if picture is None:
            raise SourceError(
                f"{self._path} holds no picture that can be decoded (0 frames). "
                "The file is empty, damaged or cut off: give another one."
            )
        if picture.width < MIN_SIDE or picture.height < MIN_SIDE:
            raise SourceError(
                f"{self._path}: its pictures are {picture.width}x{picture.height} pixels; "
                f"at least {MIN_SIDE}x{MIN_SIDE} are needed. Give a larger video."
            )
        return picture

    def _describe(self, first: VideoFrame) -> SourceInfo:
        stream = self._stream
        color, tags, notes = describe_color(first)
        self._orientation, turn_note = orientation_of(first)
        self._notes += [*notes, *([] if turn_note is None else [turn_note])]
        fps = stream.average_rate or stream.guessed_rate
        if not fps:
            self._notes.append(f"the input states no frame rate: {_FALLBACK_FPS} frames a second are assumed")
            fps = _FALLBACK_FPS
        aspect = stream.sample_aspect_ratio or Fraction(1)
        width, height = first.width, first.height
        if self._orientation.transpose:
            width, height, aspect = height, width, 1 / aspect
        has_audio = bool(self._container.streams.audio)
        kind = f"{stream.codec_context.name} {first.format.name}"
        return SourceInfo(
            width=width,
            height=height,
            fps=Fraction(fps),
            frames=stream.frames or None,
            color=color,
            has_audio=has_audio,
            description=f"{self._path.name} ({kind}, {width}x{height}, {float(fps):.3g} fps)",
            time_base=stream.time_base or 1 / Fraction(fps),
            tags=tags,
            pixel_aspect=aspect,
            media=self._path if has_audio else None,
        )

    def _planes(self, picture: VideoFrame) -> Planes:
        try:
            return planes_of(picture, self._info.color)
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(
                f"{self._path}: its {picture.format.name} pictures cannot be converted to yuv420p ({error}). "
                "Convert the video to H.264 first."
            ) from error

    def _all_pictures(self) -> Iterator[VideoFrame]:
        yield self._first
        yield from self._decoded

    def _upright_size(self, pictures: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        # A stream may change its size on the way; the output cannot, so the first size holds.
        width, height = self._first.width, self._first.height
        scaled = 0
        for picture in pictures:
            if (picture.width, picture.height) != (width, height):
                scaled += 1
                pts, dts = picture.pts, picture.dts
                picture = picture.reformat(width=width, height=height)
                picture.pts, picture.dts = pts, dts
            yield picture
        if scaled:
            self._notes.append(f"{scaled} pictures of another size were scaled to {width}x{height}")

    def _note_damage(self, count: int, end: float) -> None:
        declared = self._stream.frames
        if self._retimed:
            self._notes.append(f"{self._retimed} frames had a time not after the one before: moved by a tick")
        if declared and self._packets < declared * (1 - _SHORTFALL):
            self._notes.append(
                f"the input is cut off or damaged: {count} of {declared} frames "
                "could be read and were filtered"
            )
            return
        seconds = declared_seconds(self._stream)
        if not declared and seconds is not None and end < seconds * (1 - _SHORTFALL) - 0.1:
            self._notes.append(
                f"the input is cut off or damaged: {count} frames ({end:.1f} of {seconds:.1f} s) "
                "could be read and were filtered"
            )
        elif self._damaged:
            self._notes.append(
                f"the input is damaged in {self._damaged} places: "
                f"{count} frames could be read and were filtered"
            )
