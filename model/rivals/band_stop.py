"""The band-stop baseline of the evaluation (`model.evaluate.editors.BandStop`) as a rival."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.data.video import TIME_BASE, frame_of
from model.evaluate.clip import EvalClip, Labels
from model.evaluate.editors import BandStop
from model.evaluate.metrics import rgb_of
from model.rivals.faces import find_faces
from model.rivals.protocol import WANTED, Array64, Frames
from streamfilter.face.crop import CROP_SIZE
from streamfilter.frame import ColorSpec


@dataclass(frozen=True)
class BandStopRival:
    """Edits in Y, U, V planes, as the baseline does, and returns the picture as R, G, B of even size."""

    direction: tuple[float, float, float] = WANTED

    def edit(self, frames: Frames, pts: Array64, bpm: float) -> Frames:
        """As `protocol.Rival.edit`."""
        faces = find_faces(frames, pts)
        boxes = np.ones((len(frames), 3))
        skin = np.zeros((len(frames), CROP_SIZE, CROP_SIZE), np.uint8)
        for index, face in enumerate(faces):
            if face is not None:
                boxes[index] = face.box.cx, face.box.cy, face.box.size
                skin[index] = np.rint(np.clip(face.skin, 0, 1) * 255)
        height, width = frames.shape[1:3]
        clip = EvalClip(
            name="rival",
            labels=Labels("real"),
            path=Path(),
            seed=0,
            size=(width, height),
            times=pts,
            boxes=boxes,
            skin=skin,
            read=(0, len(frames)),
            target=bpm,
            true_bpm=None,
            pulse=None,
            codecs=False,
        )
        editor = BandStop(clip, self.direction)
        out = frames.copy()
        for index, rgb in enumerate(frames):
            if faces[index] is None:
                continue
            picture = rgb.astype(np.float32) / np.float32(255.0)
            frame = frame_of(picture, round(float(pts[index]) / TIME_BASE), ColorSpec())
            edited = rgb_of(editor.edit(index, frame)[0])
            out[index, : edited.shape[0], : edited.shape[1]] = edited
        return out
