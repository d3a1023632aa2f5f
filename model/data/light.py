"""Light and camera gain over time: everything that changes colour and is not the pulse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.data.motion import Motion
from model.data.process import Rng, Signal, at, noise, steps
from model.data.settings import ClipSettings

Array32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Light:
    """Relative changes at the frames' times, each (T, 3) in R, G, B unless said.

    ``room`` and ``camera`` act on the whole picture, ``front`` (a screen) on what is near. ``slope``
    (T, 2) is the brightness's slope over face coordinates x, y (side light; turns with the head) and
    ``level`` (T,) the head's brightness by its pose. ``sheen`` (3,): x, y, strength of a highlight that
    stays with the light while the skin moves under it.
    """

    room: Array32
    camera: Array32
    front: Array32
    slope: Array32
    level: Array32
    sheen: tuple[float, float, float]


def _colour(rng: Rng) -> npt.NDArray[np.float64]:
    """A screen's colour: mostly white, sometimes far from it; mean 1."""
    colour = np.exp(rng.normal(0.0, 0.35, 3))
    return np.asarray(colour / colour.mean())


def draw_light(rng: Rng, clock: Signal, times: Signal, motion: Motion, settings: ClipSettings) -> Light:
    """The light of one clip."""
    s = settings

    def read(values: Signal) -> Signal:
        return at(times, clock, values)

    drift = s.drift * read(noise(rng, clock, 0.0, 0.12))
    tint = s.tint * read(noise(rng, clock, 0.0, 0.08))
    room = drift[:, None] * np.ones(3) + tint[:, None] * np.array([1.0, 0.1, -1.0])
    if s.flicker:
        beat = np.sin(2 * np.pi * s.flicker_hz * times + rng.uniform(0, 6.3))
        room += s.flicker * beat[:, None] * rng.uniform(0.8, 1.2, 3)

    front = np.zeros((len(times), 3))
    if s.screen_steps:
        for _ in range(2):
            cuts = steps(rng, clock, float(rng.uniform(0.1, 0.6)), float(rng.uniform(0.03, 0.15)))
            front += s.screen_steps * 0.7 * read(cuts)[:, None] * _colour(rng)
    if s.screen_beat:
        middle = float(rng.uniform(0.7, 3.0))
        narrow = float(rng.choice([0.05, 0.3, 1.0]))
        beat = read(noise(rng, clock, max(0.4, middle - narrow), middle + narrow))
        front += s.screen_beat * beat[:, None] * _colour(rng)

    camera = np.zeros((len(times), 3))
    if s.auto_exposure:
        hunt = noise(rng, clock, 0.1, 1.0) * np.clip(noise(rng, clock, 0.0, 0.2), 0.0, 2.0)
        jump = steps(rng, clock, 0.1, 0.5)
        camera += s.auto_exposure * read(0.5 * hunt + 0.5 * jump)[:, None]
    if s.white_balance:
        jump = read(steps(rng, clock, 0.15, float(rng.uniform(0.05, 0.6))))
        camera += s.white_balance * jump[:, None] * np.array([1.0, 0.0, -1.0])

    # Lambert, to first order: a turn moves the shading over the face and changes the face's mean.
    angle = rng.uniform(0, 2 * np.pi)
    base = s.side * np.array([np.cos(angle), 0.4 * np.sin(angle)])
    gradient = float(rng.normal(0.0, 1.0)) * s.shading
    slope = base + s.shading * np.stack([motion.yaw, 0.7 * motion.pitch], axis=-1)
    level = s.shading * (rng.uniform(-1, 1) * motion.yaw + rng.uniform(-1, 1) * motion.pitch)
    level += 0.3 * gradient * (motion.x + motion.y)
    spot = (float(rng.uniform(-0.3, 0.3)), float(rng.choice([-0.4, 0.1])), s.sheen)
    return Light(
        room=room.astype(np.float32),
        camera=camera.astype(np.float32),
        front=front.astype(np.float32),
        slope=slope.astype(np.float32),
        level=level.astype(np.float32),
        sheen=spot,
    )
