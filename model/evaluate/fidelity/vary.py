"""The streaming editor with its parts switched off one by one: what each costs of the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from model.evaluate.aggregate import SEVEN
from model.evaluate.clip import EvalClip
from model.evaluate.learned.measure import Edited, Setup, figures_of, streamed, targets_of
from model.evaluate.metrics import rgb_of
from model.evaluate.reading import even
from streamfilter.artifact import Artifact
from streamfilter.config import FilterSettings
from streamfilter.engine import open_engine
from streamfilter.face_filter import VideoFilter
from streamfilter.rppg.filters import PULSE_HIGH_HZ, PULSE_LOW_HZ

Floats = npt.NDArray[np.float64]
Figures = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """Shares of the shown pulse and of the artifact's masking noise; the removal is always whole."""

    strength: float
    masking: float


VARIANTS: Mapping[str, Variant] = {
    "removal alone": Variant(0.0, 0.0),
    "and the shown pulse": Variant(1.0, 0.0),
    "and masking: what ships": Variant(1.0, 1.0),
    "half the masking": Variant(1.0, 0.5),
    "half the shown pulse": Variant(0.5, 1.0),
    "half of both": Variant(0.5, 0.5),
}
OTHERS = ("band-stop", "oracle")


def measure(clip: EvalClip, artifact: Artifact) -> dict[str, Figures]:
    """Figures by editor. A clip whose true pulse is not known has no oracle and no coherence."""
    planes = list(clip.frames())
    given = Edited(planes, np.stack([rgb_of(frame) for frame in planes]))
    clip = replace(clip, target=targets_of(clip.true_bpm)[0])
    setup = Setup({}, {}, artifact.path, artifact.manifest.pulse_direction)
    out: dict[str, Figures] = {}
    for name in OTHERS:
        if name != "oracle" or clip.pulse is not None:
            out[name] = _figures(name, streamed(name, clip, given, setup), given, clip)
    for name, variant in VARIANTS.items():
        out[name] = _figures(name, _varied(clip, given, artifact, variant), given, clip)
    return out


def _varied(clip: EvalClip, given: Edited, artifact: Artifact, variant: Variant) -> Edited:
    settings = FilterSettings(
        target_bpm=clip.target, seed=clip.seed, strength=variant.strength, masking=variant.masking
    )
    made = VideoFilter(settings, artifact, open_engine(artifact, settings.engine, settings.threads))
    try:
        planes = [made.process(frame).frame for frame in given.planes]
    finally:
        made.close()
    return Edited(planes, np.stack([rgb_of(frame) for frame in planes]))


def _figures(name: str, edited: Edited, given: Edited, clip: EvalClip) -> Figures:
    found = figures_of(name, edited, given, clip)
    read = found["planes"]
    errors = [read["error"][one] for one in SEVEN if read["error"].get(one) is not None]
    return {
        "psnr": found["psnr"],
        "psnr_planes": found["psnr_planes"],
        "error": float(np.mean(errors)) if errors else None,
        "face": read["coherence"].get("face_mean"),
        "patches": read["coherence"].get("patch_mean"),
        "hits": read.get("hits"),
        "shares": shares(luma_edit(edited, given, clip), clip.fps),
    }


def luma_edit(edited: Edited, given: Edited, clip: EvalClip) -> Floats:
    """(T,) mean change of Y over the face's box in each frame that is read, levels, on an even grid."""
    span = range(*clip.read)
    moved = []
    for index in span:
        box = clip.box(index)
        top, left = max(0, round(box.top)), max(0, round(box.left))
        region = slice(top, top + round(box.size)), slice(left, left + round(box.size))
        before, after = given.planes[index].y[region], edited.planes[index].y[region]
        moved.append(float(after.mean(dtype=np.float64) - before.mean(dtype=np.float64)))
    return np.asarray(even(np.array(moved), clip.times[slice(*clip.read)], clip.fps))


def shares(edit: Floats, fps: float) -> dict[str, float]:
    """Shares of the edit's power ``below`` the band where a pulse is looked for, ``in`` it and ``above``."""
    power = np.abs(np.fft.rfft(edit - edit.mean())) ** 2
    hertz = np.fft.rfftfreq(edit.size, 1.0 / fps)
    low, high = hertz < PULSE_LOW_HZ, hertz > PULSE_HIGH_HZ
    whole = max(float(power.sum()), 1e-12)
    return {
        "below": float(power[low].sum() / whole),
        "in": float(power[~low & ~high].sum() / whole),
        "above": float(power[high].sum() / whole),
    }


def names_of(results: Sequence[Mapping[str, Figures]]) -> list[str]:
    """The editors in the order of the page, those that were measured at all."""
    return [name for name in (*OTHERS, *VARIANTS) if any(name in one for one in results)]
