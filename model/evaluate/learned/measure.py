"""One clip after each editor: what classical and learned estimators read, what leaks, what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.video import frame_of
from model.estimators.client import Reader
from model.evaluate.clip import EvalClip
from model.evaluate.editors import make_editor
from model.evaluate.metrics import Fidelity, hits, leaks, readings, rgb_of
from model.evaluate.reading import BLOCKS, block_sums, face_trace
from model.rivals.protocol import Frames, Rival
from streamfilter.errors import UsageError
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import CROP_SIZE, cell_means
from streamfilter.frame import Frame

Array32 = npt.NDArray[np.float32]

TARGETS = (90.0, 120.0, 65.0, 140.0)
APART_BPM = 20.0  # a target nearer to the true rate would not show whether an estimator is misled


@dataclass(frozen=True)
class Edited:
    """A clip after an editor: the planes that leave and the picture as 8-bit R, G, B, one a frame."""

    planes: list[Frame]
    rgb: Frames


@dataclass(frozen=True)
class Setup:
    """What is measured. ``rivals`` edit R, G, B; ``readers`` are the learned estimators."""

    rivals: Mapping[str, Rival]
    readers: Mapping[str, Reader]
    artifact: Path | None
    direction: tuple[float, float, float]
    engine: str = "auto"


def targets_of(true_bpm: float | None) -> tuple[float, float]:
    """90 bpm and one more, each far enough from the true rate."""
    far = [t for t in TARGETS if true_bpm is None or abs(t - true_bpm) >= APART_BPM]
    return far[0], far[1]


def measure_clip(clip: EvalClip, setup: Setup) -> dict[str, Any]:
    """The figures of one clip: ``editors`` at the first target, ``learned`` by reader, editor and target."""
    planes = list(clip.frames())
    rgb = np.stack([rgb_of(frame) for frame in planes])
    given = Edited(planes, rgb)
    first, second = targets_of(clip.true_bpm)
    clip = replace(clip, target=first)
    result: dict[str, Any] = {
        "name": clip.name,
        "source": clip.labels.source,
        "true": None if clip.true_bpm is None else round(clip.true_bpm, 2),
        "targets": [first, second],
        "editors": {},
        "learned": {name: {} for name in setup.readers},
    }
    for name, edited in _editors(clip, given, setup):
        result["editors"][name] = figures_of(name, edited, given, clip)
        _learned(result["learned"], name, edited.rgb, clip, setup)
    other = replace(clip, target=second)
    _learned(
        result["learned"], "streaming, second", streamed("artifact", other, given, setup).rgb, other, setup
    )
    return result


def _editors(clip: EvalClip, given: Edited, setup: Setup) -> Iterator[tuple[str, Edited]]:
    yield "none", given
    for name, own in (("band-stop", "band-stop"), ("streaming", "artifact")):
        yield name, streamed(own, clip, given, setup)
    for name, rival in setup.rivals.items():
        rgb = rival.edit(given.rgb, clip.times[: len(given.rgb)], clip.target)
        yield name, Edited([planes_of(k, f) for k, f in zip(rgb, given.planes, strict=True)], rgb)


def streamed(name: str, clip: EvalClip, given: Edited, setup: Setup) -> Edited:
    """The clip after one of the editors of `model.evaluate.editors`, which write Y, U, V planes."""
    editor = make_editor(name, clip, setup.artifact, setup.direction, setup.engine)
    try:
        planes = [editor.edit(index, frame)[0] for index, frame in enumerate(given.planes)]
    finally:
        editor.close()
    return Edited(planes, np.stack([rgb_of(frame) for frame in planes]))


def planes_of(rgb: Frames, like: Frame) -> Frame:
    """The picture as a call would take it, in the planes' even size: rounded, as a converter does."""
    picture = rgb.astype(np.float32) / np.float32(255.0)
    return frame_of(picture, like.pts, like.color, like.time_base)


def rgb_sums(rgb: Frames, box: FaceBox, skin: npt.NDArray[np.uint8]) -> Array32:
    """As `model.evaluate.reading.block_sums`, of a picture (H, W, 3) that is kept as 8-bit R, G, B."""
    x = box.left + box.size * np.arange(CROP_SIZE + 1) / CROP_SIZE
    y = box.top + box.size * np.arange(CROP_SIZE + 1) / CROP_SIZE
    cells = np.stack([cell_means(np.ascontiguousarray(rgb[..., c]), x, y) for c in range(3)]) / 255.0
    weights = skin.astype(np.float64) / 255.0
    stacked = np.concatenate([cells * weights, weights[None]])
    side = CROP_SIZE // BLOCKS
    return np.asarray(stacked.reshape(4, BLOCKS, side, BLOCKS, side).sum(axis=(2, 4)), np.float32)


def figures_of(name: str, edited: Edited, given: Edited, clip: EvalClip) -> dict[str, Any]:
    """What is read and what leaks, from ``planes`` and from ``rgb``, and the picture's fidelity."""
    span = slice(*clip.read)
    indices = range(*clip.read)
    in_planes = np.stack([block_sums(edited.planes[k], clip, k) for k in indices])
    in_rgb = np.stack([rgb_sums(edited.rgb[k], clip.box(k), clip.skin[k]) for k in indices])
    out: dict[str, Any] = {}
    for kind, blocks in (("planes", in_planes), ("rgb", in_rgb)):
        out[kind] = readings(face_trace(blocks), clip, span) | {"coherence": leaks(blocks, clip, span)}
    if name != "none":
        fidelity = Fidelity()
        for k in indices:
            fidelity.add(
                given.rgb[k][: edited.rgb.shape[1], : edited.rgb.shape[2]], edited.rgb[k], clip.box(k)
            )
            fidelity.add_planes(given.planes[k], edited.planes[k], clip.box(k))
        out |= fidelity.figures()
    elif clip.pulse is not None and clip.true_bpm is not None:
        chance = readings(face_trace(clip.pulse.free[span]), clip, span, full=False)
        out["chance_hits"] = hits(chance["notch"], clip.true_bpm)
    return out


def _learned(
    found: dict[str, dict[str, Any]], editor: str, rgb: Frames, clip: EvalClip, setup: Setup
) -> None:
    """Adds what each reader makes of the measured part of the clip."""
    part = rgb[slice(*clip.read)]
    for name, reader in setup.readers.items():
        found[name][editor] = attempt(lambda reader=reader: reader.read(part, clip.fps).bpm)  # type: ignore[misc]


def attempt(read: Callable[[], float]) -> float | None:
    """The rate; None where the estimator gives none or fails on this clip."""
    try:
        rate = read()
    except UsageError:
        return None
    return round(rate, 2) if np.isfinite(rate) else None
