"""One clip through the filter again, with what a person needs to see why it went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.evaluate.clip import EvalClip
from model.evaluate.editors import make_editor
from model.evaluate.metrics import leaks, readings, rgb_of
from model.evaluate.reading import block_sums, even, face_trace

Rgb = npt.NDArray[np.uint8]
Array64 = npt.NDArray[np.float64]

MOMENTS = (0.1, 0.5, 0.9)  # of the measured part
VIEW = 1.25  # a side of the pictures over the face's box


@dataclass(frozen=True)
class Shown:
    """``before``, ``after``: mean colour (N, 3) of the face on an even grid; ``faces``: pictures of both.

    ``moved`` (T,): the box's centre in box sides from where it started; ``bright`` (T,): the mean skin's
    green, 0..1; ``skin`` (T,): share of the box; at ``seconds`` (T,). ``figures``: as in the evaluation.
    """

    clip: EvalClip
    before: Array64
    after: Array64
    faces: tuple[tuple[Rgb, Rgb], ...]
    seconds: Array64
    moved: Array64
    bright: Array64
    skin: Array64
    shielded: int
    figures: dict[str, Any]


def show(clip: EvalClip, artifact: Path | None, engine: str = "auto") -> Shown:
    """Runs the filter over the clip. Raises ArtifactError, EngineError."""
    first, last = clip.read
    kept = {first + round(share * (last - 1 - first)) for share in MOMENTS}
    given, made, faces, shielded = [], [], [], 0
    editor = make_editor("artifact", clip, artifact, (), engine)
    try:
        for index, frame in enumerate(clip.frames()):
            edited, hidden = editor.edit(index, frame)
            if index < first:
                continue
            shielded += hidden
            given.append(block_sums(frame, clip, index))
            made.append(block_sums(edited, clip, index))
            if index in kept:
                faces.append((_face(rgb_of(frame), clip, index), _face(rgb_of(edited), clip, index)))
    finally:
        editor.close()
    span = slice(first, last)
    times = clip.times[span]
    trace, blocks = face_trace(np.stack(given)), np.stack(made)
    after = face_trace(blocks)
    centre = clip.boxes[span, :2]
    return Shown(
        clip=clip,
        before=even(trace, times, clip.fps),
        after=even(after, times, clip.fps),
        faces=tuple(faces),
        seconds=np.asarray(times - times[0]),
        moved=np.linalg.norm(centre - centre[0], axis=1) / clip.boxes[span, 2].mean(),
        bright=trace[:, 1],
        skin=clip.skin[span].mean(axis=(1, 2)) / 255.0,
        shielded=shielded,
        figures=readings(after, clip, span) | {"coherence": leaks(blocks, clip, span)},
    )


def _face(rgb: Rgb, clip: EvalClip, index: int) -> Rgb:
    height, width = rgb.shape[:2]
    cx, cy, size = clip.boxes[index]
    half = 0.5 * VIEW * size
    rows = slice(max(0, round(cy - half)), min(height, round(cy + half)))
    columns = slice(max(0, round(cx - half)), min(width, round(cx + half)))
    return rgb[rows, columns].copy()
