"""A folder of PNG pictures, one a frame."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2

from streamfilter.capture.source import SourceInfo
from streamfilter.errors import SinkError, UsageError
from streamfilter.frame import Frame
from streamfilter.sinks.av_pictures import bgr_of
from streamfilter.sinks.place import check_parent, temporary_beside, write_error

_NAME = "frame_{:06d}.png"
_OURS = re.compile(r"frame_\d{6,}\.png")


def check_folder(folder: Path, source: Path | None, overwrite: bool) -> None:
    """Refuses a folder that holds anything, unless ``overwrite`` is on and all of it is pictures of a run.

    Raises UsageError if it is the input itself, SinkError otherwise.
    """
    check_parent(folder)
    if not folder.exists():
        return
    if source is not None and source.exists() and folder.samefile(source):
        raise UsageError(f"the output {folder} is the input itself. Choose another output.")
    if not folder.is_dir():
        raise SinkError(f"{folder} exists and is no folder. Choose another output, or give it an ending.")
    held = [entry.name for entry in folder.iterdir()]
    if held and not overwrite:
        raise SinkError(f"{folder} holds files already. Choose another output, or give --overwrite.")
    foreign = next((name for name in held if _OURS.fullmatch(name) is None), None)
    if foreign is not None:
        raise SinkError(f"{folder} holds {foreign}, which no run wrote: it is not replaced. Choose another.")


class ImageFolderSink:
    """Writes ``frame_000000.png`` and on into a hidden folder beside ``folder``, and renames that at the end.

    Times and sound have no place in pictures: ``notes`` says so. Raises as ``check_folder`` does.
    """

    def __init__(self, folder: Path, info: SourceInfo, overwrite: bool = False) -> None:
        check_folder(folder, None, overwrite)
        self._folder = folder
        self._overwrite = overwrite
        self._has_audio = info.has_audio
        self._count = 0
        self._temporary = temporary_beside(folder)
        try:
            self._temporary.mkdir()
        except OSError as error:
            raise write_error(folder, error) from error

    @property
    def notes(self) -> tuple[str, ...]:
        return ("pictures hold no sound: it was left out",) if self._has_audio else ()

    def write(self, frame: Frame) -> None:
        encoded, data = cv2.imencode(".png", bgr_of(frame))
        if not encoded:
            raise SinkError(
                f"a picture for {self._folder} could not be encoded. Choose a video file as output."
            )
        try:
            (self._temporary / _NAME.format(self._count)).write_bytes(data.tobytes())
        except OSError as error:
            self.abort()
            raise write_error(self._folder, error) from error
        self._count += 1

    def close(self) -> None:
        try:
            check_folder(self._folder, None, self._overwrite)
            if self._folder.exists():
                shutil.rmtree(self._folder)  # checked: empty, or pictures of an earlier run
            self._temporary.rename(self._folder)
        except OSError as error:
            self.abort()
            raise write_error(self._folder, error) from error
        except SinkError:
            self.abort()
            raise

    def finish_early(self) -> None:
        self.close()

    def abort(self) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)
