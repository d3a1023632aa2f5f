"""Generates one clip with its exact label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.data.camera import averaged_noise, picture, reduced, round_trip
from model.data.label import TERMS, monomials, pulse_field, render_label, smooth_map
from model.data.light import draw_light
from model.data.motion import draw_motion
from model.data.portrait import Portrait
from model.data.process import Rng, Signal, grid
from model.data.pulse import Pulse, draw_pulse
from model.data.render import Scene, frames
from model.data.settings import ClipSettings

Array32 = npt.NDArray[np.float32]

CROP = 72
_LEVELS = 65535.0


@dataclass(frozen=True)
class Clip:
    """A clip at the network's crop: T frames of S x S cells.

    ``observed`` (T, S, S, 3) uint16, R, G, B of 65535: what the runtime's crop would see. ``skin``
    (T, S, S) uint8, of 255. ``field`` (T, 10) and ``direction`` (3,) make the label with ``skin``
    (`label.py`): observed = pulse-free * (1 + p), before noise and codec. ``bvp`` (T,), ``rate`` (T,)
    bpm, ``phase`` (T,) radians; ``times`` (T,) seconds, ``dt`` (T,) seconds since the frame before.
    """

    observed: npt.NDArray[np.uint16]
    skin: npt.NDArray[np.uint8]
    field: Array32
    direction: Array32
    bvp: Array32
    rate: Array32
    phase: Array32
    times: Signal
    dt: Array32
    hr: float
    identity: str
    ita: float
    settings: ClipSettings

    def pulse(self) -> Array32:
        """The exact label p (T, S, S, 3)."""
        return render_label(self.skin, self.field, self.direction)

    def observed_rgb(self) -> Array32:
        """``observed`` as float32 0..1, (T, S, S, 3)."""
        return self.observed.astype(np.float32) * np.float32(1.0 / _LEVELS)


def frame_times(rng: Rng, settings: ClipSettings) -> Signal:
    """Capture times (T,): regular at ``fps``, each late or early by ``jitter`` of a frame (rms)."""
    late = np.clip(settings.jitter * rng.standard_normal(settings.frames), -0.4, 0.4)
    times = (np.arange(settings.frames) + late) / settings.fps
    return np.asarray(times - times[0])


@dataclass(frozen=True)
class Plan:
    """A clip before any pixel is drawn: its times, its pulse, the label's field, and the scene."""

    times: Signal
    pulse: Pulse
    field: Array32
    breath_field: Array32
    direction: Array32
    scene: Scene


def plan(rng: Rng, footage: Portrait, settings: ClipSettings, size: int, tracked: bool = True) -> Plan:
    """Draws everything random of a clip but the noise; ``size`` is the pictures' side in pixels."""
    times = frame_times(rng, settings)
    clock = grid(float(times[-1]))
    pulse = draw_pulse(rng, clock, times, settings.hr)
    motion = draw_motion(rng, clock, times, pulse.breath, settings.motion, settings.view, tracked)
    light = draw_light(rng, clock, times, motion, settings)
    strength, delay, affine = _maps(rng, settings, motion.affine())
    field = pulse_field(strength, delay, affine, pulse.bvp, pulse.slope)
    # Breathing moves the blood's baseline. It is below the heart's band and not part of the label.
    baseline = float(rng.uniform(0.0, 0.3)) * pulse.breath
    breath_field = pulse_field(strength, 0.0 * delay, affine, baseline, pulse.slope)
    # A cell must not see more detail than it averages: the source is about twice as fine as the cells.
    box_pixels = round(max(1.0, 2.2 if size <= 100 else 1.3) * size / settings.view[2])
    scene = Scene(footage.at(box_pixels), motion, light, settings)
    direction = np.asarray(settings.direction, np.float32)
    return Plan(times, pulse, field, breath_field, direction, scene)


def _maps(
    rng: Rng, settings: ClipSettings, affine: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Strength and delay (10,) as cubics over the face; their field of view follows the head."""
    one = np.zeros(TERMS)
    one[0] = 1.0
    strength = settings.strength * (one + settings.uneven * smooth_map(rng))
    delay = settings.strength * 0.5 * settings.delay * smooth_map(rng)
    return strength, delay, affine


def pulse_free(planned: Plan, size: int, oversample: int) -> tuple[Array32, npt.NDArray[np.uint8]]:
    """All pulse-free pictures (T, size, size, 3) and the skin masks as stored (T, size, size)."""
    count = len(planned.times)
    clean = np.empty((count, size, size, 3), np.float32)
    skin = np.empty((count, size, size), np.uint8)
    for index, (rgb, mask) in enumerate(frames(planned.scene, size, oversample)):
        clean[index] = rgb
        skin[index] = np.rint(np.clip(mask, 0.0, 1.0) * 255.0)
    clean *= 1.0 + render_label(skin, planned.breath_field, planned.direction)
    return np.minimum(clean, np.float32(0.985)), skin


def generate_clip(rng: Rng, footage: Portrait, settings: ClipSettings) -> Clip:
    """A clip of ``footage`` as ``settings`` says; the same seed gives the same clip.

    The label is exact: before noise and codec, observed = pulse_free * (1 + p).
    """
    planned = plan(rng, footage, settings, CROP)
    if settings.codec == "none":
        clean, skin = pulse_free(planned, CROP, 2)
        clean *= 1.0 + render_label(skin, planned.field, planned.direction)
        observed = averaged_noise(rng, clean, settings)
    else:
        observed, skin = _through_codec(rng, footage, settings, planned)
    pulse = planned.pulse
    return Clip(
        observed=np.rint(np.clip(observed, 0.0, 1.0) * _LEVELS).astype(np.uint16),
        skin=skin,
        field=planned.field,
        direction=planned.direction,
        bvp=pulse.bvp.astype(np.float32),
        rate=pulse.rate.astype(np.float32),
        phase=pulse.phase.astype(np.float32),
        times=planned.times,
        dt=np.diff(planned.times, prepend=planned.times[0] - 1.0 / settings.fps).astype(np.float32),
        hr=pulse.hr,
        identity=footage.identity,
        ita=footage.ita,
        settings=settings,
    )


def _through_codec(
    rng: Rng, footage: Portrait, settings: ClipSettings, planned: Plan
) -> tuple[Array32, npt.NDArray[np.uint8]]:
    """The clip drawn at the codec's size, encoded, decoded, and area-averaged to the crop."""
    size = settings.codec_size
    fine = Scene(footage.at(round(1.3 * size)), planned.scene.motion, planned.scene.light, settings)
    axis = (np.arange(size) + 0.5) / size * 2.0 - 1.0
    gy, gx = np.meshgrid(axis, axis, indexing="ij")
    basis = np.moveaxis(monomials(gx, gy), -1, 0).astype(np.float32)
    fields = planned.field + planned.breath_field
    pictures = []
    skin = np.empty((len(planned.times), CROP, CROP), np.uint8)
    for index, (rgb, mask) in enumerate(frames(fine, size)):
        change = np.tensordot(fields[index], basis, 1) * mask
        seen = rgb * (1.0 + change[..., None] * planned.direction)
        pictures.append(picture(rng, seen, settings))
        small = np.clip(np.asarray(_area(mask)), 0.0, 1.0)
        skin[index] = np.rint(small * 255.0)
    return reduced(round_trip(pictures, settings), CROP), skin


def _area(mask: Array32) -> Array32:
    import cv2

    return np.asarray(cv2.resize(mask, (CROP, CROP), interpolation=cv2.INTER_AREA), np.float32)
