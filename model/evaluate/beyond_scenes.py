"""Scenes with skin beyond the face: real clips with marked places, and composed ones with chest and hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import skimage.data

from model.evaluate.metrics import rgb_of
from streamfilter.capture import open_source
from streamfilter.face.box import FaceBox, box_of
from streamfilter.face.color import rgb_to_yuv_matrix
from streamfilter.face.detect import FaceDetector
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import ColorSpec, Frame
from streamfilter.rppg.skin import skin_mask

Array32 = npt.NDArray[np.float32]
Rgb = npt.NDArray[np.uint8]
Place = tuple[float, float, float, float]  # left, top, right, bottom, as shares of the picture

NEAR = "neck and ears in the crop"
FACE = "face"
FPS = 30.0
SIZE = (640, 360)
SECONDS = 12.0
OVAL = (0.29, 0.38)  # half axes of the face over its box's side, as in streamfilter/face/crop.py


@dataclass(frozen=True)
class Moment:
    """One frame as the camera saw it, the face's box, and soft skin by region, each (H / 2, W / 2) 0..1."""

    frame: Frame
    box: FaceBox
    skin: Mapping[str, Array32]


@dataclass(frozen=True)
class RealScene:
    """A clip whose skin beyond the crop lies in ``places``, marked by eye: region to place."""

    path: Path
    places: Mapping[str, Place]
    delays_ms: Mapping[str, float]

    @property
    def name(self) -> str:
        return self.path.stem

    def moments(self) -> Iterator[Moment]:
        finder, steady = FaceFinder(), _Steady()
        with open_source(self.path) as source:
            start: float | None = None
            for frame in source.frames():
                faces = finder.find(frame)
                start = frame.seconds if start is None and faces else start
                if start is None or not faces or frame.seconds - start > SECONDS:
                    if start is not None:
                        return
                    continue
                yield Moment(frame, faces[0].box, steady.next(self._skin(frame, faces[0].box)))

    def _skin(self, frame: Frame, box: FaceBox) -> dict[str, Array32]:
        rgb = cv2.resize(rgb_of(frame), (frame.width // 2, frame.height // 2), interpolation=cv2.INTER_AREA)
        chroma = skin_mask(rgb).astype(np.float32)
        inside, oval, near = face_regions(chroma.shape, box)
        skin = {FACE: chroma * oval, NEAR: chroma * near}
        height, width = chroma.shape
        for name, (left, top, right, bottom) in self.places.items():
            marked = np.zeros_like(chroma)
            marked[
                round(top * height) : round(bottom * height), round(left * width) : round(right * width)
            ] = 1
            skin[name] = chroma * marked * (1.0 - inside)
        return skin


@dataclass(frozen=True)
class ComposedScene:
    """A still face that sways, a patch of its cheek as chest in a shirt, another one as hand.

    ``speed`` of the hand's path (0: at rest). ``wood``: a wall of the face's own tone behind all.
    ``still`` None is the built-in portrait.
    """

    still: Path | None
    speed: float
    delays_ms: Mapping[str, float]
    wood: bool = False
    seed: int = 0

    @property
    def name(self) -> str:
        who = "portrait" if self.still is None else self.still.stem
        hand = "hand at rest" if self.speed == 0 else "hand moving"
        return f"{who}, {hand}" + (", wooden wall" if self.wood else "")

    def moments(self) -> Iterator[Moment]:
        rng = np.random.default_rng(self.seed)
        still, box = _still(self.still)
        cheek = _cheek(still, box)
        width, height = SIZE
        room = _room(rng, cheek if self.wood else None)
        zoom = 150.0 / box.size
        finder, steady = FaceFinder(), _Steady()
        for index in range(round(SECONDS * FPS)):
            t = index / FPS
            picture = room.copy()
            sway = (2.0 * np.sin(1.1 * t) + np.sin(2.7 * t + 1), 1.5 * np.sin(0.8 * t + 2))
            centre = (210.0 + sway[0], 105.0 + sway[1])
            skin = {"chest": _disc((centre[0], 268.0 + sway[1]), (46.0, 40.0))}
            shirt = _disc((centre[0], 360.0 + sway[1]), (150.0, 170.0))
            _lay(picture, np.array([92.0, 110.0, 128.0], np.float32), shirt)
            _lay(picture, _patch(cheek, (centre[0], 268.0), 100.0), skin["chest"])
            _lay_still(picture, still, box, centre, zoom)
            path = 0.0 if self.speed == 0 else self.speed * t
            at = (470.0 + 70.0 * np.sin(path), 200.0 + 50.0 * np.sin(1.7 * path + 0.5))
            skin["hand"] = _disc(at, (38.0, 50.0), turn=25.0 * np.sin(0.9 * path))
            _lay(picture, 0.92 * _patch(cheek, at, 110.0), skin["hand"])
            picture += rng.normal(0.0, 2.0, picture.shape).astype(np.float32)
            frame = frame_of(picture, t)
            faces = finder.find(frame)
            if not faces:
                continue
            small = {
                k: cv2.resize(v, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
                for k, v in skin.items()
            }
            rgb = cv2.resize(rgb_of(frame), (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            chroma = skin_mask(rgb).astype(np.float32)
            inside, oval, near = face_regions(chroma.shape, faces[0].box)
            own = {k: v * (1.0 - inside) for k, v in small.items()}
            kept = steady.next({FACE: chroma * oval, NEAR: chroma * near})
            yield Moment(frame, faces[0].box, {**kept, **own})


def face_regions(shape: tuple[int, int], box: FaceBox) -> tuple[Array32, Array32, Array32]:
    """The box, the face's oval, and the place of neck and ears in it, at half resolution: (H / 2, W / 2)."""
    x = (2.0 * np.arange(shape[1]) + 1.0 - box.cx) / box.size
    y = (2.0 * np.arange(shape[0]) + 1.0 - box.cy) / box.size
    inside = (np.abs(x)[None, :] < 0.5) & (np.abs(y)[:, None] < 0.5)
    oval = np.hypot(x[None, :] / OVAL[0], y[:, None] / OVAL[1]) < 1.0
    near = inside & (np.hypot(x[None, :] / OVAL[0], y[:, None] / OVAL[1]) > 1.1)
    near &= (y[:, None] > 0.0) & (np.abs(x)[None, :] < 0.33)
    return inside.astype(np.float32), oval.astype(np.float32), near.astype(np.float32)


class _Steady:
    """Masks averaged over half a second: one that flickers would move the mean like a pulse."""

    def __init__(self) -> None:
        self._kept: dict[str, Array32] = {}

    def next(self, skin: Mapping[str, Array32]) -> dict[str, Array32]:
        for name, mask in skin.items():
            soft = cv2.blur(mask, (3, 3))
            old = self._kept.get(name, soft)
            self._kept[name] = np.asarray(0.93 * old + 0.07 * soft, np.float32)
        return dict(self._kept)


def frame_of(rgb: Array32, seconds: float) -> Frame:
    """(H, W, 3) 0..255 as planes, BT.601, limited range."""
    matrix, offset = rgb_to_yuv_matrix(ColorSpec())
    yuv = rgb @ (matrix.T / 255.0).astype(np.float32) + offset.astype(np.float32)
    half = cv2.resize(yuv[..., 1:], (rgb.shape[1] // 2, rgb.shape[0] // 2), interpolation=cv2.INTER_AREA)
    y, u, v = (np.rint(p).clip(0, 255).astype(np.uint8) for p in (yuv[..., 0], half[..., 0], half[..., 1]))
    return Frame(y, u, v, round(seconds * 1e6), Fraction(1, 1_000_000), ColorSpec())


def _still(path: Path | None) -> tuple[Rgb, FaceBox]:
    if path is None:
        rgb = np.asarray(skimage.data.astronaut()[:330, 60:390], np.uint8)  # type: ignore[no-untyped-call]
    else:
        picture = cv2.imread(str(path))
        if picture is None:
            raise ValueError(f"{path} is no picture: give another still")
        rgb = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
    found = FaceDetector().detect_frame(frame_of(rgb.astype(np.float32), 0.0))
    if not found:
        raise ValueError(f"{path} shows no face: give another still")
    return rgb, box_of(max(found, key=lambda one: one.score))


def _cheek(still: Rgb, box: FaceBox) -> Array32:
    """A square of skin below the left eye."""
    x, y, half = round(box.cx - 0.13 * box.size), round(box.cy + 0.04 * box.size), round(0.045 * box.size)
    return still[y - half : y + half, x - half : x + half].astype(np.float32)


def _patch(cheek: Array32, centre: tuple[float, float], side: float) -> Array32:
    """The cheek enlarged around ``centre``, its edge replicated over the picture."""
    scale = side / cheek.shape[0]
    affine = np.array([[scale, 0, centre[0] - side / 2], [0, scale, centre[1] - side / 2]])
    return np.asarray(cv2.warpAffine(cheek, affine, SIZE, borderMode=cv2.BORDER_REFLECT_101), np.float32)


def _disc(centre: tuple[float, float], half: tuple[float, float], turn: float = 0.0) -> Array32:
    """A soft ellipse (H, W) 0..1."""
    x, y = np.arange(SIZE[0]) + 0.5 - centre[0], np.arange(SIZE[1]) + 0.5 - centre[1]
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    across, down = c * x[None, :] + s * y[:, None], c * y[:, None] - s * x[None, :]
    radius = np.hypot(across / half[0], down / half[1])
    return np.clip((1.0 - radius) * min(half) / 3.0 + 0.5, 0.0, 1.0).astype(np.float32)


def _lay(picture: Array32, color: Array32, mask: Array32) -> None:
    picture += mask[..., None] * (color - picture)


def _lay_still(picture: Array32, still: Rgb, box: FaceBox, centre: tuple[float, float], zoom: float) -> None:
    affine = np.array([[zoom, 0, centre[0] - zoom * box.cx], [0, zoom, centre[1] - zoom * box.cy]])
    area = cv2.INTER_LINEAR
    moved = cv2.warpAffine(still.astype(np.float32), affine, SIZE, flags=area)
    shown = cv2.warpAffine(np.ones(still.shape[:2], np.float32), affine, SIZE, flags=area)
    head = _disc((centre[0], centre[1] - 2.0), (0.40 * box.size * zoom, 0.62 * box.size * zoom))
    _lay(picture, np.asarray(moved, np.float32), np.asarray(np.minimum(shown, head), np.float32))


def _room(rng: np.random.Generator, tone: Array32 | None) -> Array32:
    """A soft grey wall, or planks of the mean of ``tone``."""
    width, height = SIZE
    shade = np.linspace(0.75, 1.15, width, dtype=np.float32)[None, :, None] * np.ones(
        (height, 1, 1), np.float32
    )
    if tone is None:
        return np.asarray(shade * np.array([128.0, 134.0, 140.0], np.float32))
    grain = cv2.GaussianBlur(
        rng.normal(0.0, 1.0, (height, width)).astype(np.float32), (0, 0), 12.0, sigmaY=0.7
    )
    planks = np.where((np.arange(height) // 45) % 2 == 0, 1.0, 0.93).astype(np.float32)[:, None]
    wood = planks * (1.0 + 0.25 * grain / max(float(grain.std()), 1e-6) * 0.2)
    return np.asarray(shade * wood[..., None] * tone.mean(axis=(0, 1)), np.float32)
