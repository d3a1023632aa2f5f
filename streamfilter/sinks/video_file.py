"""A video file that keeps the input's times, colours and sound, and the filter's pixels as its codec can."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import cast

import av
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamfilter.capture.source import SourceInfo
from streamfilter.errors import SinkError
from streamfilter.frame import Frame
from streamfilter.sinks.audio import AudioTracks
from streamfilter.sinks.av_pictures import picture_of
from streamfilter.sinks.codec_settings import CodecSettings
from streamfilter.sinks.place import check_output, move_into_place, temporary_beside, write_error

_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_MOVIE_TICKS = 1000  # a second, at least


class VideoFileSink:
    """Encodes into a hidden file beside ``path`` and renames it when it is whole.

    MP4 and MOV keep ``pts`` exactly; Matroska and WebM count in milliseconds and round to them. The input's
    metadata (place, date, device) is not copied: it identifies people. H.264 takes even sizes only, so
    that an odd picture is grown by one repeated column or row.

    Raises UsageError for an unknown ending or an output that is the input, SinkError if it cannot be written.
    """

    def __init__(
        self, path: Path, info: SourceInfo, settings: CodecSettings, overwrite: bool = False
    ) -> None:
        codec = settings.codec_for(path)
        check_output(path, info.media, overwrite)
        self._path = path
        self._overwrite = overwrite
        self._info = info
        self._notes: list[str] = []
        self._pad = (info.height % 2, info.width % 2) if codec == "libx264" else (0, 0)
        width, height = info.width + self._pad[1], info.height + self._pad[0]
        if any(self._pad):
            self._notes.append(
                f"H.264 needs even sizes: the {info.width}x{info.height} picture is grown to "
                f"{width}x{height} by repeating its edge; --lossless keeps the size"
            )
        self._temporary = temporary_beside(path)
        kind = _FORMATS[path.suffix.lower()]
        self._audio: AudioTracks | None = None
        self._last_seconds = 0.0
        try:
            self._container: OutputContainer = av.open(
                str(self._temporary), mode="w", format=kind, options=_muxer_options(kind, info)
            )
            self._stream: VideoStream = self._add_video(codec, settings, width, height)
            if info.media is not None:
                self._audio = AudioTracks(self._container, info.media)
        except (av.FFmpegError, OSError) as error:
            self.abort()
            raise write_error(path, error) from error
        except BaseException:
            self.abort()
            raise

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self._notes, *(() if self._audio is None else self._audio.notes))

    def write(self, frame: Frame) -> None:
        try:
            self._container.mux(self._stream.encode(self._picture(frame)))
            self._last_seconds = frame.seconds
            if self._audio is not None:
                self._audio.mux_until(frame.seconds)
        except (av.FFmpegError, OSError) as error:
            self.abort()
            raise write_error(self._path, error) from error

    def close(self) -> None:
        self._finish(None)

    def finish_early(self) -> None:
        self._finish(self._last_seconds)

    def abort(self) -> None:
        if self._audio is not None:
            self._audio.close()
        container = getattr(self, "_container", None)
        if container is not None:
            # A failed trailer does not matter: the file is removed in any case.
            with contextlib.suppress(av.FFmpegError, OSError):
                container.close()
        self._temporary.unlink(missing_ok=True)

    def _finish(self, sound_until: float | None) -> None:
        try:
            self._container.mux(self._stream.encode(None))
            if self._audio is not None:
                self._audio.mux_until(sound_until)
                self._audio.flush()
            self._container.close()
            move_into_place(self._temporary, self._path, self._overwrite)
        except (av.FFmpegError, OSError) as error:
            self.abort()
            raise write_error(self._path, error) from error
        except SinkError:
            self.abort()
            raise
        if self._audio is not None:
            self._audio.close()

    def _add_video(self, codec: str, settings: CodecSettings, width: int, height: int) -> VideoStream:
        info = self._info
        stream = cast(
            VideoStream, self._container.add_stream(codec, rate=info.fps, options=settings.options(codec))
        )
        context = stream.codec_context
        context.width, context.height = width, height
        context.pix_fmt = "yuv420p"
        context.time_base = info.time_base
        stream.time_base = info.time_base
        context.sample_aspect_ratio = info.pixel_aspect
        context.color_primaries = info.tags.primaries
        context.color_trc = info.tags.transfer
        context.colorspace = info.tags.matrix
        context.color_range = info.tags.video_range
        return stream

    def _picture(self, frame: Frame) -> VideoFrame:
        info = self._info
        if (frame.width, frame.height) != (info.width, info.height):
            raise SinkError(
                f"a frame of {frame.width}x{frame.height} pixels came where {info.width}x{info.height} "
                "were announced. Give frames of one size."
            )
        picture = picture_of(frame, *self._pad)
        picture.color_primaries = info.tags.primaries
        picture.color_trc = info.tags.transfer
        picture.colorspace = info.tags.matrix
        picture.color_range = info.tags.video_range
        return picture


def _muxer_options(kind: str, info: SourceInfo) -> dict[str, str]:
    # FFmpeg would move all times so that none is below zero, which sound's priming packets are.
    options = {"avoid_negative_ts": "disabled"}
    if kind in ("mp4", "mov"):
        # The start of a track is stored in ticks of the movie, by default milliseconds.
        ticks = info.time_base.denominator
        options["movie_timescale"] = str(ticks * max(1, -(-_MOVIE_TICKS // ticks)))
    return options
