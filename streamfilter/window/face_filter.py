"""The window filter: frames wait until a whole window has been edited, then leave one by one.

A frame leaves ``plan.delay`` frames after it came. Windows overlap and are cross-faded; each face has a pulse
clock of its own, driven by capture time, that runs on over the windows. Nothing leaves before its faces have
been edited, and while a face is lost between two sightings, or within a window of one, a card is shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from streamfilter.body import BodyEditor, BodyState, Wearer
from streamfilter.clock import PulseClock
from streamfilter.config import CLEAR, FilterSettings
from streamfilter.dither import Dither, draw_key
from streamfilter.engine.select import AUTO
from streamfilter.errors import EngineError, UsageError
from streamfilter.face.finder import FaceFinder
from streamfilter.face_filter import FilteredFrame
from streamfilter.frame import Frame
from streamfilter.frame_filter import TOO_MANY
from streamfilter.shield import shield_box, shield_frame
from streamfilter.skin_cells import oval
from streamfilter.standing import Standing
from streamfilter.window.artifact import WindowArtifact, load_window_artifact
from streamfilter.window.composite import paste_face
from streamfilter.window.engine import WindowEngine
from streamfilter.window.faces import Faces
from streamfilter.window.moments import Moment, View, face_window
from streamfilter.window.plan import WindowPlan, default_hop

FACE_LOST = "no face in view"


class WindowFilter:
    """A :class:`streamfilter.frame_filter.DelayedFilter`. Not for use by several threads at once."""

    def __init__(
        self,
        settings: FilterSettings,
        artifact: WindowArtifact,
        engine: WindowEngine,
        hop: int | None = None,
        finder: FaceFinder | None = None,
    ) -> None:
        """Takes over ``engine`` and closes it. ``hop``: frames from one window to the next, None: three
        quarters of the window. Raises UsageError for a hop outside the window."""
        manifest = artifact.manifest
        window = manifest.window
        self.engine = engine
        self.plan = WindowPlan(window, default_hop(window) if hop is None else hop)
        self._artifact, self._settings = artifact, settings
        seeds = np.random.SeedSequence(settings.seed)
        clock, dither, beyond = (np.random.default_rng(seed) for seed in seeds.spawn(3))
        self._clock = PulseClock(clock, settings.hr_variability)
        self._finder = finder or FaceFinder()
        self._dither = Dither(key=draw_key(dither))
        self._body = BodyEditor(beyond, manifest.pulse_direction)
        self._longest = 0.0
        self._total = 0
        self._drawn = 0  # frames ever written: goes on after a fault, so that no thresholds come twice
        self._reset()

    def _reset(self) -> None:
        most = self._settings.max_faces
        self._faces = Faces(self._clock, self._finder, self._artifact.manifest.crop_size, most)
        self._moments: deque[Moment] = deque(maxlen=self.plan.window)
        self._body_state: BodyState | None = None
        self._standing = Standing()
        self._made: tuple[Frame, object] | None = None  # as the last frame was written, for which faces
        self._seen = 0
        self._left = 0
        self._last_face: int | None = None  # number of the last frame that left with a face

    @property
    def delay(self) -> int:
        """Frames after its coming that a frame leaves."""
        return self.plan.delay

    @property
    def notes(self) -> tuple[str, ...]:
        """How the run was cut into windows, and the latency that this means."""
        plan = self.plan
        said = f"window mode: {plan.window} frames at a time, of which {plan.overlap} overlap"
        if self._total < plan.window:
            return (
                f"{said}; the clip has {self._total}: its last frame was repeated for the editor's sake, "
                "and all of it left at its end",
            )
        return (f"{said}; each frame leaves {plan.delay} frames ({self._longest:.2f} s) after it came",)

    def set_target(self, bpm: float) -> None:
        """Show another heart rate from the next frame on; the phase runs on. Raises UsageError."""
        self._artifact.conditioning.text(bpm, self._artifact.manifest.name)
        self._settings = replace(self._settings, target_bpm=bpm)

    def push(self, frame: Frame) -> Sequence[FilteredFrame]:
        """Take one frame in; the one that came ``delay`` frames before it, if any. Raises EngineError."""
        try:
            self._total += 1
            self._moments.append(self._faces.look(frame, self._settings.target_bpm))
            self._seen += 1
            start = self.plan.due(self._seen)
            if start is not None:
                self._run(start, start)
            return [] if len(self._moments) < self.plan.window else [self._leave(0)]
        except Exception:
            self._reset()
            raise

    def finish(self) -> Sequence[FilteredFrame]:
        """The frames that are still here, edited by a last window that ends with the clip."""
        try:
            closing = self.plan.closing(self._seen)
            if closing is not None:
                self._run(*closing)
            waiting = [at for at, moment in enumerate(self._moments) if moment.frame is not None]
            return [self._leave(at) for at in waiting]
        finally:
            self._reset()

    def close(self) -> None:
        """Free the engine."""
        self.engine.close()

    def _run(self, start: int, first: int) -> None:
        """Edit every face of the window that begins at frame ``start``, of which those before ``first`` are
        settled."""
        moments = list(self._moments)
        weights = self.plan.weights(start, first)
        manifest = self._artifact.manifest
        spent = moments[-1].seconds - moments[0].seconds
        period = spent / (len(moments) - 1) if len(moments) > 1 else 1.0 / manifest.nominal_fps
        for face in dict.fromkeys(name for moment in moments for name in moment.views):
            crops, phase, bpm = face_window(moments, face, self.plan.window, period)
            edited = self.engine.run(crops, self._artifact.conditioning.text(bpm, manifest.name), phase)
            for moment, picture, weight in zip(moments, edited, weights, strict=False):
                if face in moment.views:
                    moment.views[face].add(picture, float(weight))

    def _leave(self, at: int) -> FilteredFrame:
        """The frame at place ``at`` of the window, as it may be shown."""
        moment = self._moments[at]
        frame, moment.frame = moment.frame, None
        if frame is None:
            raise RuntimeError("a frame is to leave twice")
        index, self._left = self._left, self._left + 1
        self._longest = max(self._longest, self._moments[-1].seconds - moment.seconds)
        if not moment.views and not moment.covered:
            self._body_state = self._made = None
            if self._near_a_face(index):
                return FilteredFrame(shield_frame(frame, FACE_LOST), 0, FACE_LOST)
            return FilteredFrame(frame, 0, None)
        self._last_face = index
        boxes = {name: view.box for name, view in moment.views.items()}
        made, self._made = self._made, None
        faces = set(boxes), len(moment.covered)
        if self._standing.again(frame) and made is not None and made[1] == faces:
            edited = frame.with_planes(made[0].y, made[0].u, made[0].v)
        else:
            edited = self._written(frame, moment)
        self._made = edited, faces
        return FilteredFrame(edited, len(boxes), TOO_MANY if moment.covered else None, boxes)

    def _near_a_face(self, index: int) -> bool:
        """Whether a face is known less than a window before or after the frame ``index``, which has none."""
        behind = self._last_face is not None and index - self._last_face < self.plan.window
        return behind or any(other.views or other.covered for other in self._moments)

    def _written(self, frame: Frame, moment: Moment) -> Frame:
        views = list(moment.views.values())
        boxes = [*(view.box for view in views), *moment.covered]
        number, self._drawn = self._drawn, self._drawn + 1
        edited = frame
        for view in views:
            edited = paste_face(edited, view.edited, view.box, self._dither, number)
        state, self._body_state = self._body_state, None
        if self._settings.beyond_face and views:
            wearers = [_wearer(view) for view in views]
            body, self._body_state = self._body.find(frame, wearers, boxes, 1.0, state)
            edited = body.beyond(edited, frame, boxes, self._dither, number)
        for box in moment.covered:
            edited = shield_box(edited, box)
        return edited


def _wearer(view: View) -> Wearer:
    """The face as the skin beyond it needs to know it: its own change is the mean over its oval."""
    inside = oval(view.crop.shape[-1]) > 0.5
    before = (view.crop * inside).sum(axis=(1, 2))
    after = (np.clip(view.edited, 0.0, 1.0) * inside).sum(axis=(1, 2))
    gain = np.asarray(after / np.maximum(before, 1e-6) - 1.0, np.float32)
    return Wearer(view.box, view.look, view.phase, gain)


def build_window_filter(settings: FilterSettings, hop: int | None = None) -> WindowFilter:
    """Artifact, engine and detector as the settings name them.

    Raises UsageError where the settings ask for what a window editor does not do, ArtifactError for a missing
    or damaged artifact or a stream editor's, EngineError where the engine does not run it.
    """
    if settings.artifact is None:
        raise UsageError(
            "the window mode has no packaged editor: give one with --artifact, a folder that "
            "python -m export --reference made"
        )
    if settings.strength != 1.0:
        raise UsageError("the window editor always shows the pulse in full: leave strength at 1")
    if settings.pulse != CLEAR:
        raise UsageError("the window editor shows the pulse that it was trained to: leave --pulse out")
    if settings.engine not in (AUTO, WindowEngine.name):
        raise EngineError(f"the window mode runs on {WindowEngine.name} only: leave --engine out")
    artifact = load_window_artifact(settings.artifact)
    artifact.conditioning.text(settings.target_bpm, artifact.manifest.name)
    cv2.setNumThreads(settings.threads)
    return WindowFilter(settings, artifact, WindowEngine(artifact, settings.threads), hop)
