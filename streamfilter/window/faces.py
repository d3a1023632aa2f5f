"""The faces of the frame that has just come: where they are, and where their wanted pulse stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial

from streamfilter.clock import ClockState, PulseClock
from streamfilter.face.crop import crop_rgb
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import Frame
from streamfilter.places import Places, follow
from streamfilter.skin import skin_tone
from streamfilter.window.moments import Moment, View


@dataclass(frozen=True, slots=True)
class _Known:
    """An edited face of the frame before. ``name`` stays, whatever number the tracker gives it."""

    name: int
    clock: ClockState


class Faces:
    """Follows the faces of one stream, frame by frame, as the stream mode does: one that the tracker loses
    while its skin is still there goes on being edited, or covered, where it was."""

    def __init__(self, clock: PulseClock, finder: FaceFinder, size: int, most: int) -> None:
        """``size``: of the crops. ``most``: faces that are edited; a further one is covered."""
        self._clock, self._finder, self._size, self._most = clock, finder, size, most
        self._places: Places = {}
        self._known: Mapping[int, _Known] = {}
        self._names = 0

    def look(self, frame: Frame, bpm: float) -> Moment:
        """The frame with the faces in it, whose wanted pulse goes on at ``bpm``. Raises EngineError."""
        moment = Moment(frame, frame.seconds)
        crop_of = cache(partial(crop_rgb, frame, size=self._size))
        self._places, heirs = follow(self._places, self._finder.find(frame), frame.seconds, crop_of)
        following: dict[int, _Known] = {}
        for number, (face, place) in enumerate(self._places.items()):
            if number >= self._most:
                moment.covered.append(place.box)
                continue
            known = self._known.get(heirs.get(face, face))
            if known is None:
                known = _Known(self._names, self._clock.start(bpm))
                self._names += 1
            phase, clock = self._clock.advance(known.clock, frame.seconds, bpm)
            following[face] = replace(known, clock=clock)
            crop = crop_of(place.box)
            moment.views[known.name] = View(place.box, crop, phase, clock.bpm, skin_tone(crop))
        self._known = following
        return moment
