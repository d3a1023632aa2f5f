"""A still face as footage: picture, masks, and the face's box that defines face coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from model.data.skin import Image, features, head_mask, skin_mask, tone
from streamfilter.errors import SourceError

_STILL_BOX = (0.5, 0.525, 0.80)  # aligned portraits: centre x, y and side, as shares of the picture
_BUILTIN_BOX = (224.0, 122.0, 190.0)
_BACKGROUND = 96  # side of the background's picture: it may be soft


@dataclass(frozen=True)
class Layers:
    """A portrait at one resolution.

    ``rgb`` (H, W, 3) float32 0..1, ``head`` and ``skin`` (H, W) float32 0..1, ``centre`` (x, y) and
    ``half``: the face box's centre and half side in pixels. ``backdrop`` (h, w, 3) is the room behind the
    head, at its own resolution: ``backdrop_scale`` of its pixels make one of ``rgb``'s.
    ``places``: face coordinates (x, y) of the left eye, the right eye and the mouth.
    """

    rgb: Image
    head: Image
    skin: Image
    centre: tuple[float, float]
    half: float
    backdrop: Image
    backdrop_scale: float
    places: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Portrait:
    """One identity's still: full-resolution layers, skin tone (ITA, degrees) and its name."""

    identity: str
    ita: float
    layers: Layers

    def at(self, box_pixels: int) -> Layers:
        """The layers reduced (never enlarged) so that the face's box is about ``box_pixels`` wide."""
        full = self.layers
        scale = min(1.0, box_pixels / (2.0 * full.half))
        if scale > 0.95:
            return full

        def reduce(image: Image) -> Image:
            return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)

        height, width = full.skin.shape
        size = (round(width * scale), round(height * scale))
        sx, sy = size[0] / width, size[1] / height
        return Layers(
            rgb=reduce(full.rgb),
            head=reduce(full.head),
            skin=reduce(full.skin),
            centre=(full.centre[0] * sx, full.centre[1] * sy),
            half=full.half * (sx + sy) / 2.0,
            backdrop=full.backdrop,
            backdrop_scale=full.backdrop_scale / sx,
            places=full.places,
        )


def face_coordinates(shape: tuple[int, int], centre: tuple[float, float], half: float) -> tuple[Image, Image]:
    """Face coordinates (u, v), each (H, W), of the centres of the pixels of a picture."""
    x = (np.arange(shape[1], dtype=np.float32) + 0.5 - centre[0]) / half
    y = (np.arange(shape[0], dtype=np.float32) + 0.5 - centre[1]) / half
    u, v = np.meshgrid(x, y)
    return np.asarray(u, np.float32), np.asarray(v, np.float32)


def _backdrop(rgb: Image, head: Image) -> tuple[Image, float]:
    """The room behind the head, filled in by spreading what is seen of it (normalised convolution)."""
    scale = _BACKGROUND / rgb.shape[0]
    size = (round(rgb.shape[1] * scale), _BACKGROUND)
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    seen = np.clip(1.0 - 1.5 * cv2.resize(head, size, interpolation=cv2.INTER_AREA), 0.0, 1.0)
    seen = cv2.erode(seen, np.ones((3, 3), np.uint8))
    filled = small * seen[..., None]
    weight = seen.copy()
    for sigma in (2.0, 6.0, 18.0):
        blurred = cv2.GaussianBlur(small * seen[..., None], (0, 0), sigma)
        blurred_weight = cv2.GaussianBlur(seen, (0, 0), sigma)
        room = (1.0 - np.clip(weight, 0.0, 1.0)) * np.clip(blurred_weight * 4.0, 0.0, 1.0)
        filled += blurred / np.maximum(blurred_weight, 1e-6)[..., None] * room[..., None]
        weight += room
    mean = (small * seen[..., None]).sum(axis=(0, 1)) / max(float(seen.sum()), 1e-6)
    filled += mean * (1.0 - np.clip(weight, 0.0, 1.0))[..., None]
    return np.asarray(filled, np.float32), scale


def make_portrait(identity: str, picture: npt.NDArray[np.uint8], box: tuple[float, float, float]) -> Portrait:
    """A portrait from an RGB picture (H, W, 3) and the face's box (centre x, centre y, side; pixels).

    The box is the runtime's: about 1.5 x the face's height, from above the forehead to the upper neck.
    """
    rgb = picture.astype(np.float32) / 255.0
    centre, half = (box[0], box[1]), box[2] / 2.0
    u, v = face_coordinates((rgb.shape[0], rgb.shape[1]), centre, half)
    skin = skin_mask(rgb, u, v)
    head = np.maximum(head_mask(rgb, skin, u, v), skin)
    backdrop, scale = _backdrop(rgb, head)
    layers = Layers(rgb, head, skin, centre, half, backdrop, scale, features(skin, u, v))
    return Portrait(identity, tone(rgb, skin), layers)


def load_still(path: Path) -> Portrait:
    """A portrait from an aligned still (square, face upright, eyes a little above the middle)."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise SourceError(f"{path} cannot be read as a picture; give a folder of JPEG or PNG portraits")
    rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    height, width = rgb.shape[:2]
    box = (_STILL_BOX[0] * width, _STILL_BOX[1] * height, _STILL_BOX[2] * height)
    return make_portrait(path.stem, rgb, (_centre_x(rgb, box), box[1], box[2]))


def _centre_x(rgb: npt.NDArray[np.uint8], box: tuple[float, float, float]) -> float:
    """The face's middle column in pixels: heads in the stills sit up to a tenth of the box off centre."""
    scale = 128.0 / rgb.shape[0]
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    u, v = face_coordinates((small.shape[0], small.shape[1]), (box[0] * scale, box[1] * scale), box[2] * scale / 2)
    skin = skin_mask(small, u, v)
    columns = np.flatnonzero((skin * (np.abs(v) < 0.5)).max(axis=0) > 0.5)
    if len(columns) < 10:
        return box[0]
    return float((np.percentile(columns, 3) + np.percentile(columns, 97) + 1.0) / 2.0 / scale)


def builtin_portrait() -> Portrait:
    """The public-domain portrait that scikit-image ships (NASA: Eileen Collins)."""
    from skimage import data

    picture = np.asarray(data.astronaut(), np.uint8)[:300, 50:400]
    return make_portrait("astronaut", np.ascontiguousarray(picture), (_BUILTIN_BOX[0] - 50.0, *_BUILTIN_BOX[1:]))
