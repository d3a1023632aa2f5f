"""Is there still skin where a face was? A test of chroma, on the face's own tone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streamfilter.median import median

Crop = npt.NDArray[np.float32]

BLACK = np.float32(0.02)  # added before logarithms: dark cells stay finite
_SPREAD = 0.16  # in log ratios: what light and shading do to one skin's chroma
_SHARE = 0.35  # of the crop's middle that must look like the face's skin


@dataclass(frozen=True, slots=True)
class Tone:
    """Log ratios R / G and B / G of a face's skin, which shading leaves alone; ``light``: its G, 0..1."""

    red: float
    blue: float
    light: float


def skin_tone(crop: Crop) -> Tone:
    """The tone of a face: the median over the middle of its crop (3, S, S), 0..1."""
    middle = _middle(crop)[:, ::2, ::2]
    red, blue = _ratios(middle)
    return Tone(median(red), median(blue), median(middle[1]))


def shows_skin(crop: Crop, tone: Tone) -> bool:
    """Whether the middle of a crop (3, S, S) still looks like skin of this tone."""
    red, blue = _ratios(_middle(crop))
    like = np.hypot(red - tone.red, blue - tone.blue) < _SPREAD
    return bool(like.mean() > _SHARE)


def _middle(crop: Crop) -> Crop:
    size = crop.shape[-1]
    return crop[:, size // 4 : -(size // 4), size // 4 : -(size // 4)]


def _ratios(crop: Crop) -> tuple[Crop, Crop]:
    logs = np.log(crop + BLACK)
    return logs[0] - logs[1], logs[2] - logs[1]
