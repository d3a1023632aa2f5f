"""Sources of frames behind one small protocol."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from streamfilter.capture.source import Source
from streamfilter.errors import UsageError


def open_source(path: Path, folder_fps: Fraction | None = None) -> Source:
    """The source for ``path``: a folder of pictures, or a video file.

    ``folder_fps`` is for folders only (None: 30). Raises SourceError; UsageError if it is given for a file.
    """
    if path.is_dir():
        from streamfilter.capture.image_folder import DEFAULT_FPS, ImageFolderSource

        return ImageFolderSource(path, DEFAULT_FPS if folder_fps is None else folder_fps)
    if folder_fps is not None:
        raise UsageError("--fps is for folders of pictures; a video file has its own times. Leave it out.")
    from streamfilter.capture.video_file import VideoFileSource

    return VideoFileSource(path)
