"""Memory that is used again frame after frame, so that the hot path asks the system for none.

Large arrays cost more than their numbers: fresh pages have to be mapped and cleared, and the caches are cold.
Two kinds: a :class:`Workspace` for what is only needed within a frame, and a :class:`PlanePool` for planes
that leave the filter, whose memory comes back when nobody holds them any more.
"""

from __future__ import annotations

import sys
from math import prod

import numpy as np
import numpy.typing as npt

from streamfilter.frame import Frame, Plane

_ROOM = 1.3  # times what is asked for: boxes grow and shrink a little
_MOST = 12  # planes of a size that are kept; a consumer that holds more gets fresh ones
_SIZES = 4  # of planes that are kept: Y and the chroma of two pictures


class Workspace:
    """Scratch arrays by name, each valid until its name is asked for again. For one thread."""

    def __init__(self) -> None:
        self._held: dict[str, npt.NDArray[np.uint8]] = {}

    def floats(self, name: str, *shape: int) -> npt.NDArray[np.float32]:
        """An array (``shape``) float32 of any content."""
        return np.ndarray(shape, np.float32, self._memory(name, 4 * prod(shape)))

    def doubles(self, name: str, *shape: int) -> npt.NDArray[np.float64]:
        """An array (``shape``) float64 of any content."""
        return np.ndarray(shape, np.float64, self._memory(name, 8 * prod(shape)))

    def shorts(self, name: str, *shape: int) -> npt.NDArray[np.int16]:
        """An array (``shape``) int16 of any content."""
        return np.ndarray(shape, np.int16, self._memory(name, 2 * prod(shape)))

    def integers(self, name: str, *shape: int) -> npt.NDArray[np.int32]:
        """An array (``shape``) int32 of any content."""
        return np.ndarray(shape, np.int32, self._memory(name, 4 * prod(shape)))

    def bytes(self, name: str, *shape: int) -> npt.NDArray[np.uint8]:
        """An array (``shape``) uint8 of any content."""
        return np.ndarray(shape, np.uint8, self._memory(name, prod(shape)))

    def _memory(self, name: str, size: int) -> npt.NDArray[np.uint8]:
        held = self._held.get(name)
        if held is None or held.size < size:
            held = self._held[name] = np.empty(int(size * _ROOM), np.uint8)
        return held


class PlanePool:
    """Copies of planes in memory that is used again as soon as it would have been freed.

    A plane, and every view of it, holds a reference to its memory, so that memory whose only reference is the
    pool's is nobody's: what a consumer still has, for however long, is never written to.
    """

    def __init__(self) -> None:
        self._planes: dict[tuple[int, ...], list[Plane]] = {}
        # Without the interpreter's lock such counts are estimates: then nothing is used again.
        self._counts = getattr(sys, "_is_gil_enabled", lambda: True)()
        self._idle = self._references([np.empty((0, 0), np.uint8)])[0]

    def copy(self, frame: Frame) -> Frame:
        """The frame in planes of its own, which the caller may write to."""
        return frame.with_planes(self._copied(frame.y), self._copied(frame.u), self._copied(frame.v))

    def _copied(self, plane: Plane) -> Plane:
        made = self._free(plane.shape)
        np.copyto(made, plane)
        return made

    def _free(self, shape: tuple[int, ...]) -> Plane:
        if not self._counts:
            return np.empty(shape, np.uint8)
        if shape not in self._planes and len(self._planes) >= _SIZES:
            self._planes.clear()
        kept = self._planes.setdefault(shape, [])
        for number, references in enumerate(self._references(kept)):
            if references == self._idle:
                return kept[number]
        made = np.empty(shape, np.uint8)
        if len(kept) < _MOST:
            kept.append(made)
        return made

    @staticmethod
    def _references(planes: list[Plane]) -> list[int]:
        """How many references there are to each plane, with those of the list and of this function."""
        return [sys.getrefcount(plane) for plane in planes]
