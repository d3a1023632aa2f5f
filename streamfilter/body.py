"""Skin beyond the face: what of the picture has the face's tone outside every face's oval is edited too.

Neck, chest, hands and arms carry the true pulse as the face does, but later, by up to a tenth of a second,
so that the face's own edit leaves much of it (docs/evaluation/beyond-the-face.md). So a small picture of the
frame is followed: cells whose chroma is the face's (skin_cells.py) are gathered in tiles, and a causal
band-stop on each tile's colour (band_stop.py) gives the pulse there. Where a tile moves too much for that,
the face's own mean edit stands in below the chin, where neck and chest are, and nowhere else: a wall of the
skin's tone that took it would show the true pulse. The wanted pulse of the nearest face and masking noise are
added. Within a face's box the result takes the place of the network's gain below the jaw and beyond hairline
and ears, outside it is written, dithered, where the mask is not zero. Wood or walls of that tone get the same
half a per cent, which nobody sees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter import band_stop
from streamfilter.body_paint import paint
from streamfilter.body_pulse import changes, enlarged, tile_pulse
from streamfilter.clock import wanted_wave
from streamfilter.dither import Dither, FloatMap
from streamfilter.face.box import FaceBox
from streamfilter.face.color import rgb_to_yuv_matrix
from streamfilter.frame import Frame
from streamfilter.masking import Masking
from streamfilter.masking import State as NoiseState
from streamfilter.skin import Tone
from streamfilter.skin_cells import TILE, Grid, cells_of, grid_of, off_faces, outside, oval, skin_like
from streamfilter.workspace import Workspace

MASKING_LEVEL = 0.003  # relative rms in each colour; docs/evaluation/beyond-the-face.md
WITHIN = 0.4  # share of it beside the oval: the face's pulse is nearer there, and less is left
LIMIT = 0.02  # of the removal, relative
REMOVAL = 1.12  # taken out over what is estimated: tiles gave 0.86 to 0.94 of a planted pulse
_RISE, _FALL = 0.1, 0.15  # seconds in which the mask follows skin that comes and that goes
_LEAST = 0.02  # of the mask: less is none
_CALM = 0.01  # rms of a tile's in-band colour at which its own pulse is believed by half
_CALM_SECONDS = 1.0  # over which that is taken; a new tile comes in as a restless one
_CHIN, _SHOULDERS = 0.35, 0.8  # in sizes of a face's box, from its centre: down from, and to either side
_EARS, _HAIRLINE, _JAW = 0.42, 0.56, 0.2  # as those: half axes across and up, and down from


@dataclass(frozen=True, slots=True)
class Wearer:
    """A face whose skin is looked for: its box, tone, the phase (radians) of its wanted pulse, its own edit:
    the mean gain (3,) of R, G, B over its skin, and what a natural pulse adds now (3,), where it has one."""

    box: FaceBox
    tone: Tone
    phase: float
    gain: FloatMap
    natural: FloatMap | None = None


@dataclass(frozen=True, slots=True)
class BodyState:
    """All that is kept between two frames. ``like``, ``mask`` (h, w): skin now, and steadied. ``logs``
    (3, h, w): log R, G, B. ``filters`` (STATES, 3, th, tw), ``power`` (th, tw): mean square of the tiles'
    in-band green; ``known`` (th, tw): tiles that have both. ``turn`` is 0 and 1 in turn: states that lie in a
    workspace have two places there."""

    grid: Grid
    seconds: float
    like: FloatMap
    mask: FloatMap
    logs: FloatMap
    filters: FloatMap
    power: FloatMap
    known: npt.NDArray[np.bool_]
    noise: NoiseState
    turn: int = 0


@dataclass(frozen=True, slots=True)
class BodyEdit:
    """``gain`` (3, h, w): relative change of R, G, B, of which ``noise`` (3, th, tw) is masking; ``mask``
    (h, w) 0..1: where; ``rgb`` (3, h, w): the cells' colour, 0..1. They lie in ``work``, which may be that
    of ``find``'s caller: of use until that is called again."""

    grid: Grid
    rgb: FloatMap
    gain: FloatMap
    noise: FloatMap
    mask: FloatMap
    work: Workspace

    def within(self, gain: FloatMap, box: FaceBox) -> FloatMap:
        """The face's ``gain`` (3, S, S), with this edit's in its place on skin beside the face's oval."""
        size = gain.shape[-1]
        scale = box.size / size / self.grid.cell
        shift = [(edge / self.grid.cell) + 0.5 * scale - 0.5 for edge in (box.left, box.top)]
        to_cells = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

        def seen(part: FloatMap, out: FloatMap) -> FloatMap:
            border = cv2.BORDER_REPLICATE
            cv2.warpAffine(part, to_cells, (size, size), dst=out, flags=flags, borderMode=border)
            return out

        weight = seen(self.mask, self.work.floats("body.weight", size, size)) * _beside(size)
        calmer = enlarged(self.noise, self.grid.shape, self.work.floats("body.calmer", *self.gain.shape))
        calmer *= 1.0 - WITHIN
        np.subtract(self.gain, calmer, out=calmer)
        own = np.empty_like(gain)
        for part, out in zip(calmer, own, strict=True):
            seen(part, out)
        own -= gain
        own *= weight
        own += gain
        return own

    def beyond(
        self, target: Frame, source: Frame, boxes: Sequence[FaceBox], dither: Dither, index: int
    ) -> Frame:
        """``target`` with this edit outside ``boxes``; in their rims as far as the faces' edits fade out.

        Planes that ``target`` shares with ``source`` are copied, others are written in place.
        """
        mask = outside(self.grid, boxes)
        mask *= self.mask
        if not mask.any():
            return target
        matrix = rgb_to_yuv_matrix(source.color)[0].astype(np.float32)
        change = self.work.floats("body.change", *self.rgb.shape)
        np.multiply(self.rgb, self.gain, out=change)
        change *= mask
        offsets = self.work.floats("body.offsets", *self.rgb.shape)
        np.matmul(matrix, change.reshape(3, -1), out=offsets.reshape(3, -1))
        return paint(target, source, offsets, mask, self.grid, boxes, dither, index, self.work)


class BodyEditor:
    """Finds the edit of skin off the faces, frame by frame. Its state is passed through ``find``."""

    def __init__(
        self,
        rng: np.random.Generator,
        direction: Sequence[float],
        masking: float = MASKING_LEVEL,
    ) -> None:
        """``direction``: relative amplitude of the wanted pulse in R, G, B. ``masking``: relative rms."""
        self._direction = np.asarray(direction, np.float32)
        self._masking = Masking(rng, masking)

    def find(
        self,
        source: Frame,
        wearers: Sequence[Wearer],
        boxes: Sequence[FaceBox],
        strength: float,
        state: BodyState | None,
        work: Workspace | None = None,
    ) -> tuple[BodyEdit, BodyState]:
        """The edit of this frame's skin off the faces, and the next state.

        ``wearers``: at least one. ``boxes``: all faces', also those that are only covered. ``work`` is memory
        that one stream uses again and again: it consumes ``state``, which may not be given twice.
        """
        grid = grid_of(source)
        work = work or Workspace()
        turn = 0 if state is None else 1 - state.turn

        def kept(name: str, *shape: int) -> FloatMap:
            return work.floats(f"body.{name}{turn}", *shape)

        cells = cells_of(source, grid, work)
        logs = kept("logs", *cells.logs.shape)
        np.copyto(logs, cells.logs)
        like = kept("like", *grid.shape)
        np.copyto(like, skin_like(cells, wearers[0].tone, work))
        for other in wearers[1:]:
            np.maximum(like, skin_like(cells, other.tone, work), out=like)
        like *= off_faces(grid, boxes)
        step = 1 / 30 if state is None else min(max(source.seconds - state.seconds, 1e-3), 0.2)
        before = state if state is not None and state.grid == grid else self._start(grid, like, logs)
        wide = work.floats("body.wide", *grid.shape)
        cv2.dilate(like, np.ones((3, 3), np.uint8), dst=wide)
        mask = _steadied(before.mask, wide, step, kept("mask", *grid.shape))
        filters = kept("filters", *before.filters.shape)
        pulse, known = tile_pulse(
            changes(logs, before.logs, like, before.like, step, work),
            grid.tiles,
            step,
            (before.filters, before.known),
            filters,
            work,
        )
        power, trust = _trust(before, pulse[1], known, step)
        noise, noise_state = self._masking.step(before.noise, step)
        pulse = np.clip(REMOVAL * pulse, -LIMIT, LIMIT)
        change = self.change(wearers, grid, strength, pulse, trust)
        masking = enlarged(noise, grid.tiles)
        gain = enlarged(change + masking, grid.shape, work.floats("body.gain", *cells.rgb.shape))
        following = BodyState(
            grid, source.seconds, like, mask, logs, filters, power, known, noise_state, turn
        )
        return BodyEdit(grid, cells.rgb, gain, masking, mask, work), following

    def _start(self, grid: Grid, like: FloatMap, logs: FloatMap) -> BodyState:
        nowhere = np.zeros(grid.tiles, np.bool_)
        filters = band_stop.start((3, *grid.tiles))
        power = np.zeros(grid.tiles, np.float32)
        return BodyState(grid, 0.0, like, like, logs, filters, power, nowhere, self._masking.start())

    def change(
        self, wearers: Sequence[Wearer], grid: Grid, strength: float, pulse: FloatMap, trust: FloatMap
    ) -> FloatMap:
        """(3, th, tw): the nearest face's wanted pulse, less the tile's pulse as far as that is trusted, less
        the face's for the rest where its neck and chest are. Noise is not in it."""
        own_pulses = [
            strength * wanted_wave(one.phase) * self._direction if one.natural is None else one.natural
            for one in wearers
        ]
        shown = np.stack(own_pulses, axis=1)  # (3, faces)
        faces = np.stack([one.gain for one in wearers], axis=1)
        nearest = _nearest(wearers, grid)
        wanted, own = (part.astype(np.float32)[:, nearest] for part in (shown, np.clip(faces, -LIMIT, LIMIT)))
        stands_in = np.where(_under(wearers, grid), own, wanted)
        return np.asarray(trust * (wanted - pulse) + (1.0 - trust) * stands_in, np.float32)


def _centres(grid: Grid) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of the tiles, in pixels: (th,) down, (tw,) across."""
    down, across = (np.asarray((np.arange(n) + 0.5) * TILE * grid.cell, np.float64) for n in grid.tiles)
    return down, across


def _under(wearers: Sequence[Wearer], grid: Grid) -> npt.NDArray[np.bool_]:
    """(th, tw): tiles where a face's neck and chest are."""
    y, x = _centres(grid)
    found = np.zeros(grid.tiles, np.bool_)
    for one in wearers:
        down, aside = (y - one.box.cy) / one.box.size, np.abs(x - one.box.cx) / one.box.size
        found |= (down[:, None] > _CHIN) & (aside[None, :] < _SHOULDERS)
    return found


def _nearest(wearers: Sequence[Wearer], grid: Grid) -> npt.NDArray[np.intp]:
    """(th, tw): the number of the face that each tile is nearest to, by that face's size."""
    y, x = _centres(grid)
    apart = [np.hypot(x[None, :] - one.box.cx, y[:, None] - one.box.cy) / one.box.size for one in wearers]
    return np.asarray(np.argmin(apart, axis=0), np.intp)


def _trust(
    before: BodyState, green: FloatMap, known: npt.NDArray[np.bool_], step: float
) -> tuple[FloatMap, FloatMap]:
    """Mean square of each tile's in-band green, and how far (0..1) it is a pulse's and not motion's."""
    old = np.where(before.known, before.power, 4.0 * _CALM**2)
    keep = math.exp(-step / _CALM_SECONDS)
    power = np.where(known, keep * old + (1.0 - keep) * green**2, old).astype(np.float32)
    return power, np.asarray(1.0 / (1.0 + (power / _CALM**2) ** 2), np.float32)


def _steadied(mask: FloatMap, like: FloatMap, step: float, out: FloatMap) -> FloatMap:
    """The mask follows new skin at once and lets go slowly: one that flickers would show as a pulse."""
    rise, fall = (np.float32(1.0 - math.exp(-step / seconds)) for seconds in (_RISE, _FALL))
    # The larger of the two is the rise where there is more skin now, and the fall where there is less.
    np.subtract(like, mask, out=out)
    falling = out * fall
    out *= rise
    np.maximum(out, falling, out=out)
    out += mask
    out *= out >= _LEAST
    return out


@cache
def _beside(size: int) -> FloatMap:
    """(size, size) 0..1: where this edit takes the network's place. Beside the face's oval below the jaw,
    since a neck beats later than a face; above it only beyond the hairline and the ears, as far as the
    network's own map of skin reaches: its cells are the finer there, and it knows skin from hair."""
    at = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    beyond = np.hypot(at[None, :] / _EARS, at[:, None] / _HAIRLINE)
    away = np.clip((beyond - 1.0) / 0.12, 0.0, 1.0)
    below = np.clip((at[:, None] - _JAW) / (_CHIN - _JAW), 0.0, 1.0)
    weight: FloatMap = np.maximum(1.0 - 2.0 * oval(size), 0.0) * np.maximum(away, below)
    weight.setflags(write=False)
    return weight
