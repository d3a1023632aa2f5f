"""What leaves now: the newest safe frame, a card, or nothing yet. A pure decision, without a clock.

Frames leave as they come, so that no delay is added. Where none comes, or what comes is too old, a card
takes the picture's place: at once, then ten times a second, since readers of a virtual camera expect a
steady stream.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamfilter.live.guard import SafeFrame

STALL = 0.150  # seconds without a frame, or of a frame's age, beyond which a card is shown
CARD_PERIOD = 0.1  # seconds between repeated cards
IDLE_PERIOD = 0.5  # the same while nobody watches
CALM = 0.3  # seconds that all must be well before the picture comes back: no flicker between it and cards

STARTING = "starting"
TOO_SLOW = "the filter is too slow"
CAMERA_STALLED = "the camera has stalled"


@dataclass(frozen=True, slots=True)
class Screen:
    """What the output shows. Moments in seconds.

    ``reason`` is the card's (None: an edited frame); ``written`` when it was last written, ``heard`` when a
    frame or card last came from the filter, ``bad`` when something was last wrong, ``silent`` when the camera
    was last found silent.
    """

    reason: str | None = STARTING
    written: float = float("-inf")
    heard: float = float("-inf")
    bad: float = float("-inf")
    silent: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to decide on at ``now``.

    ``newest``: what the filter made since. ``hold``: why no frame may leave, whatever comes (None: they may);
    ``idle``: it is a hold that nobody watches. ``patience``: seconds without a frame that are normal for this
    camera, at least STALL. ``camera_silent``: seconds since the camera's last frame.
    """

    now: float
    newest: SafeFrame | None
    hold: str | None
    idle: bool = False
    patience: float = STALL
    camera_silent: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Write ``frame``, or a card that says ``card``, or (both None) wait until ``until``.

    ``dropped``: why the newest frame does not leave (None: it does, or there is none). ``screen``: what the
    output shows once that is done.
    """

    screen: Screen
    frame: SafeFrame | None = None
    card: str | None = None
    dropped: str | None = None
    until: float = float("-inf")


def decide(screen: Screen, scene: Scene) -> Decision:
    """What to do now."""
    newest = scene.newest
    # Silence is counted from the end of a hold, in which nothing was to come.
    heard = screen if newest is None and scene.hold is None else replace(screen, heard=scene.now)
    edited = newest is not None and not newest.card
    if scene.camera_silent > scene.patience:
        heard = replace(heard, silent=scene.now)
    if scene.hold is not None:
        period = IDLE_PERIOD if scene.idle else CARD_PERIOD
        return _card(heard, scene.now, scene.hold, period, scene.hold if edited else None)
    fault = _fault(heard, scene)
    if fault is not None:
        return _card(replace(heard, bad=scene.now), scene.now, fault, dropped=fault if edited else None)
    if newest is None:
        if screen.reason is not None:
            return _card(heard, scene.now, screen.reason)
        return Decision(heard, until=screen.heard + scene.patience)
    if screen.reason is not None and scene.now - screen.bad < CALM:
        return _card(heard, scene.now, screen.reason, dropped=screen.reason)
    shown = replace(heard, reason=None, written=scene.now)
    return Decision(shown, frame=newest)


def _fault(screen: Screen, scene: Scene) -> str | None:
    newest = scene.newest
    if newest is None:
        if scene.now < screen.heard + scene.patience:
            return None
        # A camera that has just come back: its first frame is still on its way through the filter.
        return CAMERA_STALLED if scene.now - screen.silent < scene.patience else TOO_SLOW
    if newest.card:
        return newest.reason
    return TOO_SLOW if scene.now - newest.arrived > STALL else None


def _card(
    screen: Screen, now: float, reason: str, period: float = CARD_PERIOD, dropped: str | None = None
) -> Decision:
    due = screen.written + period
    if reason == screen.reason and now < due:
        return Decision(screen, dropped=dropped, until=due)
    return Decision(replace(screen, reason=reason, written=now), card=reason, dropped=dropped)
