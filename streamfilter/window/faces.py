"""The faces of the frame that has just come: where they are, and where their wanted pulse stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from streamfilter.clock import ClockState, PulseClock
from streamfilter.face.box import FaceBox, overlap
from streamfilter.face.crop import crop_rgb
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import Frame
from streamfilter.skin import Tone, shows_skin, skin_tone
from streamfilter.window.moments import Moment, View

_SAME_PLACE = 0.3  # overlap of a new face with one that is held: it is the same face


@dataclass(frozen=True, slots=True)
class _Known:
    """A face of the frame before. ``name`` stays, whatever number the tracker gives it."""

    name: int
    box: FaceBox
    clock: ClockState
    tone: Tone


class Faces:
    """Follows the faces of one stream, frame by frame, as the stream mode does: one that the tracker loses
    while its skin is still there goes on being edited where it was."""

    def __init__(self, clock: PulseClock, finder: FaceFinder, size: int, most: int) -> None:
        """``size``: of the crops. ``most``: faces that are edited; a further one is covered."""
        self._clock, self._finder, self._size, self._most = clock, finder, size, most
        self._known: Mapping[int, _Known] = {}
        self._names = 0

    def look(self, frame: Frame, bpm: float) -> Moment:
        """The frame with the faces in it, whose wanted pulse goes on at ``bpm``. Raises EngineError."""
        moment = Moment(frame, frame.seconds)
        boxes = {face.id: face.box for face in self._finder.find(frame)}
        heirs = self._held(frame, boxes)
        following: dict[int, _Known] = {}
        for number, (face, box) in enumerate(boxes.items()):
            if number >= self._most:
                moment.covered.append(box)
                continue
            crop = crop_rgb(frame, box, self._size)
            look = skin_tone(crop)
            known = self._known.get(heirs.get(face, face))
            if known is None:
                known = _Known(self._names, box, self._clock.start(bpm), look)
                self._names += 1
            phase, clock = self._clock.advance(known.clock, frame.seconds, bpm)
            following[face] = replace(known, box=box, clock=clock)
            moment.views[known.name] = View(box, crop, phase, clock.bpm, look)
        self._known = following
        return moment

    def _held(self, frame: Frame, boxes: dict[int, FaceBox]) -> dict[int, int]:
        """Adds to ``boxes`` faces that the tracker gave up but whose skin is there; new numbers of faces that
        it gave up and found again."""
        heirs: dict[int, int] = {}
        for face, known in self._known.items():
            if face in boxes:
                continue
            heir = next((new for new, box in boxes.items() if overlap(box, known.box) > _SAME_PLACE), None)
            if heir is not None and heir not in self._known:
                heirs.setdefault(heir, face)
            elif heir is None and shows_skin(crop_rgb(frame, known.box, self._size), known.tone):
                boxes[face] = known.box
        return heirs
