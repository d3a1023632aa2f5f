"""A real clip as footage: its faces' crops, tracked by the runtime, with a known pulse put on the skin.

What is real stays real: motion, talk, light, the camera's noise. A weak pulse of the person's own may be
left in it, below the codec's loss; clips in which it is strong are not for training (`splits.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from model.data.camera import averaged_noise
from model.data.clip import CROP, Clip, stored
from model.data.label import pulse_field, render_label, smooth_strength
from model.data.light import draw_light
from model.data.motion import draw_motion
from model.data.portrait import RUNTIME_VIEW, face_box, face_coordinates
from model.data.process import Rng, Signal, grid
from model.data.pulse import draw_pulse
from model.data.settings import ClipSettings
from model.data.skin import skin_mask, tone
from streamfilter.capture import open_source
from streamfilter.errors import SourceError
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import crop_rgb
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import Frame

Array32 = npt.NDArray[np.float32]

_FINE = 2 * CROP  # the skin is found at this many cells
_SHORTEST = 60  # frames with a face that make a film


@dataclass(frozen=True)
class Film:
    """A clip's longest run of frames with a face: frames, boxes (the runtime's) and times (T,) seconds."""

    identity: str
    frames: tuple[Frame, ...]
    boxes: tuple[FaceBox, ...]
    times: Signal
    ita: float

    @property
    def fps(self) -> float:
        return float((len(self.times) - 1) / (self.times[-1] - self.times[0]))


def load_film(path: Path, most: int = 1500) -> Film:
    """The first ``most`` frames of a video file, followed by the runtime's face finder.

    Raises SourceError where fewer than 60 frames in a row show a face.
    """
    finder = FaceFinder()
    runs: list[list[tuple[Frame, FaceBox]]] = [[]]
    with open_source(path) as source:
        for _, frame in zip(range(most), source.frames(), strict=False):
            faces = finder.find(frame)
            if faces and faces[0].lost_for == 0.0:
                runs[-1].append((frame, faces[0].box))
            elif runs[-1]:
                runs.append([])
    best = max(runs, key=len)
    if len(best) < _SHORTEST:
        raise SourceError(f"{path} shows a face in {len(best)} frames in a row; {_SHORTEST} are needed")
    rgb, skin = _cells(best[len(best) // 2][0], best[len(best) // 2][1], RUNTIME_VIEW, False)
    return Film(
        identity=path.stem,
        frames=tuple(frame for frame, _ in best),
        boxes=tuple(box for _, box in best),
        times=np.array([frame.seconds for frame, _ in best]),
        ita=tone(rgb, skin),
    )


def _cells(
    frame: Frame, box: FaceBox, view: tuple[float, float, float], flip: bool
) -> tuple[Array32, Array32]:
    """The fine crop (F, F, 3) of ``view`` (face coordinates) and its skin mask (F, F)."""
    centre, half = face_box(box)
    seen = FaceBox(centre[0] + view[0] * half, centre[1] + view[1] * half, 2.0 * view[2] * half)
    rgb = np.ascontiguousarray(np.moveaxis(crop_rgb(frame, seen, _FINE), 0, -1))
    middle = (1.0 - view[0] / view[2]) * _FINE / 2, (1.0 - view[1] / view[2]) * _FINE / 2
    u, v = face_coordinates((_FINE, _FINE), middle, _FINE / (2.0 * view[2]))
    skin = skin_mask(rgb, u, v)
    if flip:
        return np.ascontiguousarray(rgb[:, ::-1]), np.ascontiguousarray(skin[:, ::-1])
    return rgb, skin


def _order(rng: Rng, have: int, count: int) -> npt.NDArray[np.int64]:
    """Which frames to show: on from a random one, turning back at the ends."""
    swing = np.concatenate([np.arange(have), np.arange(have - 2, 0, -1)])
    start = int(rng.integers(max(1, have - count + 1))) if have > count else int(rng.integers(len(swing)))
    return np.asarray(swing[(start + np.arange(count)) % len(swing)], np.int64)


def generate_film_clip(rng: Rng, film: Film, settings: ClipSettings) -> Clip:
    """A clip of ``settings.frames`` of a film's frames at the film's rate, with the pulse of ``settings``.

    Of the light only what a camera or a screen adds is drawn; motion and codec are the film's own.
    """
    order = _order(rng, len(film.frames), settings.frames)
    settings = replace(settings, fps=film.fps, codec="none", light=settings.light + " film")
    spacing = np.maximum(np.abs(np.diff(film.times[order])), 0.25 / film.fps)
    times = np.concatenate([[0.0], np.cumsum(spacing)])
    clock = grid(float(times[-1]))
    pulse = draw_pulse(rng, clock, times, settings.hr)
    still = draw_motion(rng, clock, times, pulse.breath, 0, settings.view)
    light = draw_light(rng, clock, times, still, settings)
    affine = still.affine()
    strength, delay = smooth_strength(
        rng, settings.strength, settings.uneven, settings.delay, settings.edge
    )
    field = pulse_field(strength, delay, affine, pulse.bvp, pulse.slope)
    direction = np.asarray(settings.direction, np.float32)
    flip = bool(rng.random() < 0.5)

    clean = np.empty((len(times), CROP, CROP, 3), np.float32)
    skin = np.empty((len(times), CROP, CROP), np.uint8)
    drawn: dict[int, tuple[Array32, npt.NDArray[np.uint8]]] = {}
    white = np.asarray(settings.white, np.float32) * np.float32(min(1.0, settings.exposure))
    for index, source in enumerate(order):
        if source not in drawn:
            rgb, mask = _cells(film.frames[source], film.boxes[source], settings.view, flip)
            small = cv2.resize(rgb, (CROP, CROP), interpolation=cv2.INTER_AREA)
            share = cv2.resize(mask, (CROP, CROP), interpolation=cv2.INTER_AREA)
            drawn[source] = small * white, np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
        near = light.front[index] * (0.4 + 0.6 * drawn[source][1][..., None] / np.float32(255.0))
        clean[index] = drawn[source][0] * (1.0 + light.room[index] + light.camera[index] + near)
        skin[index] = drawn[source][1]
    observed = np.clip(clean, 0.0, 0.985) * (1.0 + render_label(skin, field, direction))
    observed = averaged_noise(rng, observed, replace(settings, noise=0.3 * settings.noise))
    return stored(observed, skin, field, direction, pulse, times, film.identity, film.ita, settings)
