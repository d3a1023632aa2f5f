"""Real clips: as they are, and with a known pulse put on the skin of those whose own pulse nobody knows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from model.data.label import crop_basis, pulse_field, smooth_strength
from model.data.process import grid
from model.data.pulse import draw_pulse
from model.evaluate.clip import READ_SECONDS, SKIP_SECONDS, EvalClip, KnownPulse, Labels, choose_target
from model.evaluate.reading import even, sums_of
from model.evaluate.store import Recorder, clips_mark, load_clip, save_clip
from streamfilter.capture import open_source
from streamfilter.composite import apply_gain
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import CROP_SIZE, crop_rgb, skin_prior
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import Frame
from streamfilter.rppg.heart_rate import heart_rate
from streamfilter.rppg.skin import skin_mask

Array32 = npt.NDArray[np.float32]

KNOWN_BPM = {"evm_face": 53.0}  # independent estimators agree on it
KNOWN_TARGET = {"evm_face": 90.0}
KNOWN_SEEDS = 3
CODEC_CLIPS = ("evm_face", "lp_d10", "hschn58_75_light")
SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm")


@dataclass(frozen=True)
class RealSpec:
    """A real clip; ``planted`` puts a known pulse on its skin. ``repeat``: the same with another seed."""

    path: Path
    planted: bool
    seed: int
    repeat: int = 0

    @property
    def name(self) -> str:
        again = f"-seed{self.repeat + 1}" if self.repeat else ""
        return self.path.stem + ("-planted" if self.planted else "") + again

    def key(self) -> str:
        """Names the clip's cache: changes with everything that changes its pixels."""
        stat = self.path.stat()
        about = f"{self.path.name} {stat.st_size} {self.planted} {self.seed} {clips_mark()}"
        return hashlib.sha256(about.encode()).hexdigest()[:16]


def real_specs(folder: Path, quick: bool, seed: int = 3) -> list[RealSpec]:
    """Every clip as it is, and planted where its own pulse is not known. ``quick``: two."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    own = [RealSpec(path, False, seed * 1000 + k) for k, path in enumerate(paths)]
    planted = [replace(spec, planted=True) for spec in own if spec.path.stem not in KNOWN_BPM]
    # One seed of the masking and of the shown pulse may hide the true rate by luck.
    known = [spec for spec in own if spec.path.stem in KNOWN_BPM]
    again = [replace(s, seed=s.seed + 100 * k, repeat=k) for s in known for k in range(1, KNOWN_SEEDS)]
    if quick:
        return [*known, *again, *(s for s in planted if s.path.stem == "lp_d10")]
    return [*own, *again, *planted]


def open_real(spec: RealSpec, cache: Path) -> EvalClip:
    """The clip, prepared on first use and read from ``cache`` from then on.

    Raises SourceError where it cannot be read or shows no face and skin for long enough.
    """
    folder = cache / f"{spec.name}-{spec.key()}"
    if not (folder / "truth.npz").is_file():
        _prepare(spec, folder)
    codecs = spec.path.stem in CODEC_CLIPS and spec.planted == (spec.path.stem not in KNOWN_BPM)
    return replace(load_clip(folder), codecs=codecs and spec.repeat == 0)


def skin_of(frame: Frame, box: FaceBox) -> Array32:
    """Soft skin (S, S) 0..1 of a face's box: skin's chroma where a face's oval is."""
    crop = crop_rgb(frame, box)
    rgb = np.rint(np.moveaxis(crop, 0, 2) * 255.0).astype(np.uint8)
    chroma = cv2.GaussianBlur(skin_mask(rgb).astype(np.float32), (0, 0), 1.2)
    return np.asarray(chroma * skin_prior(CROP_SIZE), np.float32)


class SteadySkin:
    """Skin masks averaged over half a second: a mask that flickers would move the mean like a pulse."""

    def __init__(self, fps: float) -> None:
        self._keep = float(np.exp(-1.0 / (0.5 * fps)))
        self._mask: Array32 | None = None

    def next(self, frame: Frame, box: FaceBox) -> Array32:
        mask = skin_of(frame, box)
        if self._mask is not None:
            mask = self._keep * self._mask + (1.0 - self._keep) * mask
        self._mask = mask
        return mask


def _frames(path: Path) -> Iterator[Frame]:
    most = SKIP_SECONDS + READ_SECONDS + 1.0
    with open_source(path) as source:
        start: float | None = None
        for frame in source.frames():
            start = frame.seconds if start is None else start
            if frame.seconds - start > most:
                return
            yield frame


def _prepare(spec: RealSpec, folder: Path) -> None:
    with open_source(spec.path) as source:
        info = source.info
    fps = float(info.fps)
    times = np.array([frame.seconds for frame in _frames(spec.path)])
    rng = np.random.default_rng(spec.seed)
    planter = _Planter(rng, times, fps) if spec.planted else None
    recorder = Recorder(folder, (info.width, info.height), fps, info.color)
    finder, steady = FaceFinder(), SteadySkin(fps)
    with recorder:
        for index, frame in enumerate(_frames(spec.path)):
            faces = finder.find(frame)
            if not faces:
                recorder.add_cells(frame, None, np.zeros((CROP_SIZE, CROP_SIZE), np.uint8), None)
                continue
            box = faces[0].box
            cells = np.rint(np.clip(steady.next(frame, box), 0, 1) * 255).astype(np.uint8)
            where = (box.cx, box.cy, box.size)
            free = sums_of(frame, np.array(where), cells)
            seen = frame if planter is None else planter.put(index, frame, box, cells)
            recorder.add_cells(seen, where, cells, free)
    first, last = recorder.read_range()
    true_bpm, pulse = KNOWN_BPM.get(spec.path.stem), None
    if planter is not None:
        pulse = planter.known(recorder.free_blocks())
        true_bpm = heart_rate(even(planter.pulse.bvp[first:last], times[first:last], fps), fps)
    labels = Labels("planted" if spec.planted else "real", fps=round(fps))
    target = KNOWN_TARGET.get(spec.path.stem) or choose_target(rng, true_bpm)
    save_clip(folder, recorder.clip(spec.name, labels, spec.seed, target, true_bpm, pulse))


class _Planter:
    """Puts a drawn pulse on the skin through the composite, so that it is in the planes without bias."""

    def __init__(self, rng: np.random.Generator, times: npt.NDArray[np.float64], fps: float) -> None:
        clock = grid(float(times[-1] - times[0]))
        self.pulse = draw_pulse(rng, clock, times - times[0], float(rng.uniform(50.0, 110.0)))
        strength = float(np.exp(rng.uniform(np.log(0.003), np.log(0.006))))
        still = np.tile(np.eye(2, 3)[None], (len(times), 1, 1))
        amplitude, delay = smooth_strength(rng, strength, 0.3, 0.03)
        self.field = pulse_field(amplitude, delay, still, self.pulse.bvp, self.pulse.slope)
        direction = np.array([0.33, 0.77, 0.53]) / 0.77
        self.direction = direction.astype(np.float32)

    def put(self, index: int, frame: Frame, box: FaceBox, skin: npt.NDArray[np.uint8]) -> Frame:
        scalar = np.tensordot(self.field[index], crop_basis(CROP_SIZE), 1) * (skin / np.float32(255.0))
        gain = np.asarray(self.direction[:, None, None] * scalar, np.float32)
        return apply_gain(frame, gain, crop_rgb(frame, box), box, index=index + 77)

    def known(self, free: Array32) -> KnownPulse:
        return KnownPulse(self.field, self.direction, "box", self.pulse.bvp, free)
