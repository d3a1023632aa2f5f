"""Opening a media file through PyAV with errors that say what to do, and its clock."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.format import Flags as FormatFlags
from av.stream import Stream

from streamfilter.errors import SourceError

_TEXT_FORMAT = "tty"  # FFmpeg shows any .txt as ANSI art


def open_media(path: Path) -> InputContainer:
    """The file at ``path``, opened for reading. Only local files are followed, also out of a playlist.

    Raises SourceError if it is missing, no file, not readable, or of no format that FFmpeg knows.
    """
    if not path.exists():
        raise SourceError(f"{path} does not exist. Check the path given with --input.")
    if not path.is_file():
        raise SourceError(f"{path} is not a file. Give a video file, or a folder of pictures.")
    try:
        container = av.open(str(path), mode="r", options={"protocol_whitelist": "file,crypto,data"})
    except PermissionError as error:
        raise SourceError(f"{path} may not be read. Change its permissions.") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SourceError(
            f"{path} cannot be opened as video ({_reason(error)}). It is no video file, or it is damaged "
            "or cut off where its index stood: give another file, or repair this one."
        ) from error
    if container.format.name == _TEXT_FORMAT:
        container.close()
        raise SourceError(f"{path} is text, not video. Give a video file, or a folder of pictures.")
    return container


def has_decoding_times_only(container: InputContainer) -> bool:
    """Whether the format (AVI) counts pictures in order of decoding, so that their ``pts`` are made up.

    With B-frames those jump back and forth; the ``dts`` of the pictures, in order of display, rise evenly.
    """
    return "avi" in container.format.name.split(",")


def clock_origin(container: InputContainer) -> Fraction:
    """Seconds to take from every time in the file so that playing starts near zero.

    Broadcast formats (MPEG-TS, MPEG-PS) count from an arbitrary moment; all others mean what they say.
    """
    if not FormatFlags(container.format.flags) & FormatFlags.ts_discont:
        return Fraction(0)
    starts = [
        stream.start_time * stream.time_base
        for stream in container.streams
        if stream.type in ("video", "audio")
        and stream.start_time is not None
        and stream.time_base is not None
    ]
    return min(starts, default=Fraction(0))


def declared_seconds(stream: Stream) -> float | None:
    """Length of the stream as the file declares it, in seconds; None where it says nothing."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    tag = stream.metadata.get("DURATION")  # Matroska: "hh:mm:ss.fraction"
    if tag is None:
        return None
    try:
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
