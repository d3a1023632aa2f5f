"""A steady box for every face of a stream: registration frame by frame, corrected slowly by the detector.

A detector's box trembles by a per cent or two; a trembling crop is noise in the pulse's band. So the box
rides on the face itself (register.py) and a detection only pulls it, slowly and beyond a dead zone. Nothing
here counts frames: every constant is in seconds. State goes in and comes out; nothing is kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log

import numpy as np

from streamfilter.face.box import FaceBox, box_of, overlap
from streamfilter.face.detect import Detection
from streamfilter.face.register import Motion, Reference, reference, register
from streamfilter.frame import Plane

Pull = tuple[float, float, float]  # x and y over the box's size, and log size
_NO_PULL: Pull = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """How faces are followed. Times in seconds, distances over the box's size.

    ``detect_every``: time between detections while all is well (0.2 is every sixth frame at 30 fps); a new
    face does not wait for it (change.py).
    ``start_score``, ``keep_score``: what a detection needs to start a face and to confirm a known one.
    ``grace``: how long a face that is no longer detected is kept, at most; one that was seen only for a
    moment is kept for about as long. ``dead_zone``: distance to the detection that is left alone. ``settle``:
    time constant of the pull beyond it. ``jump``: distance that is made good at once. ``trust``: share of
    agreeing points below which registration is not believed; below ``renew`` a new reference is taken.
    ``doubt``: a move of the box is believed as far as it exceeds this many of its own standard errors.
    """

    detect_every: float = 0.2
    start_score: float = 0.5
    keep_score: float = 0.4
    grace: float = 1.5
    dead_zone: float = 0.05
    settle: float = 1.0
    jump: float = 0.3
    trust: float = 0.4
    renew: float = 0.7
    doubt: float = 6.0


DEFAULTS = TrackSettings()


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """A face now. ``id`` never returns for another face. ``lost_for``: seconds since it was last detected.

    ``confidence`` is 0..1: the last detection's score, times the share of points that agree on the motion.
    """

    id: int
    box: FaceBox
    confidence: float
    lost_for: float


@dataclass(frozen=True, slots=True)
class Track:
    """One face's state: reference and motion say where it is; ``shown`` is the steadied box."""

    id: int
    reference: Reference
    motion: Motion
    shown: FaceBox
    pull: Pull
    score: float
    born: float
    seen: float
    missed: bool
    stuck: bool

    @property
    def box(self) -> FaceBox:
        return self.motion.moved(self.reference.box)


@dataclass(frozen=True, slots=True)
class TrackState:
    """All faces of a stream, and when it last moved and was last searched (seconds)."""

    tracks: tuple[Track, ...] = ()
    next_id: int = 0
    seconds: float | None = None
    searched: float | None = None


def detection_due(state: TrackState, seconds: float, settings: TrackSettings = DEFAULTS) -> bool:
    """Whether the frame at ``seconds`` should be searched: at once while a face is missing or uncertain."""
    if (
        state.searched is None
        or not state.tracks
        or any(track.missed or track.stuck for track in state.tracks)
    ):
        return True
    passed = seconds - state.searched
    return passed < 0 or passed >= settings.detect_every - _CLOCK_ROUNDING


def track(
    state: TrackState,
    detections: Sequence[Detection] | None,
    luma: Plane,
    seconds: float,
    settings: TrackSettings = DEFAULTS,
) -> tuple[TrackState, list[TrackedFace]]:
    """Move every face to the frame at ``seconds`` (capture time).

    ``detections``: what the detector found in this frame, in its pixels; None where it did not look.
    ``luma``: the frame's full-resolution luma plane (H, W). A new face is reported from its first detection.
    """
    passed = 0.0 if state.seconds is None else min(max(seconds - state.seconds, 0.0), 1.0)
    tracks = [_followed(one, luma, settings) for one in state.tracks]
    next_id, searched = state.next_id, state.searched
    if detections is not None:
        searched = seconds
        boxes = [(box_of(found), found.score) for found in detections if found.score >= settings.keep_score]
        pairs = _matched([one.box for one in tracks], [box for box, _ in boxes])
        tracks = [
            _corrected(one, boxes[pairs[i]], luma, seconds, settings)
            if i in pairs
            else replace(one, missed=True)
            for i, one in enumerate(tracks)
        ]
        present = [one.box for one in tracks if not one.missed]
        tracks = [one for one in tracks if not (one.missed and _covered(one.box, present))]
        for k, (box, score) in enumerate(boxes):
            if k in pairs.values() or score < settings.start_score or _covered(box, present):
                continue
            tracks.append(
                Track(
                    next_id,
                    reference(luma, box),
                    Motion(),
                    box,
                    _NO_PULL,
                    score,
                    seconds,
                    seconds,
                    False,
                    False,
                )
            )
            present.append(box)
            next_id += 1
    present_still = (one for one in tracks if seconds - one.seen <= _patience(one, settings))
    kept = [_steadied(_pulled(one, passed, settings), settings) for one in present_still]
    faces = [
        TrackedFace(
            one.id,
            one.shown,
            one.score * one.motion.trust,
            max(seconds - one.seen, 0.0) if one.missed else 0.0,
        )
        for one in kept
    ]
    return TrackState(tuple(kept), next_id, seconds, searched), faces


_CLOCK_ROUNDING = 0.005  # time stamps in milliseconds come a little early
_SAME_FACE = 0.2  # overlap of a detection with the face it belongs to
_LEAST_GRACE = 0.3  # seconds
_DUPLICATE = 0.4  # overlap beyond which a second box is no second face
_BROKEN_SETTLE = 0.05  # seconds; the pull while registration does not hold the box


def _followed(one: Track, luma: Plane, settings: TrackSettings) -> Track:
    """The track moved by registration. A missed face keeps its reference: no drift onto what hides it."""
    motion = register(one.reference, luma, one.motion)
    if motion is None or motion.trust < settings.trust:
        if one.missed:
            return replace(one, stuck=True, motion=replace(one.motion, trust=0.0))
        box = one.box
        return replace(one, stuck=True, motion=Motion(trust=0.0), reference=reference(luma, box))
    moved = replace(one, motion=motion, stuck=False)
    worn = motion.trust < settings.renew or abs(log(motion.scale)) > 0.15 or abs(motion.turn) > 0.2
    if worn and not one.missed:
        return replace(moved, reference=reference(luma, moved.box), motion=Motion(trust=motion.trust))
    return moved


def _corrected(
    one: Track, found: tuple[FaceBox, float], luma: Plane, seconds: float, settings: TrackSettings
) -> Track:
    """The track after a detection of its face."""
    target, score = found
    box = one.box
    apart = ((target.cx - box.cx) / box.size, (target.cy - box.cy) / box.size, log(target.size / box.size))
    seen = replace(one, score=score, seen=seconds, missed=False)
    if max(abs(part) for part in apart) > settings.jump:
        fresh = reference(luma, target)
        return replace(seen, reference=fresh, motion=Motion(), shown=target, pull=_NO_PULL, stuck=False)
    x, y, s = (float(np.sign(part)) * max(abs(part) - settings.dead_zone, 0.0) for part in apart)
    return replace(seen, pull=(x, y, s))


def _pulled(one: Track, passed: float, settings: TrackSettings) -> Track:
    """The correction due after ``passed`` seconds, made in the reference: registration runs on unaware."""
    left = exp(-passed / (_BROKEN_SETTLE if one.stuck else settings.settle))
    x, y, s = (part * (1 - left) for part in one.pull)
    box = one.reference.box
    nudged = FaceBox(box.cx + x * box.size, box.cy + y * box.size, box.size * exp(s))
    rest = (one.pull[0] * left, one.pull[1] * left, one.pull[2] * left)
    return replace(one, reference=replace(one.reference, box=nudged), pull=rest)


def _steadied(one: Track, settings: TrackSettings) -> Track:
    """Let the shown box follow, shrinking each move by what its own noise explains (a Wiener gain).

    A move well above the noise is followed within the frame; one within it is nearly ignored.
    """
    box, shown = one.box, one.shown
    x, y, s = box.cx - shown.cx, box.cy - shown.cy, log(box.size / shown.size)
    shift_noise, scale_noise = one.motion.noise
    gain = _believed(x * x + y * y, 2 * (settings.doubt * shift_noise) ** 2)
    gain_s = _believed(s * s, (settings.doubt * scale_noise) ** 2)
    moved = FaceBox(shown.cx + gain * x, shown.cy + gain * y, shown.size * exp(gain_s * s))
    return replace(one, shown=moved)


def _patience(one: Track, settings: TrackSettings) -> float:
    """How long the face may stay unseen: false alarms last for a frame or two and should not linger."""
    return min(settings.grace, one.seen - one.born + _LEAST_GRACE)


def _believed(power: float, noise: float) -> float:
    return 1.0 if noise <= 0.0 else power / (power + noise)


def _matched(known: list[FaceBox], found: list[FaceBox]) -> dict[int, int]:
    """Pairs known -> found, the largest overlap first."""
    pairs: dict[int, int] = {}
    ranked = sorted(
        ((overlap(a, b), i, k) for i, a in enumerate(known) for k, b in enumerate(found)), reverse=True
    )
    for shared, i, k in ranked:
        if shared >= _SAME_FACE and i not in pairs and k not in pairs.values():
            pairs[i] = k
    return pairs


def _covered(box: FaceBox, others: list[FaceBox]) -> bool:
    return any(overlap(box, other) > _DUPLICATE for other in others)
