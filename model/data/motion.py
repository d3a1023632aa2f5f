"""How the head moves, and what a tracker that follows it late leaves of that in the crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.data.process import Rng, Signal, at, bursts, lag, noise, steps

# Strength of each kind of motion by level 0..4. Lengths in halves of the face's box, angles in radians.
_SWAY = (0.002, 0.02, 0.03, 0.05, 0.10)
_TURN = (0.0, 0.03, 0.05, 0.16, 0.25)
_NOD = (0.0, 0.0, 0.015, 0.10, 0.16)
_ROLL = (0.001, 0.012, 0.02, 0.05, 0.09)
_ZOOM = (0.0005, 0.006, 0.01, 0.02, 0.05)
_TALK = (0.0, 0.0, 1.0, 0.35, 0.8)
_QUICK = (0.0, 0.0, 0.0, 0.02, 0.10)
LEVELS = len(_SWAY)


@dataclass(frozen=True)
class Motion:
    """The head's pose and the picture's view of it at the frames' times; each field (T,) unless said.

    World coordinates are face coordinates at rest. ``x``, ``y``: the head's place; ``roll`` (rad),
    ``zoom`` (1 at rest), ``yaw``, ``pitch`` (rad), ``jaw`` and ``lids`` (0 closed mouth / open eyes .. 1).
    ``view`` (T, 3): centre x, y and half side of what the picture shows, in world coordinates.
    """

    x: Signal
    y: Signal
    roll: Signal
    zoom: Signal
    yaw: Signal
    pitch: Signal
    jaw: Signal
    lids: Signal
    view: npt.NDArray[np.float64]

    def affine(self) -> npt.NDArray[np.float64]:
        """(T, 2, 3): crop coordinates (x, y, 1), -1..1, to face coordinates."""
        half = self.view[:, 2] / self.zoom
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        dx, dy = self.view[:, 0] - self.x, self.view[:, 1] - self.y
        rows = [
            [half * cos, half * sin, (cos * dx + sin * dy) / self.zoom],
            [-half * sin, half * cos, (-sin * dx + cos * dy) / self.zoom],
        ]
        return np.moveaxis(np.asarray(rows), -1, 0)


def draw_motion(
    rng: Rng,
    clock: Signal,
    times: Signal,
    breath: Signal,
    level: int,
    view: tuple[float, float, float],
    tracked: bool = True,
) -> Motion:
    """A head's motion of ``level`` 0 (still) .. 4 (strong), seen by a crop.

    ``view`` is the crop's centre x, y from the head and its half side, in face coordinates. The crop
    follows the head about 100 ms late; ``tracked=False`` leaves it where it is, as a camera does.
    """
    vigour = float(rng.uniform(0.6, 1.3))
    sway, turn = _SWAY[level] * vigour, _TURN[level] * vigour
    nod, quick = _NOD[level] * vigour, _QUICK[level] * vigour

    def wander(strength: float, high: float = 0.5) -> Signal:
        return strength * noise(rng, clock, 0.02, high)

    shape = breath / 1.0
    moves = quick * steps(rng, clock, 0.5, float(rng.uniform(0.15, 0.4)))
    nods = nod * bursts(rng, clock, 0.5, 3.0, 0.5) if nod else np.zeros(len(clock))
    shakes = 0.6 * turn * bursts(rng, clock, 0.5, 2.5, 0.3) if nod else np.zeros(len(clock))
    yaw = wander(turn, 0.6) + shakes + 0.8 * moves
    pitch = wander(0.6 * turn, 0.6) + nods
    x = wander(sway) + 0.35 * yaw + moves
    y = wander(0.6 * sway) + 0.45 * pitch + np.interp(clock, times, shape) * float(rng.uniform(0.002, 0.006))
    roll = wander(_ROLL[level] * vigour)
    zoom = np.exp(wander(_ZOOM[level] * vigour) + 0.3 * quick * noise(rng, clock, 0.02, 1.0))
    speech = np.clip(noise(rng, clock, 0.0, 0.3) + 0.8, 0.0, 1.0)
    jaw = _TALK[level] * vigour * speech * np.clip(0.35 + 0.35 * noise(rng, clock, 1.5, 5.0), 0.0, 1.2)
    lids = _blinks(rng, clock)
    half = view[2] * lag(clock, zoom, 0.3) if tracked else np.full(len(clock), view[2])
    follow = 0.1 * float(rng.uniform(0.6, 1.5))
    seen_x = lag(clock, x, follow) if tracked else np.zeros(len(clock))
    seen_y = lag(clock, y, follow) if tracked else np.zeros(len(clock))
    box = np.stack([seen_x + view[0], seen_y + view[1], half])

    def read(values: Signal) -> Signal:
        return at(times, clock, values)

    return Motion(
        x=read(x),
        y=read(y),
        roll=read(roll),
        zoom=read(zoom),
        yaw=read(yaw),
        pitch=read(pitch),
        jaw=read(jaw),
        lids=read(lids),
        view=np.stack([read(row) for row in box], axis=-1),
    )


def _blinks(rng: Rng, clock: Signal) -> Signal:
    """How far the lids are closed: a blink of 0.2–0.4 s every 2–8 s."""
    lids = np.zeros(len(clock))
    time = float(clock[0] + rng.uniform(0, 4))
    while time < clock[-1]:
        width = float(rng.uniform(0.05, 0.1))
        lids = np.maximum(lids, np.exp(-(((clock - time) / width) ** 2)))
        time += float(rng.uniform(2.0, 8.0))
    return lids
