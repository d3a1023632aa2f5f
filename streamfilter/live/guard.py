"""The one gate between what a camera saw and what leaves: frames go in, only safe ones come out.

Fail closed: what is not known to be edited becomes a card. That holds for every exception of the filter,
for a result that cannot be the edit of its frame, and, stricter than for files, for a frame in which no face
was edited, or none has been detected for a while: nobody's skin leaves because the detector missed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from streamfilter.face.box import FaceBox
from streamfilter.frame import ColorSpec, Frame
from streamfilter.frame_filter import FILTER_FAILED, FilteredFrame, FrameFilter, check_result
from streamfilter.live.ports import LIVE_TIME_BASE
from streamfilter.shield import shield_frame

NO_FACE = "no face in view"
# Seconds without a detection after which the faces that are edited are only believed to be there. The tracker
# follows one for 1.5 s of them, and who only looked away for a moment is found again in the next. After that,
# what looks like the face's skin may be a wall, and the person anywhere in the picture.
UNSEEN = 2.5
WORN_OUT = 30  # failures in a row, a second at 30 fps: this filter will not recover by itself

_SEAL = object()


@dataclass(frozen=True, slots=True, eq=False)
class SafeFrame:
    """A frame that may leave. Only this module makes them; nothing else is taken by what follows.

    ``arrived``: when its camera frame came (s). ``reason`` says why it, or a part of it, is covered (None:
    nothing is). ``card``: no pixel of the camera is in it.
    """

    frame: Frame
    arrived: float
    reason: str | None
    card: bool
    seal: object = field(repr=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("safe frames are made by the guard only, from an edit or from a card")


class LiveResult(FilteredFrame, Protocol):
    """What the live filter made of a frame, the boxes of the edited faces by their number, and for how many
    seconds (``unseen``) none of the faces has been detected."""

    @property
    def boxes(self) -> Mapping[int, FaceBox]: ...

    @property
    def unseen(self) -> float: ...


class LiveFilter(FrameFilter, Protocol):
    """Edits the frames of one camera in order of time."""

    def process(self, frame: Frame) -> LiveResult: ...

    def set_strength(self, strength: float) -> None: ...


class Cards:
    """Cards of one size. The last one drawn is kept, since a reason is shown many times over."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._last: tuple[str, Frame] | None = None

    def make(self, reason: str, now: float) -> SafeFrame:
        """A card that names ``reason``, of the moment ``now`` (s)."""
        last = self._last  # one read: several threads may draw
        if last is None or last[0] != reason:
            last = (reason, shield_frame(self._blank, reason))
            self._last = last
        drawn = last[1]
        frame = Frame(drawn.y, drawn.u, drawn.v, round(now / LIVE_TIME_BASE), LIVE_TIME_BASE, drawn.color)
        return SafeFrame(frame, now, reason, True, _SEAL)

    @cached_property
    def _blank(self) -> Frame:
        chroma = np.zeros(((self.height + 1) // 2, (self.width + 1) // 2), np.uint8)
        luma = np.zeros((self.height, self.width), np.uint8)
        return Frame(luma, chroma, chroma, 0, LIVE_TIME_BASE, ColorSpec())


class Guard:
    """Runs one live filter and lets out what it edited, else a card. For one thread."""

    def __init__(self, live_filter: LiveFilter, cards: Cards) -> None:
        """``cards`` has the size of the frames."""
        self.filter = live_filter
        self.failure: str | None = None
        self._cards = cards
        self._failures = 0

    @property
    def worn_out(self) -> bool:
        """Whether the filter failed so often in a row that it should be built anew."""
        return self._failures >= WORN_OUT

    def process(self, frame: Frame, arrived: float) -> tuple[SafeFrame, Mapping[int, FaceBox]]:
        """The safe form of ``frame``, which arrived at ``arrived`` (s), and the faces edited in it.

        Never raises for what the filter does; ``failure`` then says what it was.
        """
        try:
            result = self.filter.process(frame)
            check_result(result, frame)
            faces = int(result.faces)
            covered, boxes = result.shielded, result.boxes
            seen = faces >= 1 and float(result.unseen) <= UNSEEN
        except Exception as error:  # noqa: BLE001  # any fault at all must end in a card, not in a raw frame
            return self._failed(error, arrived), {}
        self._failures = 0
        if not seen:
            return self._cards.make(NO_FACE, arrived), {}
        return SafeFrame(result.frame, arrived, covered, False, _SEAL), boxes

    def _failed(self, error: Exception, arrived: float) -> SafeFrame:
        self._failures += 1
        self.failure = f"{type(error).__name__}: {error}"
        return self._cards.make(FILTER_FAILED, arrived)

    def close(self) -> None:
        """Free the filter."""
        self.filter.close()
