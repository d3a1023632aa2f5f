"""Where the face and its skin are in R, G, B frames: what a rival's own detector would tell it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from model.data.video import TIME_BASE, frame_of
from model.evaluate.real import SteadySkin
from model.rivals.protocol import Array32, Array64, Frames
from streamfilter.errors import UsageError
from streamfilter.face.box import FaceBox
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import ColorSpec


@dataclass(frozen=True)
class Face:
    """One frame's face: its box and soft skin ``skin`` (S, S) 0..1 over it."""

    box: FaceBox
    skin: Array32

    def pixels(self, height: int, width: int) -> tuple[tuple[slice, slice], Array32]:
        """The part of the picture that the box covers, and the skin's weight 0..1 of each pixel there."""
        left, top, size = self.box.left, self.box.top, self.box.size
        rows = slice(max(0, round(top)), min(height, round(top + size)))
        columns = slice(max(0, round(left)), min(width, round(left + size)))
        x = (np.arange(columns.start, columns.stop) + 0.5 - left) / size * self.skin.shape[1] - 0.5
        y = (np.arange(rows.start, rows.stop) + 0.5 - top) / size * self.skin.shape[0] - 0.5
        grid_x, grid_y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
        weight = cv2.remap(self.skin, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return (rows, columns), np.asarray(weight, np.float32)


def find_faces(frames: Frames, pts: Array64) -> list[Face | None]:
    """The longest known face of each frame, None where there is none; UsageError where none has one."""
    faces = list(_faces(frames, pts))
    if all(face is None for face in faces):
        raise UsageError("no frame shows a face: give a clip with one, frontal and lit")
    return faces


def _faces(frames: Frames, pts: Array64) -> Iterator[Face | None]:
    fps = (len(pts) - 1) / max(float(pts[-1] - pts[0]), 1e-9) if len(pts) > 1 else 30.0
    finder, steady = FaceFinder(), SteadySkin(fps)
    for rgb, seconds in zip(frames, pts, strict=True):
        picture = np.asarray(rgb, np.float32) / np.float32(255.0)
        frame = frame_of(picture, round(float(seconds) / TIME_BASE), ColorSpec())
        found = finder.find(frame)
        yield Face(found[0].box, steady.next(frame, found[0].box)) if found else None


def cell_numbers(cells: int, shape: tuple[int, int]) -> npt.NDArray[np.intp]:
    """(H, W) the number 0..cells² - 1 of the square cell that each pixel of a region belongs to."""
    rows, columns = (np.arange(length) * cells // length for length in shape)
    return np.asarray(rows[:, None] * cells + columns[None, :], np.intp)
