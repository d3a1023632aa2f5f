"""The filter of one lane in the hands of its worker: built, built anew when it must be, and guarded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from av.video.frame import VideoFrame

from streamfilter.config import FilterSettings
from streamfilter.errors import PhysioCamError
from streamfilter.frame import Frame
from streamfilter.frame_filter import FILTER_FAILED, SETTLING
from streamfilter.live.guard import Cards, Guard, LiveFilter, SafeFrame
from streamfilter.relay.media.frames import CaptureTime, frame_of
from streamfilter.relay.ports import Edit

MakeFilter = Callable[[FilterSettings], LiveFilter]

SETTLE_SECONDS = 1.5
STARTING = "the filter starts"
AGAIN_SECONDS = 1.0  # after which a filter that could not be built is tried again


def filter_settings(base: FilterSettings, edit: Edit) -> FilterSettings:
    """``base`` with a room's edit in it. Raises UsageError where the edit is out of its range."""
    target = base.target_bpm if edit.bpm is None else edit.bpm
    strength = 0.0 if edit.bpm is None else 1.0
    return replace(base, target_bpm=target, strength=strength, hr_variability=edit.variability)


class FilterSlot:
    """Frames in, safe frames out. For one thread at a time."""

    def __init__(self, make_filter: MakeFilter, settings: FilterSettings) -> None:
        """``settings``: of the filter that is built first; ``make_filter`` may raise PhysioCamError."""
        self._make = make_filter
        self._built = self._wanted = settings
        self._guard: Guard | None = None
        self._kind: object = None
        self._times = CaptureTime()
        self._retry_at = 0.0
        self.failure: str | None = None

    def set(self, settings: FilterSettings) -> None:
        """Filter like this from the next frame on."""
        self._wanted = settings

    def reset(self) -> None:
        """The next frame finds a new filter, which has to settle."""
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.close()

    def process(self, picture: VideoFrame, arrived: float) -> SafeFrame:
        """The edited picture, or a card of its size. ``arrived`` (s): when it had been decoded."""
        frame = frame_of(picture, self._times.ticks(picture.pts or 0, arrived))
        cards = Cards(frame.width, frame.height)
        guard = self._ready(frame, cards, arrived)
        if guard is None:
            return cards.make(FILTER_FAILED, arrived)
        safe, _ = guard.process(frame, arrived)
        if safe.card:
            self.failure = guard.failure if safe.reason == FILTER_FAILED else None
        elif safe.reason == SETTLING:
            # The filter covers the new face only; a call shows nothing of a room before its filter is sure.
            return cards.make(SETTLING, arrived)
        return safe

    def _ready(self, frame: Frame, cards: Cards, now: float) -> Guard | None:
        """A guard for frames like this one; None where none can be built now."""
        kind = (frame.width, frame.height, frame.color)
        guard = self._guard
        if guard is not None and (self._kind != kind or guard.worn_out or self._needs_new()):
            self.reset()
            guard = None
        if guard is None:
            if now < self._retry_at:
                return None
            try:
                guard = Guard(self._make(self._wanted), cards)
            except PhysioCamError as error:
                self.failure, self._retry_at = str(error), now + AGAIN_SECONDS
                return None
            self._guard, self._kind, self._built = guard, kind, self._wanted
        if self._built != self._wanted:
            guard.filter.set_target(self._wanted.target_bpm)
            guard.filter.set_strength(self._wanted.strength)
            self._built = self._wanted
        return guard

    def _needs_new(self) -> bool:
        """Whether the wish cannot be taken up by a running filter."""
        live = replace(self._built, target_bpm=self._wanted.target_bpm, strength=self._wanted.strength)
        return live != self._wanted
