"""Where faces are, and where they were: a face that the tracker loses keeps its place while its skin is seen.

Detector and tracker lose a face that turns away, bows or is hidden for a moment. It may still be in view, so
its place goes on being edited, or covered where it was only covered, for as long as skin of its tone is seen
there. A wall of that tone looks the same to this test, hence ``unseen_for``: live, somebody has to be
detected again before long (live/guard.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from streamfilter.face.box import FaceBox, overlap
from streamfilter.face.track import TrackedFace
from streamfilter.skin import Crop, Tone, shows_skin, skin_tone
from streamfilter.skin_cells import toward

TONE_SECONDS = 2.0  # in which a place's tone follows its face's: light and white balance change
_LONGEST_STEP = 0.2  # seconds of that at once
_SAME_PLACE = 0.3  # overlap of a new face with one that is held: it is the same face

Places = Mapping[int, "Place"]  # by the tracker's number of the face


@dataclass(frozen=True, slots=True)
class Place:
    """``tone``: of the face's skin, as it was while it was detected. ``seen``: capture time (s) of its last
    detection."""

    box: FaceBox
    tone: Tone
    seen: float


def follow(
    before: Places, faces: Sequence[TrackedFace], seconds: float, crop: Callable[[FaceBox], Crop]
) -> tuple[Places, Mapping[int, int]]:
    """The places of the frame at ``seconds``, and the old number of each face that was lost and found again.

    First ``faces``, what the tracker says of this frame, in its order; then those of ``before`` that it has
    given up but whose skin is there. ``crop``: a box of this frame, (3, S, S) R, G, B in 0..1.
    """
    boxes = {face.id: face.box for face in faces}
    heirs: dict[int, int] = {}
    held: dict[int, Place] = {}
    for face, place in before.items():
        if face in boxes:
            continue
        heir = next((new for new, box in boxes.items() if overlap(box, place.box) > _SAME_PLACE), None)
        if heir is None:
            if shows_skin(crop(place.box), place.tone):
                held[face] = place
        elif heir not in before:
            heirs.setdefault(heir, face)
    now = {one.id: _place(one, before.get(heirs.get(one.id, one.id)), seconds, crop) for one in faces}
    return {**now, **held}, heirs


def _place(face: TrackedFace, known: Place | None, seconds: float, crop: Callable[[FaceBox], Crop]) -> Place:
    seen = seconds - face.lost_for
    if known is not None and face.lost_for > 0.0:
        return Place(face.box, known.tone, seen)
    tone = skin_tone(crop(face.box))
    if known is not None:
        step = min(max(seen - known.seen, 0.0), _LONGEST_STEP)
        tone = toward(known.tone, tone, 1.0 - math.exp(-step / TONE_SECONDS))
    return Place(face.box, tone, seen)


def unseen_for(places: Places, seconds: float) -> float:
    """Seconds since any of the faces was last detected, at ``seconds``; 0 where there is none."""
    if not places:
        return 0.0
    return max(seconds - max(place.seen for place in places.values()), 0.0)
