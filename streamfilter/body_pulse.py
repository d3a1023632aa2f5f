"""The pulse of skin off the faces: cells' changes gathered in tiles, a causal band-stop on each tile."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter import band_stop
from streamfilter.dither import FloatMap
from streamfilter.skin_cells import TILE
from streamfilter.workspace import Workspace

Known = npt.NDArray[np.bool_]

_SLEW = 2.0  # 1/s: a cell's log colour that moves faster is motion, not light or blood
_SURE = 0.1  # share of a tile and its neighbours that is skin: enough to go by


def changes(
    logs: FloatMap, before: FloatMap, like: FloatMap, former: FloatMap, step: float, work: Workspace
) -> FloatMap:
    """(4, h, w), in ``work``: how the cells' log R, G, B moved since ``before`` (3, h, w), weighted, and the
    weight: how far a cell was (``former``) and is (``like``) skin, (h, w)."""
    gathered = work.floats("pulse.gathered", 4, *like.shape)
    change, weights = gathered[:3], gathered[3]
    np.minimum(like, former, out=weights)
    np.subtract(logs, before, out=change)
    limit = _SLEW * step
    np.clip(change, -limit, limit, out=change)
    change *= weights
    return gathered


def tile_pulse(
    gathered: FloatMap,
    tiles: tuple[int, int],
    step: float,
    state: tuple[FloatMap, Known],
    out: FloatMap,
    work: Workspace,
) -> tuple[FloatMap, Known]:
    """The tiles' in-band log colour (3, th, tw), and which tiles have skin. ``state``: the filters
    (STATES, 3, th, tw) and which tiles had skin. The next filters go to ``out``.

    A tile's colour is not that of its skin now, but the sum of the ``changes`` of cells that were and are
    skin: skin that comes and goes is then no step. A tile that skin moves into goes on from its
    neighbours.
    """
    sums = _blurred(_shrunk(gathered, tiles), cv2.BORDER_CONSTANT)
    share = sums[3]
    present = share > 0.1 * _SURE
    moved = np.where(present, sums[:3] / np.maximum(share, 1e-6), 0.0).astype(np.float32)
    _inherit(*state, present, out, work)
    pulse, _ = band_stop.in_band(moved, step, out, out)
    sure = np.minimum(share / _SURE, 1.0) * present
    spread = _blurred(np.concatenate([pulse * sure, sure[None]]), cv2.BORDER_DEFAULT)
    filled = spread[:3] / (spread[3] + 1e-6)
    pulse = sure * pulse + (1.0 - sure) * filled
    return np.asarray(pulse, np.float32), present


def enlarged(values: FloatMap, shape: tuple[int, int], out: FloatMap | None = None) -> FloatMap:
    """(3, h, w) resampled smoothly to ``shape``, into ``out`` if given."""
    made = np.empty((len(values), *shape), np.float32) if out is None else out
    for part, large in zip(values, made, strict=True):
        cv2.resize(part, shape[::-1], dst=large, interpolation=cv2.INTER_LINEAR)
    return made


def _shrunk(maps: FloatMap, tiles: tuple[int, int]) -> FloatMap:
    """Maps (n, h, w) averaged to ``tiles``."""
    count, height, width = maps.shape
    if (height, width) == (TILE * tiles[0], TILE * tiles[1]):
        # Whole tiles: one map below the other is a single picture.
        stacked = maps.reshape(count * height, width)
        made = cv2.resize(stacked, (tiles[1], count * tiles[0]), interpolation=cv2.INTER_AREA)
        return np.asarray(made, np.float32).reshape(count, *tiles)
    return np.stack([cv2.resize(part, tiles[::-1], interpolation=cv2.INTER_AREA) for part in maps])


def _blurred(maps: FloatMap, border: int) -> FloatMap:
    """Maps (n, h, w) averaged over 3 x 3, all in one go."""
    blurred = cv2.blur(np.ascontiguousarray(np.moveaxis(maps, 0, -1)), (3, 3), borderType=border)
    return np.ascontiguousarray(np.moveaxis(blurred, -1, 0), np.float32)


def _inherit(filters: FloatMap, known: Known, present: Known, out: FloatMap, work: Workspace) -> None:
    """To ``out`` the filters; new tiles get the mean state of the known tiles around them, or zeros."""
    np.copyto(out, filters)
    fresh = present & ~known
    if not fresh.any():
        return
    states = filters.reshape(-1, *known.shape)
    count = len(states)
    weighted = work.floats("pulse.weighted", *known.shape, count + 1)
    weighted[..., count] = known
    for number, part in enumerate(states):
        np.multiply(part, weighted[..., count], out=weighted[..., number])
    around = cv2.blur(weighted, (3, 3), dst=work.floats("pulse.around", *weighted.shape))
    # Few tiles are new: only theirs are looked up.
    rows, columns = np.nonzero(fresh)
    found = around[rows, columns]
    out.reshape(states.shape)[:, rows, columns] = (found[:, :count] / (found[:, count:] + 1e-6)).T
