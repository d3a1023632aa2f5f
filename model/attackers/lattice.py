"""(g) The dither read backwards: attacks on how the edit is written, by who gets every sample unchanged.

An edit d of a fraction of a level is written as "some samples move". Who can tell which samples were likely
to move reads d off them, takes it from the picture's mean, and has the true pulse:

- `without_edit`: the thresholds follow a public pattern (here the lattice that this project used to have), so
  that samples of like thresholds can be averaged; the share of them that moved is d.
- `noise_power`: with thresholds that nobody knows, samples still scatter more where d is near one half.
- `components`: with thresholds that stand still, samples that move together are found by their own movement.

The receiver of a call is after a codec, which leaves little of single samples: these attackers sit before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter.dither import Dither, Draw, PlaneDither, Thresholds

Floats = npt.NDArray[np.float64]
Region = npt.NDArray[np.uint8]

BINS = 32  # classes of like thresholds
_TURN, _DOWN, _ACROSS = 159, 147, 193  # 256ths: golden ratio; plastic number squared, plastic number
_FRACTIONS = np.arange(0.0, 1.0, 1 / 32)
_OUTLIER = 6.0  # levels; beyond it a sample's texture tells nothing of a threshold


@dataclass(slots=True)
class LatticeDraw(Draw):
    """Thresholds on Roberts' R2 lattice, turned by the golden ratio from frame to frame; ``key`` mod 256 is
    all that is secret. For comparison: the filter must not use it."""

    def strips(
        self, kind: PlaneDither, shape: tuple[int, int], top: int, left: int
    ) -> Iterator[tuple[slice, Thresholds]]:
        levels = (
            lattice(shape, top, left, kind.block) + self.key + _TURN * (self.frame or 0) + 85 * self.plane
        )
        yield slice(0, shape[0]), (levels % 256).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class LatticeDither(Dither):
    """As `Dither`, with `LatticeDraw`."""

    def of(self, plane: int, frame: int, layer: int = 0) -> tuple[PlaneDither, Draw]:
        kind, _ = Dither.of(self, plane, frame, layer)
        return kind, LatticeDraw(self.key, plane, frame)


def lattice(shape: tuple[int, int], top: int, left: int, block: int = 1) -> npt.NDArray[np.int64]:
    """(rows, columns) 0..255: the public pattern in the first frame of key 0."""
    down, across = ((np.arange(at, at + n) // block) for at, n in zip((top, left), shape, strict=True))
    return np.asarray((down[:, None] * _DOWN + across[None, :] * _ACROSS) % 256, np.int64)


def without_edit(regions: Region, top: int, left: int, tiles: int = 1) -> Floats:
    """(T,) the mean of Y, levels, less the edit that the lattice's classes tell; its level is arbitrary.

    ``regions`` (T, h, w): the same samples of Y in each frame, at ``top`` and ``left``. A frame's classes
    hold, on a circle of thresholds, an arc of samples that moved a level further: its length is d's fraction
    (matched filter), its end the same place in every frame. Whole levels are told by what is left changing by
    less than half a level from frame to frame. Read in ``tiles`` x ``tiles`` places, since d differs over the
    face.
    """
    pattern = lattice((regions.shape[1], regions.shape[2]), top, left)
    residues = np.stack([_residue(region) for region in regions])
    down, across = (np.array_split(np.arange(length), tiles) for length in pattern.shape)
    places = [np.ix_(rows, columns) for rows in down for columns in across]
    fits = np.stack([_fit(residues[:, rows, columns], pattern[rows, columns]) for rows, columns in places])
    ended = fits.max(axis=3).sum(axis=(0, 2)).argmax()  # where on the circle the arcs end
    left_over = []
    for fit, (rows, columns) in zip(fits, places, strict=True):
        fraction = _FRACTIONS[fit[ended].argmax(axis=1)]
        seen = regions[:, rows, columns].mean(axis=(1, 2))
        change = np.diff(seen - fraction, prepend=seen[0] - fraction[0])
        left_over.append(np.cumsum((change + 0.5) % 1.0 - 0.5))
    return np.asarray(np.mean(left_over, axis=0))


def _fit(residues: Floats, pattern: npt.NDArray[np.int64]) -> Floats:
    """(BINS, T, fractions) log likelihoods of each fraction, for each place where the arcs may end."""
    means, noise = [], []
    for index, residue in enumerate(residues):
        near = np.abs(residue) < _OUTLIER
        bins = ((pattern + _TURN * index) % 256 * BINS // 256)[near]
        count = np.maximum(np.bincount(bins, minlength=BINS), 1)
        mean = np.bincount(bins, residue[near], BINS) / count
        means.append(mean - mean.mean())
        noise.append(residue[near].var() / count.mean())
    table, arcs = np.stack(means), _arcs(_FRACTIONS)
    precision = 1.0 / np.maximum(np.array(noise), 1e-6)[:, None]
    energy = 0.5 * (arcs**2).sum(axis=1)
    return np.stack([(np.roll(table, turn, axis=1) @ arcs.T - energy) * precision for turn in range(BINS)])


def noise_power(regions: Region) -> Floats:
    """(T,) mean square of what changes between neighbours in time and space, levels squared."""
    stack = regions.astype(np.float32)
    powers = [
        float(np.minimum(_residue(now - last) ** 2, _OUTLIER**2).mean()) for last, now in pairwise(stack)
    ]
    return np.array([powers[0], *powers])


def components(regions: Region, count: int = 3) -> Floats:
    """(T, count) the strongest common movements of the samples, each less its neighbours and its own mean."""
    residues = np.stack([_residue(region).ravel() for region in regions])
    residues = np.clip(residues, -_OUTLIER, _OUTLIER)
    residues -= residues.mean(axis=0)
    power, waves = np.linalg.eigh(residues @ residues.T)
    return np.asarray(waves[:, ::-1][:, :count] * np.sqrt(np.maximum(power[::-1][:count], 0.0)))


def _residue(plane: npt.NDArray[np.generic]) -> Floats:
    """What a sample has beyond its surroundings of 5 x 5."""
    picture = np.asarray(plane, np.float32)
    return np.asarray(picture - cv2.blur(picture, (5, 5)), np.float64)


def _arcs(fractions: Floats) -> Floats:
    """(F, BINS) zero-mean templates: the last ``fraction`` of the circle is a level higher."""
    edges = np.arange(BINS) / BINS
    inside = np.clip((edges[None] + 1.0 / BINS - (1.0 - fractions[:, None])) * BINS, 0.0, 1.0)
    return np.asarray(inside - inside.mean(axis=1, keepdims=True))
