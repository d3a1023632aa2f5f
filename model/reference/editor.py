"""The trained reference editor on a clip: R, G, B frames in, edited R, G, B frames out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from model.data.video import TIME_BASE, frame_of
from model.reference.checkpoint import load_trained
from model.reference.objective import steady_phase
from streamfilter.errors import UsageError
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import cell_means
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import ColorSpec

Frames = npt.NDArray[np.uint8]
Array32 = npt.NDArray[np.float32]
CROP = 72


class ReferenceEditor:
    """Edits clips with a checkpoint of `model.reference.train`, window by window, as the paper does.

    Windows do not overlap; the last ends with the clip. The wanted beat is even and runs on over windows
    (without ``network.phase`` it begins anew in each). Raises UsageError as `checkpoint.load_trained`.
    """

    def __init__(self, checkpoint: Path | str) -> None:
        trained = load_trained(Path(checkpoint))
        self.network, self.settings, self.table = trained.network, trained.settings, trained.table

    def edit(self, frames: Frames, bpm: float, fps: float) -> Frames:
        """``frames`` (T, H, W, 3) uint8 at ``fps`` a second, made to show ``bpm``: new frames, same shape.

        Frames of 72 × 72 are taken as the face's crop. In others the face is found and followed by the
        runtime's own tracker, and the edited crop, enlarged, replaces its box; a frame before the first face
        is left as it is. Raises UsageError for another shape, a rate outside the table, or no face at all.
        """
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or len(frames) < 1:
            raise UsageError(f"frames should be (T, H, W, 3) uint8, not {frames.shape} {frames.dtype}")
        if fps <= 0:
            raise UsageError(f"fps {fps} is not positive")
        if frames.shape[1:3] == (CROP, CROP):
            crops = frames.astype(np.float32) / np.float32(255.0)
            return _levels(self.edit_crops(crops, bpm, fps))
        boxes = list(_boxes(frames, fps))
        known = [index for index, box in enumerate(boxes) if box is not None]
        if not known:
            raise UsageError("no frame shows a face: give a clip with one, frontal and lit")
        # Before the first face its crop is repeated, for the network's sake; nothing is pasted there.
        first = boxes[known[0]]
        crops = np.stack([_cut(picture, box or first) for picture, box in zip(frames, boxes, strict=True)])
        edited = self.edit_crops(crops, bpm, fps)
        out = frames.copy()
        for index, box in enumerate(boxes):
            if box is not None:
                _paste(out[index], edited[index], box)
        return out

    @torch.no_grad()
    def edit_crops(self, crops: Array32, bpm: float, fps: float) -> Array32:
        """``crops`` (T, 72, 72, 3) R, G, B in 0..1 → the same, edited. A short clip's last frame repeats."""
        size = self.settings.window.frames
        device = next(self.network.parameters()).device
        text = self._text(bpm).to(device)
        missing = max(0, size - len(crops))
        given = np.concatenate([crops, np.repeat(crops[-1:], missing, axis=0)]) if missing else crops
        out = np.empty_like(given)
        done = 0
        for start in [*range(0, len(given) - size + 1, size), len(given) - size]:
            if start + size <= done:
                continue
            pictures = torch.from_numpy(
                np.ascontiguousarray(given[start : start + size].transpose(0, 3, 1, 2))
            )
            begin = start if self.settings.network.phase else 0
            seconds = (torch.arange(size, dtype=torch.float64) + begin) / fps
            phase = steady_phase(seconds, bpm).float()[None].to(device)
            found = self.network(pictures[None].to(device), text, phase)[0].clamp(0.0, 1.0)
            made = found.cpu().numpy().transpose(0, 2, 3, 1)
            out[max(start, done) : start + size] = made[max(0, done - start) :]
            done = start + size
        return np.asarray(out[: len(crops)], np.float32)

    def _text(self, bpm: float) -> torch.Tensor:
        grid = self.table.bpm
        if not grid[0] <= bpm <= grid[-1]:
            raise UsageError(f"a heart rate of {bpm:g} bpm is outside {grid[0]} to {grid[-1]}")
        row = int(np.abs(grid - bpm).argmin())
        return torch.from_numpy(self.table.embedding[row : row + 1])


def _boxes(frames: Frames, fps: float) -> Iterator[FaceBox | None]:
    """The longest known face's box in each frame, the last known one where it is lost for a while."""
    finder, last = FaceFinder(), None
    for index, rgb in enumerate(frames):
        pts = round(index / fps / TIME_BASE)
        found = finder.find(frame_of(rgb.astype(np.float32) / np.float32(255.0), pts, ColorSpec()))
        last = found[0].box if found else last
        yield last


def _cut(picture: Frames, box: FaceBox | None) -> Array32:
    """The box as exact cell means (72, 72, 3), 0..1."""
    assert box is not None
    x = box.left + box.size * np.arange(CROP + 1) / CROP
    y = box.top + box.size * np.arange(CROP + 1) / CROP
    planes = [cell_means(np.ascontiguousarray(picture[..., colour]), x, y) for colour in range(3)]
    return np.asarray(np.stack(planes, axis=-1) / 255.0, np.float32)


def _paste(picture: Frames, crop: Array32, box: FaceBox) -> None:
    """Replaces the pixels of the box by the enlarged crop, in place."""
    height, width = picture.shape[:2]
    rows = slice(max(0, round(box.top)), min(height, round(box.top + box.size)))
    columns = slice(max(0, round(box.left)), min(width, round(box.left + box.size)))
    x = (np.arange(columns.start, columns.stop) + 0.5 - box.left) / box.size * CROP - 0.5
    y = (np.arange(rows.start, rows.stop) + 0.5 - box.top) / box.size * CROP - 0.5
    grid_x, grid_y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    picture[rows, columns] = _levels(
        np.asarray(cv2.remap(crop, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    )


def _levels(pictures: Array32) -> Frames:
    """0..1 to the nearest of 256 levels."""
    return np.asarray(np.rint(np.clip(pictures, 0.0, 1.0) * np.float32(255.0)), np.uint8)
