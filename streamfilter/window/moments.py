"""The frames of the window, and one face's window for the graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamfilter.face.box import FaceBox
from streamfilter.frame import Frame
from streamfilter.skin import Tone

Array32 = npt.NDArray[np.float32]


@dataclass(slots=True)
class View:
    """One face in one frame: ``crop`` (3, S, S), ``phase`` (radians) and ``bpm`` of its wanted
    pulse, ``look`` its tone. ``add`` gathers what windows make of it."""

    box: FaceBox
    crop: Array32
    phase: float
    bpm: float
    look: Tone
    _sum: Array32 | None = None
    _weight: float = 0.0

    def add(self, picture: Array32, weight: float) -> None:
        """A window's edited crop (3, S, S), with its weight in the cross-fade; weight 0 changes nothing."""
        if weight > 0.0:
            weighted = picture * np.float32(weight)
            self._sum = weighted if self._sum is None else self._sum + weighted
            self._weight += weight

    @property
    def edited(self) -> Array32:
        """The cross-faded crop. Raises RuntimeError before any window has covered it."""
        if self._sum is None:
            raise RuntimeError("a frame is to leave that no window has covered")
        return np.asarray(self._sum / np.float32(self._weight), np.float32)


@dataclass(slots=True)
class Moment:
    """A frame (None once it has left), the faces that are edited in it, and boxes that are only covered."""

    frame: Frame | None
    seconds: float
    views: dict[int, View] = field(default_factory=dict)
    covered: list[FaceBox] = field(default_factory=list)


class FaceWindow(NamedTuple):
    """The graph's inputs for one face: ``crops`` (W, 3, S, S), ``phase`` (W, 2), the rate of the prompt."""

    crops: Array32
    phase: Array32
    bpm: float


def face_window(moments: Sequence[Moment], face: int, size: int, period: float) -> FaceWindow:
    """``face`` over ``size`` frames: ``moments``, and where there are fewer the last one repeated.

    Where the face is not there its nearest crop stands in, for the network's sake; the phase runs on evenly,
    and beyond the last frame by ``period`` seconds a frame. The prompt's rate is that of the middle.
    """
    views = {index: moment.views[face] for index, moment in enumerate(moments) if face in moment.views}
    known = np.array(sorted(views))
    nearest = known[np.abs(np.arange(size)[:, None] - known).argmin(axis=1)]
    seconds = [moment.seconds for moment in moments]
    seconds += [seconds[-1] + period * (index + 1) for index in range(size - len(seconds))]
    crops, phase = [], []
    for at, other in zip(seconds, nearest, strict=True):
        view = views[int(other)]
        crops.append(view.crop)
        phase.append(view.phase + 2.0 * math.pi * view.bpm / 60.0 * (at - seconds[int(other)]))
    angle = np.array(phase)
    moment = np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)
    return FaceWindow(np.stack(crops), moment, views[int(nearest[size // 2])].bpm)
