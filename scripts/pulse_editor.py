"""A pulse editor without a network, for measuring how an edit survives; and a portrait with a known pulse."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt
from scipy import signal
from skimage import data

from scripts.codec_lab import FPS
from streamfilter.composite import DEFAULT_DITHER, apply_gain
from streamfilter.dither import Dither
from streamfilter.errors import SourceError
from streamfilter.face.box import FaceBox
from streamfilter.face.color import rgb_to_yuv_matrix
from streamfilter.face.crop import crop_rgb, skin_prior
from streamfilter.face.detect import FaceDetector
from streamfilter.frame import ColorSpec, Frame

Floats = npt.NDArray[np.float64]
Crops = npt.NDArray[np.float32]
HARMONIC = 0.3
DECOY_BPM = 112.0


@dataclass(frozen=True, slots=True)
class Edit:
    """What to write and how. ``colour``: the wanted pulse's relative R, G, B; ``strength``: its amplitude in
    the colour's 1.0, relative; ``cells``: remove the pulse of each cell, not of the whole face's mean;
    ``masking``: rms of random in-band noise, relative; ``decoy``: amplitude of a second, steady pulse."""

    colour: tuple[float, float, float]
    strength: float = 0.006
    cells: bool = True
    dither: Dither = DEFAULT_DITHER
    masking: float = 0.0
    decoy: float = 0.0


def face_box(frame: Frame) -> FaceBox:
    """The largest face's box, with the skin around it. Raises SourceError where there is none."""
    found = FaceDetector().detect_frame(frame)
    if not found:
        raise SourceError("no face in the clip's first picture: give another clip")
    left, top, width, height = max(found, key=lambda f: f.box[2] * f.box[3]).box
    return FaceBox(left + width / 2, top + height / 2, 1.25 * max(width, height))


def crops_of(frames: list[Frame], box: FaceBox) -> Crops:
    """(T, 3, 72, 72): the crop of each frame."""
    return np.stack([crop_rgb(frame, box) for frame in frames])


def apply_edit(frames: list[Frame], crops: Crops, box: FaceBox, edit: Edit, target: float) -> list[Frame]:
    """The frames without their own pulse (causal band-stop) and with the wanted one of ``target`` bpm."""
    prior = skin_prior()
    if edit.cells:
        cells = np.stack([[cv2.GaussianBlur(plane, (0, 0), 1.0) for plane in crop] for crop in crops])
    else:
        cells = ((crops * prior).sum((2, 3)) / prior.sum())[:, :, None, None]
    wanted = _pulse(len(frames), target, 0.0) * edit.strength + edit.decoy * _decoy(len(frames))
    added = wanted[:, None] * np.array(edit.colour) + edit.masking * _noise(len(frames))
    gains = _band_stop(cells.astype(np.float64)) + added[:, :, None, None]
    gains = np.broadcast_to(gains, crops.shape).astype(np.float32)
    return [apply_gain(frame, gains[i], crops[i], box, edit.dither, i) for i, frame in enumerate(frames)]


def _band_stop(colour: Floats) -> Floats:
    """Correction, relative to a 1 s mean, held to 3 %: Chebyshev II, order 3, 30 dB, 0.6 to 4 Hz."""
    sections = signal.cheby2(3, 30, [0.6, 4.0], "bandstop", fs=FPS, output="sos")
    flat = colour.reshape(len(colour), -1)
    start = signal.sosfilt_zi(sections)[:, :, None] * flat[0]
    passed, _ = signal.sosfilt(sections, flat, axis=0, zi=start)
    total = np.cumsum(np.concatenate([np.repeat(flat[:1], FPS, axis=0), flat]), axis=0)
    mean = np.maximum((total[FPS:] - total[:-FPS]) / FPS, 1e-3)
    corrected: Floats = np.clip((passed - flat) / mean, -0.03, 0.03).reshape(colour.shape)
    return corrected


def _pulse(count: int, bpm: float, wander: float) -> Floats:
    time = np.arange(count) / FPS
    phase = 2 * np.pi * np.cumsum(bpm + wander * np.sin(2 * np.pi * 0.1 * time)) / 60 / FPS
    wave: Floats = np.cos(phase) + HARMONIC * np.cos(2 * phase + 1.0)
    return wave


def _decoy(count: int) -> Floats:
    return _pulse(count, DECOY_BPM, 1.0)


def _noise(count: int) -> Floats:
    sections = signal.butter(2, [0.65, 3.6], "bandpass", fs=FPS, output="sos")
    white = np.random.default_rng(0).standard_normal((count + 10 * FPS, 3))
    band = signal.sosfilt(sections, white, axis=0)[10 * FPS :]
    noise: Floats = band / band.std(axis=0)
    return noise


def living_portrait(count: int, bpm: float, amplitude: float = 0.005) -> list[Frame]:
    """scikit-image's portrait (public domain), its face at 480 x 480, swaying, with a pulse of ``bpm``.

    ``amplitude`` is the pulse's in green, relative, on the skin; light drifts by 1 %, noise is 1.5 levels.
    """
    rng = np.random.default_rng(0)
    portrait: npt.NDArray[np.uint8] = data.astronaut()  # type: ignore[no-untyped-call]
    face = cv2.resize(portrait[30:190, 144:304], (480, 480), interpolation=cv2.INTER_CUBIC)
    picture = face.astype(np.float32)
    cr = cv2.cvtColor(face, cv2.COLOR_RGB2YCrCb)[:, :, 1].astype(np.float32)
    skin = cv2.GaussianBlur(np.clip((cr - 133) / 8, 0, 1), (0, 0), 4)[:, :, None]
    pulse = _pulse(count, bpm, 1.0) * amplitude
    frames = []
    for i in range(count):
        time = i / FPS
        light = 1 + 0.01 * np.sin(2 * np.pi * 0.07 * time)
        lit = picture * (1 + pulse[i] * skin * np.array([0.43, 1.0, 0.69], np.float32)) * light
        sway = np.array([[1, 0, 1.5 * np.sin(0.9 * time)], [0, 1, np.sin(0.7 * time + 1)]])
        moved = np.asarray(cv2.warpAffine(lit, sway, (480, 480), borderMode=cv2.BORDER_REFLECT), np.float64)
        moved += rng.standard_normal(moved.shape) * 1.5
        frames.append(_from_rgb(moved / 255, i))
    return frames


def _from_rgb(rgb: Floats, number: int) -> Frame:
    matrix, offset = rgb_to_yuv_matrix(ColorSpec())
    height, width, _ = rgb.shape
    small = cv2.resize(rgb, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    planes = [rgb @ matrix[0] + offset[0], *(small @ matrix[k] + offset[k] for k in (1, 2))]
    y, u, v = (np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in planes)
    return Frame(y, u, v, number, Fraction(1, FPS), ColorSpec())
