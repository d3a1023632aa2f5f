"""Sinks for frames behind one small protocol. The output's name picks the sink."""

from __future__ import annotations

from pathlib import Path

from streamfilter.capture.source import SourceInfo
from streamfilter.sinks.codec_settings import CodecSettings
from streamfilter.sinks.sink import Sink

NULL_OUTPUT = Path("null:")


def check_sink(path: Path, source: Path, codec: CodecSettings, overwrite: bool) -> None:
    """Raises what ``open_sink`` would raise for this output, before any work is done, and creates nothing.

    ``source`` is the input: an output that is the same file or folder raises UsageError.
    """
    from streamfilter.sinks.image_folder import check_folder
    from streamfilter.sinks.place import check_output

    if path == NULL_OUTPUT:
        return
    if _is_folder(path):
        check_folder(path, source, overwrite)
    else:
        codec.codec_for(path)
        check_output(path, source, overwrite)


def open_sink(path: Path, info: SourceInfo, codec: CodecSettings, overwrite: bool) -> Sink:
    """The sink for ``path``: ``null:`` keeps nothing, a name without ending is a folder of PNG pictures.

    Raises UsageError and SinkError as the sink's class says.
    """
    if path == NULL_OUTPUT:
        from streamfilter.sinks.null import NullSink

        return NullSink()
    if _is_folder(path):
        from streamfilter.sinks.image_folder import ImageFolderSink

        return ImageFolderSink(path, info, overwrite)
    from streamfilter.sinks.video_file import VideoFileSink

    return VideoFileSink(path, info, codec, overwrite)


def _is_folder(path: Path) -> bool:
    return path.suffix == "" or path.is_dir()
