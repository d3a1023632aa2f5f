"""Generates one clip with its exact label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from model.data.camera import averaged_noise, pictures, round_trip
from model.data.label import TERMS, crop_basis, pulse_field, render_label, smooth_strength
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
    affine = motion.affine()
    strength, delay = smooth_strength(
        rng, settings.strength, settings.uneven, settings.delay, settings.edge
    )
    field = pulse_field(strength, delay, affine, pulse.bvp, pulse.slope)
    # Breathing moves the blood's baseline. It is below the heart's band and not part of the label.
    baseline = float(rng.uniform(0.0, 0.3)) * pulse.breath
    breath_field = pulse_field(strength, 0.0 * delay, affine, baseline, pulse.slope)
    # A cell must not see more detail than it averages: the source is about twice as fine as the cells.
    box_pixels = round(max(1.0, 2.2 if size <= 100 else 1.3) * size / settings.view[2])
    scene = Scene(footage.at(box_pixels), motion, light, settings)
    direction = np.asarray(settings.direction, np.float32)
    return Plan(times, pulse, field, breath_field, direction, scene)


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
    return stored(
        observed,
        skin,
        planned.field,
        planned.direction,
        planned.pulse,
        planned.times,
        footage.identity,
        footage.ita,
        settings,
    )


def stored(
    observed: Array32,
    skin: npt.NDArray[np.uint8],
    field: Array32,
    direction: Array32,
    pulse: Pulse,
    times: Signal,
    identity: str,
    ita: float,
    settings: ClipSettings,
) -> Clip:
    """The clip of an observed picture (T, S, S, 3) 0..1 and its truth, quantised for the disk."""
    return Clip(
        observed=np.rint(np.clip(observed, 0.0, 1.0) * _LEVELS).astype(np.uint16),
        skin=skin,
        field=field,
        direction=direction,
        bvp=pulse.bvp.astype(np.float32),
        rate=pulse.rate.astype(np.float32),
        phase=pulse.phase.astype(np.float32),
        times=times,
        dt=np.diff(times, prepend=times[0] - 1.0 / settings.fps).astype(np.float32),
        hr=pulse.hr,
        identity=identity,
        ita=ita,
        settings=settings,
    )


def _through_codec(
    rng: Rng, footage: Portrait, settings: ClipSettings, planned: Plan
) -> tuple[Array32, npt.NDArray[np.uint8]]:
    """The clip drawn at the codec's size, encoded, decoded, and area-averaged to the crop."""
    size = settings.codec_size
    fine = Scene(footage.at(round(1.3 * size)), planned.scene.motion, planned.scene.light, settings)
    basis = crop_basis(size).reshape(TERMS, -1)
    fields = planned.field + planned.breath_field
    skin = np.empty((len(planned.times), CROP, CROP), np.uint8)

    def drawn() -> Iterator[Array32]:
        for index, (rgb, mask) in enumerate(frames(fine, size)):
            change = (fields[index] @ basis).reshape(size, size) * mask
            share = cv2.resize(mask, (CROP, CROP), interpolation=cv2.INTER_AREA)
            skin[index] = np.rint(np.clip(share, 0.0, 1.0) * 255.0)
            yield rgb * cv2.merge([1.0 + change * share_of for share_of in planned.direction])

    observed = np.empty((len(planned.times), CROP, CROP, 3), np.float32)
    for index, seen in enumerate(round_trip(pictures(rng, drawn(), settings), size, settings)):
        cells = cv2.resize(seen.astype(np.float32), (CROP, CROP), interpolation=cv2.INTER_AREA)
        observed[index] = cells * np.float32(1.0 / 255.0)
    return observed, skin
