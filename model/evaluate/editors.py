"""The editors that are compared. All but "none" write through the runtime's composite into Y, U, V planes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfilt, sosfilt_zi

from model.evaluate.clip import EvalClip
from streamfilter.clock import PulseClock, wanted_wave
from streamfilter.composite import apply_gain
from streamfilter.config import FilterSettings
from streamfilter.face.crop import crop_rgb
from streamfilter.face_filter import build_filter
from streamfilter.frame import Frame

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]

WANTED = (0.001, 0.006, 0.0026)  # where no artifact says it: the pulse's relative amplitude in R, G, B
NAMES = ("none", "band-stop", "artifact", "oracle")


class Editor(Protocol):
    """Edits the frames of one clip in order. Only frames with a face get here for the reference editors."""

    def edit(self, index: int, frame: Frame) -> tuple[Frame, bool]:
        """The edited frame, and whether it is shielded."""
        ...

    def close(self) -> None: ...


class Untouched:
    """Editor "none"."""

    def edit(self, index: int, frame: Frame) -> tuple[Frame, bool]:
        return frame, False

    def close(self) -> None:
        """Nothing is held open."""


class BandStop:
    """The baseline: a causal order-2 Butterworth band-stop, 0.65 to 3.6 Hz, on the skin's mean R, G, B.

    It works on the mean's change relative to its running mean of 1 s; the correction is held to 2 % and
    applied to all skin alike. The wanted pulse is a sine with one harmonic, 0.6 % of G, a metronome. It is
    told where the skin is.
    """

    BAND_HZ = (0.65, 3.6)
    LIMIT = 0.02
    AMPLITUDE = 0.006
    RUNNING_SECONDS = 1.0

    def __init__(self, clip: EvalClip, direction: Sequence[float] = WANTED) -> None:
        self._clip = clip
        self._sos = butter(2, self.BAND_HZ, "bandstop", fs=clip.fps, output="sos")
        self._state: Array64 = np.repeat(sosfilt_zi(self._sos)[:, :, None], 3, axis=2) * 0.0
        self._window = max(1, round(self.RUNNING_SECONDS * clip.fps))
        self._past: list[Array64] = []
        self._direction = np.asarray(direction) / direction[1] * self.AMPLITUDE

    def edit(self, index: int, frame: Frame) -> tuple[Frame, bool]:
        clip = self._clip
        box = clip.box(index)
        crop, skin = crop_rgb(frame, box), clip.soft_skin(index)
        if skin.sum() < 1.0:
            return frame, False
        mean = np.asarray((crop * skin).sum(axis=(1, 2)) / skin.sum(), np.float64)
        self._past = [*self._past[1 - self._window :], mean]
        relative = mean / np.mean(self._past, axis=0) - 1.0
        passed, self._state = sosfilt(self._sos, relative[None], axis=0, zi=self._state)
        correction = np.clip(passed[0] - relative, -self.LIMIT, self.LIMIT)
        angle = 2.0 * np.pi * clip.target / 60.0 * (clip.times[index] - clip.times[0])
        wave = np.sin(angle) + 0.3 * np.sin(2.0 * angle)
        change = (1.0 + correction) * (1.0 + self._direction * wave) - 1.0
        gain = np.asarray(change[:, None, None] * skin, np.float32)
        return apply_gain(frame, gain, crop, box, index=index), False

    def close(self) -> None:
        """Nothing is held open."""


class Oracle:
    """Knows the true pulse of every cell and takes out exactly that; shows what the artifact shows.

    With the seed of the artifact's run its wanted pulse has the same phase, beat by beat.
    """

    def __init__(self, clip: EvalClip, direction: Sequence[float] = WANTED) -> None:
        self._clip = clip
        seed = np.random.SeedSequence(clip.seed).spawn(3)[0]  # as VideoFilter seeds its clock
        self._clock = PulseClock(np.random.default_rng(seed))
        self._state = self._clock.start(clip.target)
        self._direction = np.asarray(direction, np.float32)

    def edit(self, index: int, frame: Frame) -> tuple[Frame, bool]:
        clip = self._clip
        phase, self._state = self._clock.advance(self._state, frame.seconds, clip.target)
        wanted = self._direction[:, None, None] * (np.float32(wanted_wave(phase)) * clip.soft_skin(index))
        gain = np.asarray((1.0 + wanted) / (1.0 + clip.pulse_cells(index)) - 1.0, np.float32)
        box = clip.box(index)
        return apply_gain(frame, gain, crop_rgb(frame, box), box, index=index), False

    def close(self) -> None:
        """Nothing is held open."""


class Runtime:
    """The artifact in the very runtime: detection, tracking, network, masking, composite, shield."""

    def __init__(self, clip: EvalClip, artifact: Path | None, engine: str = "auto") -> None:
        settings = FilterSettings(target_bpm=clip.target, engine=engine, artifact=artifact, seed=clip.seed)
        self._filter = build_filter(settings)

    def edit(self, index: int, frame: Frame) -> tuple[Frame, bool]:
        made = self._filter.process(frame)
        return made.frame, made.shielded is not None

    def close(self) -> None:
        self._filter.close()


def make_editor(
    name: str, clip: EvalClip, artifact: Path | None, direction: Sequence[float], engine: str = "auto"
) -> Editor:
    """The editor ``name`` for one clip. Raises ArtifactError, EngineError for "artifact"; ValueError."""
    if name == "none":
        return Untouched()
    if name == "band-stop":
        return BandStop(clip, direction)
    if name == "oracle":
        return Oracle(clip, direction)
    if name == "artifact":
        return Runtime(clip, artifact, engine)
    raise ValueError(f"no editor {name!r}: choose from {', '.join(NAMES)}")
