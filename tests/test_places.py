"""Where faces are and were: who is held, for how long, and by which tone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from streamfilter.face.box import FaceBox
from streamfilter.face.track import TrackedFace
from streamfilter.places import Places, follow, unseen_for
from streamfilter.skin import Crop

LEFT, RIGHT = FaceBox(100.0, 100.0, 80.0), FaceBox(400.0, 100.0, 80.0)
SKIN, WALL = (0.7, 0.5, 0.4), (0.5, 0.5, 0.5)


def face(number: int, box: FaceBox, lost_for: float = 0.0) -> TrackedFace:
    return TrackedFace(number, box, 0.9, lost_for)


def showing(colour: tuple[float, float, float]) -> Callable[[FaceBox], Crop]:
    """A picture of one colour, wherever it is looked at."""
    return lambda box: np.full((3, 24, 24), np.array(colour)[:, None, None], np.float32)


def test_a_lost_face_is_held_after_the_others_until_its_skin_has_gone() -> None:
    places, _ = follow({}, [face(0, LEFT), face(1, RIGHT)], 0.0, showing(SKIN))
    for index in range(1, 100):
        places, heirs = follow(places, [face(1, RIGHT)], index / 30, showing(SKIN))
        assert list(places) == [1, 0] and places[0].box == LEFT and not heirs
    places, _ = follow(places, [face(1, RIGHT)], 4.0, showing(WALL))
    assert list(places) == [1]


def test_a_face_that_is_found_again_inherits_its_place() -> None:
    places, _ = follow({}, [face(0, LEFT)], 0.0, showing(SKIN))
    places, _ = follow(places, [], 1.0, showing(SKIN))
    places, heirs = follow(places, [face(3, FaceBox(104.0, 100.0, 80.0))], 2.0, showing(SKIN))
    assert list(places) == [3] and heirs == {3: 0} and places[3].seen == 2.0


def test_unseen_is_counted_from_the_last_detection_of_any() -> None:
    assert unseen_for({}, 5.0) == 0.0
    places, _ = follow({}, [face(0, LEFT), face(1, RIGHT)], 1.0, showing(SKIN))
    assert unseen_for(places, 1.0) == 0.0
    places, _ = follow(places, [face(0, LEFT, 0.5), face(1, RIGHT, 0.25)], 1.5, showing(SKIN))
    assert unseen_for(places, 1.5) == 0.25
    places, _ = follow(places, [], 3.0, showing(SKIN))
    assert unseen_for(places, 3.0) == 1.75


def lit(places: Places, start: float, lost_for: float) -> Places:
    """Eight seconds in which the light turns warm, then stays so."""
    for index in range(1, 121):
        red = SKIN[0] * (1.0 + 0.4 * min(index / 60, 1.0))
        warm = showing((red, SKIN[1], SKIN[2]))
        places, _ = follow(places, [face(0, LEFT, lost_for)], start + index / 15, warm)
    return places


def test_the_tone_that_is_looked_for_follows_the_light_while_the_face_is_detected() -> None:
    places, _ = follow({}, [face(0, LEFT)], 0.0, showing(SKIN))
    warm = showing((1.4 * SKIN[0], SKIN[1], SKIN[2]))
    assert 0 in follow(lit(places, 0.0, 0.0), [], 9.0, warm)[0]
    # What is there while it is not may be something else.
    assert 0 not in follow(lit(places, 0.0, 0.1), [], 9.0, warm)[0]
