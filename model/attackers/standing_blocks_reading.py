"""Sources that were compressed before, through the filter, and what an attacker reads off their blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from model.attackers.blocks import WAYS, block_means, common_steps, standing_share, without_edit
from model.attackers.calls import CALLS, PLANES
from model.attackers.reading import rate_of
from model.attackers.scenes import FPS, SKIP_SECONDS, Scene
from model.data.video import frame_of, render_video
from model.evaluate.codecs import CAMERAS, CODECS, Channel, Codec
from model.evaluate.real import KNOWN_BPM, KNOWN_TARGET
from streamfilter.artifact import load_artifact
from streamfilter.capture import open_source
from streamfilter.config import FilterSettings
from streamfilter.engine import open_engine
from streamfilter.errors import UsageError
from streamfilter.face_filter import VideoFilter
from streamfilter.frame import Frame
from streamfilter.rppg.filters import resample
from streamfilter.rppg.heart_rate import heart_rate

Floats = npt.NDArray[np.float64]
Place = tuple[slice, slice]

UNCOMPRESSED = "uncompressed (control)"
SOURCES: Mapping[str, Codec | None] = {
    UNCOMPRESSED: None,
    "MJPEG, quality 4": CAMERAS["mjpeg"],
    "MJPEG, quality 8": Codec("mjpeg", (("qmin", "8"), ("qmax", "8"))),
    "H.264, crf 21": CAMERAS["h264"],
}
FILE = "file"  # what --output writes by default
RECEIVED = (PLANES, FILE, *CALLS)
UNFILTERED = "unfiltered"  # the source itself: what there is to be found
ATTACKS: Mapping[str, tuple[str, ...]] = {
    "mean alone": ("y mean", "u mean", "v mean"),
    "luma": tuple(f"y {way}" for way in WAYS),
    "chroma": tuple(f"{plane} {way}" for plane in "uv" for way in WAYS),
}
REAL_CLIP, REAL_SEEDS, ON_GRID = "evm_face", 3, 16

Rates = Mapping[str, float]


@dataclass(frozen=True)
class Read:
    """Of a scene: who, the true and the shown rate; by source, ``standing`` share of the blocks and
    ``likeness`` of luma's common steps to the edit's; by source and what was received (``UNFILTERED`` too)
    the rates read."""

    identity: str
    motion: int
    true: float
    target: float
    standing: Mapping[str, float]
    likeness: Mapping[str, float]
    found: Mapping[str, Mapping[str, Rates]]
    free: Mapping[str, Mapping[str, Rates]]


def through(codec: Codec | None, frames: Sequence[Frame], fps: float = FPS) -> list[Frame]:
    """The frames as they come out of an encoder and its decoder, with their own times; None: as they are.

    Raises RuntimeError where frames are lost on the way.
    """
    if codec is None:
        return list(frames)
    av.logging.set_libav_level(av.logging.ERROR)  # FFmpeg's own: PyAV's callback waits for the interpreter
    channel = Channel(codec, frames[0].width, frames[0].height, fps)
    out = [one for frame in frames for one in channel.send(frame)] + channel.finish()
    if len(out) != len(frames):
        raise RuntimeError(f"{codec.encoder}: {len(out)} frames came out for {len(frames)} that went in")
    return [replace(a, pts=b.pts, time_base=b.time_base) for a, b in zip(out, frames, strict=True)]


def codec_of(received: str, pixels: int) -> Codec | None:
    """What lies between the filter and whoever looks on: one of ``RECEIVED``, for a picture of ``pixels``."""
    if received == PLANES:
        return None
    return CODECS[FILE] if received == FILE else CALLS[received].of(pixels)


def read_scene(scene: Scene, received: Sequence[str], pulse: str) -> Read:
    """Filters a scene from every source, with and without a pulse, and attacks what comes out."""
    cv2.setNumThreads(1)
    portrait = scene.portrait()
    video = render_video(np.random.default_rng(scene.seed), portrait, scene.settings, scene.size)
    first = round(SKIP_SECONDS * FPS)
    times, target = video.times[first:], scene.targets[0]
    drawn = [(v.frame, frame_of(v.pulse_free, v.frame.pts, v.frame.color)) for v in video.frames()]
    quarter = scene.size // 4 // ON_GRID * ON_GRID
    place = (slice(quarter, scene.size - quarter),) * 2
    standing, likeness = {}, {}
    rates: tuple[dict[str, dict[str, Rates]], ...] = ({}, {})
    for name, codec in SOURCES.items():
        for kind, by_source in enumerate(rates):
            source = through(codec, [pair[kind] for pair in drawn])
            filtered, _ = _filtered(source, target, scene.seed, pulse)
            own = [_means(one, place) for one in source[first:]]
            by_source[name] = {UNFILTERED: rates_of(own, times, target)}
            for way in received:
                seen = through(codec_of(way, scene.size**2), filtered)[first:]
                by_source[name][way] = rates_of([_means(one, place) for one in seen], times, target)
            if kind == 0:
                before = np.stack([one[0] for one in own])
                after = np.stack([_means(one, place)[0] for one in filtered[first:]])
                standing[name] = standing_share(before)
                edit = np.diff((after - before).mean(axis=1))
                likeness[name] = float(np.corrcoef(edit, common_steps(after)["median"])[0, 1])
    bvp = resample(video.bvp[first:, None].astype(np.float64), times, FPS)[:, 0]
    true = float(heart_rate(bvp, FPS))
    return Read(portrait.identity, scene.settings.motion, true, target, standing, likeness, *rates)


def _filtered(
    frames: Sequence[Frame], target: float, seed: int, pulse: str
) -> tuple[list[Frame], tuple[float, float, float]]:
    """What leaves, and cx, cy and size of the face's box in the last frame."""
    artifact = load_artifact(None)
    settings = FilterSettings(target_bpm=target, seed=seed, pulse=pulse)
    made = VideoFilter(settings, artifact, open_engine(artifact, settings.engine, settings.threads))
    try:
        done = [made.process(frame) for frame in frames]
    finally:
        made.close()
    if not done[-1].boxes:
        raise UsageError("the face was lost: there is nothing to read")
    box = next(iter(done[-1].boxes.values()))
    return [one.frame for one in done], (box.cx, box.cy, box.size)


def _means(frame: Frame, place: Place) -> tuple[Floats, ...]:
    """Block means of Y, U, V of a place in luma samples."""
    half = tuple(slice(one.start // 2, one.stop // 2) for one in place)
    return block_means(frame.y[place]), block_means(frame.u[half]), block_means(frame.v[half])


def rates_of(means: Sequence[tuple[Floats, ...]], times: Floats, target: float) -> dict[str, float]:
    """The rate (bpm) beside ``target`` of each reading of the ``ATTACKS``; ``means`` by frame and plane."""
    waves: dict[str, Floats] = {}
    for plane, blocks in zip("yuv", (np.stack(one) for one in zip(*means, strict=True)), strict=True):
        waves[f"{plane} mean"] = blocks.mean(axis=1)
        waves |= {f"{plane} {way}": wave for way, wave in without_edit(blocks).items()}
    even = resample(np.stack(list(waves.values()), axis=1), times, FPS)
    return {
        name: rate_of(column - column.mean(), FPS, (target,))
        for name, column in zip(waves, even.T, strict=True)
    }


def real_clip(path: Path, received: Sequence[str], pulse: str, seconds: float) -> dict[str, Any]:
    """The rates read of the clip whose own pulse is known, by what was received and seed of the filter."""
    with open_source(path) as source:
        raw = list(islice(source.frames(), round((SKIP_SECONDS + seconds) * FPS)))
    times = np.array([one.seconds for one in raw])
    first = int(np.searchsorted(times, times[0] + SKIP_SECONDS))
    target = KNOWN_TARGET[REAL_CLIP]
    found: dict[str, dict[str, Rates]] = {way: {} for way in received}
    camera: Rates = {}
    for seed in range(REAL_SEEDS):
        filtered, (cx, cy, size) = _filtered(raw, target, seed, pulse)
        middle = [(max(int(c - 0.27 * size), 0) // ON_GRID * ON_GRID, int(0.54 * size)) for c in (cy, cx)]
        place = tuple(slice(start, start + side // ON_GRID * ON_GRID) for start, side in middle)
        for way in received:
            seen = through(codec_of(way, raw[0].width * raw[0].height), filtered)
            means = [_means(one, (place[0], place[1])) for one in seen[first:]]
            found[way][f"seed {seed}"] = rates_of(means, times[first:], target)
        camera = rates_of([_means(one, (place[0], place[1])) for one in raw[first:]], times[first:], target)
    return {
        "clip": path.name,
        "true": KNOWN_BPM[REAL_CLIP],
        "target": target,
        "camera": camera,
        "found": found,
    }
