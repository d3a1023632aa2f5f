"""A still face as footage: picture, masks, and the face's box that defines face coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from model.data.skin import Image, head_mask, skin_mask, tone
from streamfilter.errors import SourceError
from streamfilter.face.box import FaceBox, box_of
from streamfilter.face.detect import FaceDetector

# Face coordinates from the detector's box (brow to chin, times the runtime's margin): a little higher and
# smaller, so that -1..1 spans hair to neck. RUNTIME_VIEW is the way back: the runtime's crop in them.
_RAISED, _REDUCED = 0.082, 0.914
RUNTIME_VIEW = (0.0, 2.0 * _RAISED / _REDUCED, 1.0 / _REDUCED)
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


def face_box(box: FaceBox) -> tuple[tuple[float, float], float]:
    """Centre (x, y) and half side in pixels of face coordinates -1..1, from the runtime's box."""
    return (box.cx, box.cy - _RAISED * box.size), box.size * _REDUCED / 2.0


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


def make_portrait(identity: str, rgb8: npt.NDArray[np.uint8]) -> Portrait:
    """A portrait from an RGB picture (H, W, 3) of one face, found by the runtime's own detector.

    Raises SourceError where there is no face in it.
    """
    found = FaceDetector().detect(rgb8)
    if not found:
        raise SourceError(f"no face is found in {identity}; give an upright portrait")
    centre, half = face_box(box_of(found[0]))
    points = [found[0].keypoints[index] for index in (0, 1, 3)]
    places = tuple((float((x - centre[0]) / half), float((y - centre[1]) / half)) for x, y in points)
    rgb = rgb8.astype(np.float32) / np.float32(255.0)
    u, v = face_coordinates((rgb.shape[0], rgb.shape[1]), centre, half)
    skin = skin_mask(rgb, u, v)
    head = np.maximum(head_mask(rgb, skin, u, v), skin)
    backdrop, scale = _backdrop(rgb, head)
    return Portrait(identity, tone(rgb, skin), Layers(rgb, head, skin, centre, half, backdrop, scale, places))


def load_still(path: Path) -> Portrait:
    """A portrait from a picture file. Raises SourceError where it cannot be read or shows no face."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise SourceError(f"{path} cannot be read as a picture; give a folder of JPEG or PNG portraits")
    return make_portrait(path.stem, np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8))


def builtin_portrait() -> Portrait:
    """The public-domain portrait that scikit-image ships (NASA: Eileen Collins)."""
    from skimage import data

    picture = np.asarray(data.astronaut(), np.uint8)[:300, 50:400]  # type: ignore[no-untyped-call]
    return make_portrait("astronaut", np.ascontiguousarray(picture))
