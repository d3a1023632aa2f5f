"""The filter of a video: find the faces, let the network propose an edit for each, write it into the planes.

One :class:`FaceStream` holds all that belongs to one face: the network's state, the wanted pulse's clock,
the masking noise. A face that the tracker loses while its skin is still there goes on being edited, or
covered, where it was; only when the skin has gone is it let go (places.py). A picture that comes again is
shown as it was written (standing.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter import contract
from streamfilter.artifact import Artifact, load_artifact
from streamfilter.body import BodyEditor, BodyState, Wearer
from streamfilter.clock import ClockState, PulseClock
from streamfilter.composite import write_gain
from streamfilter.config import NATURAL, FilterSettings
from streamfilter.dither import Dither, draw_key
from streamfilter.engine import Engine, State, open_engine
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import crop_rgb
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import Frame
from streamfilter.frame_filter import SETTLING, TOO_MANY
from streamfilter.masking import Masking
from streamfilter.masking import State as NoiseState
from streamfilter.natural_pulse import NaturalPulse, draw_natural_pulse
from streamfilter.places import Places, follow, unseen_for
from streamfilter.shield import shield_box
from streamfilter.skin import Crop, Tone
from streamfilter.skin_cells import oval
from streamfilter.standing import Standing
from streamfilter.workspace import PlanePool, Workspace

OpenEngine = Callable[[Artifact, str, int], Engine]

LONGEST_STEP = 0.2  # seconds; after a longer gap the network is told of this much
STRENGTH_GLIDE = 1.0  # seconds from no pulse to the full one


@dataclass(frozen=True, slots=True)
class FilteredFrame:
    """A frame that may leave: every face in it is edited, or covered by the shield.

    ``faces`` is how many were edited, ``shielded`` says why something is covered (None: nothing is).
    ``boxes`` are those faces' by number, in the order of the tracker: known longest first. ``unseen``:
    seconds since any face was last detected; 0 where there is none and none is held.
    """

    frame: Frame
    faces: int
    shielded: str | None
    boxes: Mapping[int, FaceBox] = field(default_factory=dict)
    unseen: float = 0.0


@dataclass(frozen=True, slots=True)
class FaceStream:
    """All state of one face, between two frames. ``born`` and ``seconds`` are capture times.

    ``phase`` is the wanted pulse's, ``natural`` the pulse drawn for this face (None: the network's own).
    """

    box: FaceBox
    engine: State
    clock: ClockState
    noise: NoiseState
    born: float
    seconds: float
    phase: float
    natural: NaturalPulse | None


@dataclass(frozen=True, slots=True)
class _Step:
    """What the network proposes for a face: its crop and gain (3, S, S), its skin's tone, the stream after
    it, and the mean change (3,) of a natural pulse now (None: the pulse is the network's own)."""

    crop: npt.NDArray[np.float32]
    tone: Tone
    gain: npt.NDArray[np.float32]
    stream: FaceStream
    natural: npt.NDArray[np.float32] | None

    def wearer(self) -> Wearer:
        """The face as the skin beyond it needs to know it: the gain is the mean over its oval."""
        weighted = self.crop * _inside(self.crop.shape[-1])
        mean = (self.gain * weighted).sum(axis=(1, 2)) / np.maximum(weighted.sum(axis=(1, 2)), 1e-6)
        return Wearer(
            self.stream.box, self.tone, self.stream.phase, np.asarray(mean, np.float32), self.natural
        )


class VideoFilter:
    """Edits every face of a stream of frames, in order. Not for use by several threads at once."""

    def __init__(
        self,
        settings: FilterSettings,
        artifact: Artifact,
        engine: Engine,
        finder: FaceFinder | None = None,
        body: BodyEditor | None = None,
        dither: Dither | None = None,
    ) -> None:
        """Takes over ``engine`` and closes it. Raises EngineError where the face detector cannot load."""
        self.engine = engine
        self._artifact = artifact
        self._settings = settings
        self._finder = finder or FaceFinder()
        seeds = np.random.SeedSequence(settings.seed)
        clock, noise, key, beyond, pulse = (np.random.default_rng(seed) for seed in seeds.spawn(5))
        manifest = artifact.manifest
        self._clock = PulseClock(clock, settings.hr_variability)
        self._pulse = pulse
        self._masking = Masking(noise, manifest.masking * settings.masking_share)
        # Thresholds of each frame's own make samples flicker more than a camera's: it tells an edited clip.
        self._dither = dither or Dither(key=draw_key(key), still=settings.pulse == NATURAL)
        self._body = body or BodyEditor(beyond, manifest.pulse_direction)
        self._body_state: BodyState | None = None
        self._work, self._planes = Workspace(), PlanePool()
        self._period = 1.0 / manifest.nominal_fps
        self._size = manifest.crop_size
        self._places: Places = {}
        self._streams: Mapping[int, FaceStream] = {}
        self._standing = Standing()
        self._made: FilteredFrame | None = None
        self._strength = settings.strength
        self._seconds: float | None = None
        self._index = 0

    def set_target(self, bpm: float) -> None:
        """Show another heart rate from the next frame on; the phase runs on. Raises UsageError."""
        self._settings = replace(self._settings, target_bpm=bpm)

    def set_strength(self, strength: float) -> None:
        """Show this share of the wanted pulse, 0 (none) to 1, reached within a second. Raises UsageError."""
        self._settings = replace(self._settings, strength=strength)

    def process(self, frame: Frame) -> FilteredFrame:
        """Edit one frame. Raises EngineError where the network fails: show the shield, then go on."""
        made, self._made = self._made, None
        if self._standing.again(frame) and made is not None:
            # Nothing steps: the next other frame steps by all the time since this picture came first.
            shown = frame.with_planes(made.frame.y, made.frame.u, made.frame.v)
            made = replace(made, frame=shown, unseen=unseen_for(self._places, frame.seconds))
        else:
            made = self._filtered(frame)
        self._made = made
        return made

    def _filtered(self, frame: Frame) -> FilteredFrame:
        found = self._finder.find(frame)
        crop = cache(partial(crop_rgb, frame, size=self._size, work=self._work))
        # Known even where this frame fails: a face that the tracker does not find again is still held.
        self._places, heirs = follow(self._places, found, frame.seconds, crop)
        # Until this frame is done there is no state to go on from: a step that fails has consumed it.
        streams, self._streams = self._streams, {}
        self._strength = self._glided(frame.seconds)
        self._seconds = frame.seconds
        shielded, covered = None, []
        steps: dict[int, _Step] = {}
        for number, (face, place) in enumerate(self._places.items()):
            if number >= self._settings.max_faces:
                covered.append(place.box)
                shielded = TOO_MANY
                continue
            known = streams.get(heirs.get(face, face))
            stream = self._start(place.box, frame.seconds) if known is None else replace(known, box=place.box)
            steps[face] = self._step(frame.seconds, stream, crop(place.box), place.tone)
            if frame.seconds - stream.born < self._settings.settle_seconds:
                covered.append(place.box)
                shielded = SETTLING
        boxes = [place.box for place in self._places.values()]
        edited = self._written(frame, boxes, list(steps.values()))
        for box in covered:
            edited = shield_box(edited, box)
        self._streams = {face: step.stream for face, step in steps.items()}
        self._index += 1
        edited_boxes = {face: stream.box for face, stream in self._streams.items()}
        unseen = unseen_for(self._places, frame.seconds)
        return FilteredFrame(edited, len(steps), shielded, edited_boxes, unseen)

    def close(self) -> None:
        """Free the engine."""
        self.engine.close()

    def _written(self, frame: Frame, boxes: list[FaceBox], steps: list[_Step]) -> Frame:
        """The frame with every face's edit in it, and that of the skin beyond."""
        body = None
        state, self._body_state = self._body_state, None
        if not steps:
            return frame
        if self._settings.beyond_face:
            wearers = [one.wearer() for one in steps]
            body, self._body_state = self._body.find(frame, wearers, boxes, self._strength, state, self._work)
        edited = self._planes.copy(frame)
        for one in steps:
            box = one.stream.box
            gain = one.gain if body is None else body.within(one.gain, box)
            write_gain(edited, gain, one.crop, box, self._dither, self._index, self._work)
        return edited if body is None else body.beyond(edited, frame, boxes, self._dither, self._index)

    def _glided(self, seconds: float) -> float:
        passed = 0.0 if self._seconds is None else min(max(seconds - self._seconds, 0.0), LONGEST_STEP)
        step = passed / STRENGTH_GLIDE
        return min(max(self._settings.strength, self._strength - step), self._strength + step)

    def _start(self, box: FaceBox, seconds: float) -> FaceStream:
        clock = self._clock.start(self._settings.target_bpm)
        born = seconds - self._period
        natural = draw_natural_pulse(self._pulse) if self._settings.pulse == NATURAL else None
        return FaceStream(
            box,
            self.engine.init_state(),
            clock,
            self._masking.start(),
            seconds,
            born,
            0.0,
            natural,
        )

    def _step(self, seconds: float, stream: FaceStream, crop: Crop, tone: Tone) -> _Step:
        step = min(max(seconds - stream.seconds, 1e-3), LONGEST_STEP)
        phase, clock = self._clock.advance(stream.clock, seconds, self._settings.target_bpm)
        noise, noise_state = self._masking.step(stream.noise, step)
        strength, natural = self._strength, None
        if stream.natural is not None:
            shown = stream.natural.at(phase, clock.breath, clock.bpm, strength)
            noise, natural, strength = noise + shown, shown.mean(axis=(1, 2)), 0.0
        inputs = {
            contract.CROP: crop[None],
            contract.TEXT: self._artifact.text(clock.bpm),
            contract.PHASE: _row(math.cos(phase), math.sin(phase)),
            contract.STRENGTH: _row(strength),
            contract.DT: _row(step),
            contract.MASKING: noise[None],
        }
        gain, state = self.engine.step(inputs, stream.engine)
        following = FaceStream(
            stream.box, state, clock, noise_state, stream.born, seconds, phase, stream.natural
        )
        return _Step(crop, tone, gain[0], following, natural)


def build_filter(settings: FilterSettings, opened: OpenEngine = open_engine) -> VideoFilter:
    """Artifact, engine and detector as the settings name them; OpenCV, in this process, gets as many threads.

    ``opened``: given the artifact, the engine's name and its threads. Raises ArtifactError for a missing or
    damaged artifact, EngineError where no engine can run it.
    """
    artifact = load_artifact(settings.artifact)
    artifact.text(settings.target_bpm)
    # OpenCV's own threads gain a tenth of the time here and cost a third more of the processor.
    cv2.setNumThreads(settings.threads)
    return VideoFilter(settings, artifact, opened(artifact, settings.engine, settings.threads))


@cache
def _inside(size: int) -> npt.NDArray[np.float32]:
    """(size, size): 1 in the face's oval, 0 beside it."""
    cover = (oval(size) > 0.5).astype(np.float32)
    cover.setflags(write=False)
    return cover


def _row(*values: float) -> npt.NDArray[np.float32]:
    return np.array([values], np.float32)
