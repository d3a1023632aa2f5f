"""One scene, with a pulse planted on all its skin, through the runtime: what is read from each region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

from model.data.process import grid
from model.data.pulse import Pulse, draw_pulse
from model.evaluate.beyond_mean import FaceGain
from model.evaluate.beyond_scenes import ComposedScene, Moment, RealScene
from model.evaluate.codecs import Channel, open_channel
from model.evaluate.metrics import ATTACKERS, LEAK_SIGNALS, attack, hits, read_rates, rgb_of
from model.evaluate.reading import even
from streamfilter.artifact import load_artifact
from streamfilter.config import FilterSettings
from streamfilter.dither import Draw, PlaneDither, add_dithered, fine
from streamfilter.engine import open_engine
from streamfilter.face.box import FaceBox
from streamfilter.face.color import rgb_to_yuv_matrix, yuv_to_rgb_matrix
from streamfilter.face_filter import VideoFilter
from streamfilter.frame import Frame
from streamfilter.rppg.coherence import coherence
from streamfilter.rppg.estimators import ESTIMATORS
from streamfilter.rppg.filters import band_pass
from streamfilter.rppg.heart_rate import heart_rate

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]

SKIP_SECONDS = 2.0
STRENGTH = 0.005  # of the planted pulse in green, relative; half of it peak to peak is what cameras see
DIRECTION = np.array([0.33, 0.77, 0.53]) / 0.77
_PLANTED = 91  # key of the dither that plants it
CODEC = "H.264 1.5"
FREE, BEFORE, FACE_ONLY, MEAN_GAIN, BEYOND = "no pulse", "before", "face only", "face's mean gain", "beyond"
WAYS = (FREE, BEFORE, FACE_ONLY, MEAN_GAIN, BEYOND)


@dataclass
class _Track:
    """One way through the filter (None: untouched) and what is seen of it, plain and after the codec."""

    video: VideoFilter | None
    channel: Channel | None
    seen: list[dict[str, Array64]] = field(default_factory=list)
    received: list[dict[str, Array64]] = field(default_factory=list)


def run_scene(
    scene: RealScene | ComposedScene, artifact: Path | None, engine: str, seed: int = 1
) -> dict[str, Any]:
    """The figures of one scene. Raises ArtifactError, EngineError, SourceError, ValueError."""
    moments = scene.moments()
    rng = np.random.default_rng(seed)
    true_bpm = float(rng.uniform(58.0, 100.0))
    target = true_bpm + 35.0 if true_bpm < 80 else true_bpm - 28.0
    clock = grid(20.0)
    pulse = draw_pulse(rng, clock, clock, true_bpm)
    tracks: dict[str, _Track] = {}
    times: list[float] = []
    shares: list[float] = []
    pictures = _Pictures()
    skins: list[Mapping[str, Array32]] = []
    for index, moment in enumerate(moments):
        if not tracks:
            tracks = _open(moment.frame, artifact, engine, target, seed)
        t = moment.frame.seconds - (times[0] if times else moment.frame.seconds)
        times.append(moment.frame.seconds)
        planted = plant(moment, pulse, clock, t, scene.delays_ms, index)
        skins.append({name: mask.astype(np.float16) for name, mask in moment.skin.items()})
        beyond = [float(moment.skin[name].sum()) for name in scene.delays_ms if name in _beyond(scene)]
        shares.append(sum(beyond) / max(sum(float(m.sum()) for m in moment.skin.values()), 1e-9))
        for way, track in tracks.items():
            given = moment.frame if way == FREE else planted
            made = given if track.video is None else track.video.process(given).frame
            track.seen.append(_means(made, moment.skin))
            if way == BEYOND:
                pictures.add(planted, made, moment.box)
            if track.channel is not None:
                _receive(track, track.channel.send(made), skins)
    for track in tracks.values():
        if track.channel is not None:
            _receive(track, track.channel.finish(), skins)
        if track.video is not None:
            track.video.close()
    times_array = np.array(times)
    first = int(np.searchsorted(times_array, times[0] + SKIP_SECONDS))
    span = slice(first, len(times))
    about = _Reading(times_array[span], true_bpm, target, pulse, clock, times[0])
    regions: dict[str, Any] = {}
    for name, delay in scene.delays_ms.items():
        least = min(float(s[name].sum()) for s in skins[first:])
        if least < 12.0:
            continue
        regions[name] = {"delay_ms": delay, "ways": {}}
        for way, track in tracks.items():
            for codec, seen in (("", track.seen), (CODEC, track.received)):
                if seen:
                    trace = np.stack([s[name] for s in seen[span]])
                    label = way + (f", {codec}" if codec else "")
                    regions[name]["ways"][label] = about.read(trace, delay)
    return {
        "name": scene.name,
        "true": round(true_bpm, 1),
        "target": round(target, 1),
        "seconds": round(float(about.times[-1] - about.times[0]), 1),
        "share_beyond": round(float(np.mean(shares[first:])), 4),
        "regions": regions,
        "picture": pictures.figures(),
    }


def _beyond(scene: RealScene | ComposedScene) -> set[str]:
    return set(scene.places) if isinstance(scene, RealScene) else {"chest", "hand"}


def _open(frame: Frame, artifact: Path | None, engine: str, target: float, seed: int) -> dict[str, _Track]:
    loaded = load_artifact(artifact)

    def video(beyond: bool, mean: bool = False) -> VideoFilter:
        settings = FilterSettings(target_bpm=target, seed=seed, engine=engine, beyond_face=beyond)
        opened = open_engine(loaded, engine, 1)
        return VideoFilter(settings, loaded, opened, body=FaceGain() if mean else None)

    def channel() -> Channel:
        return open_channel(CODEC, frame.width, frame.height, 30.0)

    return {
        FREE: _Track(None, None),
        BEFORE: _Track(None, channel()),
        FACE_ONLY: _Track(video(False), None),
        MEAN_GAIN: _Track(video(True, mean=True), None),
        BEYOND: _Track(video(True), channel()),
    }


def plant(
    moment: Moment, pulse: Pulse, clock: Array64, t: float, delays_ms: Mapping[str, float], index: int
) -> Frame:
    """The frame with the pulse on all skin, each region's with its delay, dithered into the planes."""
    frame = moment.frame
    shape = frame.u.shape
    scalar = np.zeros(shape, np.float32)
    for name, mask in moment.skin.items():
        late = delays_ms.get(name, 0.0) / 1000.0
        value = STRENGTH * float(np.interp(t + 1.0 - late, clock, pulse.bvp))
        scalar += np.float32(value) * mask[: shape[0], : shape[1]]
    half_y = cv2.resize(frame.y, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    yuv = np.stack([half_y, frame.u, frame.v]).astype(np.float32).reshape(3, -1)
    inverse, offset = yuv_to_rgb_matrix(frame.color)
    rgb = inverse.astype(np.float32) @ yuv + offset.astype(np.float32)[:, None]
    matrix = rgb_to_yuv_matrix(frame.color)[0].astype(np.float32)
    change = (matrix @ (rgb * DIRECTION[:, None].astype(np.float32) * scalar.reshape(1, -1))).reshape(
        3, *shape
    )
    luma = cv2.resize(change[0] / np.maximum(half_y, 16.0), (frame.width, frame.height))
    moves = ((frame.y, luma * frame.y), (frame.u, change[1]), (frame.v, change[2]))
    planes = [
        add_dithered(plane, fine(moved), PlaneDither(), draw=Draw(_PLANTED, k, index))
        for k, (plane, moved) in enumerate(moves)
    ]
    return frame.with_planes(*planes)


def _means(frame: Frame, skin: Mapping[str, Any]) -> dict[str, Array64]:
    """Mean R, G, B of each region: exact means of the planes, then converted."""
    matrix, offset = yuv_to_rgb_matrix(frame.color)
    height, width = frame.u.shape
    y = frame.y[: 2 * height, : 2 * width]
    pairs = y[0::2].astype(np.uint16) + y[1::2]
    luma = (pairs[:, 0::2] + pairs[:, 1::2]).astype(np.float32) / 4.0
    out = {}
    for name, mask in skin.items():
        weights = np.asarray(mask, np.float32)[:height, :width]
        total = max(float(weights.sum()), 1e-9)
        yuv = [
            float(np.vdot(weights, plane.astype(np.float32))) / total for plane in (luma, frame.u, frame.v)
        ]
        out[name] = matrix @ np.array(yuv) + offset
    return out


def _receive(track: _Track, frames: list[Frame], skins: list[Mapping[str, Array32]]) -> None:
    for frame in frames:
        track.received.append(_means(frame, skins[len(track.received)]))


@dataclass(frozen=True)
class _Reading:
    times: Array64
    true_bpm: float
    target: float
    pulse: Pulse
    clock: Array64
    start: float

    def read(self, trace: Array64, delay_ms: float) -> dict[str, Any]:
        """Rates, coherence with the true pulse, its share that is left, and what a notch attack finds."""
        fps = 30.0
        regular = even(np.maximum(trace, 1e-4), self.times, fps)
        at = self.times[0] - self.start + np.arange(len(regular)) / fps
        reference = np.interp(at + 1.0 - delay_ms / 1000.0, self.clock, self.pulse.bvp)
        leaks = [coherence(ESTIMATORS[n](regular, fps), reference, fps, self.true_bpm) for n in LEAK_SIGNALS]
        wave = band_pass(reference, fps)
        green = ESTIMATORS["GREEN"](regular, fps)
        found = attack(regular, fps, self.target)
        rates = read_rates(regular, fps, ATTACKERS)
        return {
            "rates": rates,
            "at_target": sum(r is not None and abs(r - self.target) <= 3.0 for r in rates.values()),
            "at_true": hits(rates, heart_rate(reference, fps)),
            "coherence": round(float(np.mean(leaks)), 3),
            "left": round(abs(float(green @ wave) / float(wave @ wave)) / STRENGTH, 3),
            "notch": found,
            "hits": hits(found, heart_rate(reference, fps)),
        }


class _Pictures:
    """Fidelity outside the boxes: PSNR over the planes, SSIM of luma now and then."""

    def __init__(self) -> None:
        self._squares: list[float] = []
        self._ssim: list[float] = []
        self._count = 0

    def add(self, before: Frame, after: Frame, box: FaceBox) -> None:
        if self._count % 15 == 0:
            given, made = rgb_of(before), rgb_of(after)
            outside = np.ones(given.shape[:2], np.bool_)
            top, left = max(0, round(box.top)), max(0, round(box.left))
            outside[top : round(box.top + box.size), left : round(box.left + box.size)] = False
            changed = outside & (np.abs(given.astype(np.int16) - made) > 0).any(axis=2)
            if changed.any():
                self._squares.append(float(((given.astype(np.float32) - made)[changed] ** 2).mean()))
            if self._count % 60 == 0:
                self._ssim.append(_ssim(given, made))
        self._count += 1

    def figures(self) -> dict[str, float | None]:
        """``psnr_changed``: dB, R, G, B, of the pixels beyond the box that changed; ``ssim`` of the frame."""
        psnr = 10 * np.log10(255**2 / np.mean(self._squares)) if self._squares else None
        return {
            "psnr_changed": None if psnr is None else round(float(psnr), 1),
            "ssim": round(float(np.mean(self._ssim)), 4) if self._ssim else None,
        }


def _ssim(given: npt.NDArray[np.uint8], made: npt.NDArray[np.uint8]) -> float:
    return float(structural_similarity(given, made, channel_axis=2))  # type: ignore[no-untyped-call]
