"""Clips in the cache: lossless video and its truth, written once, whole or not at all."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from model.code_mark import code_mark
from model.evaluate.clip import LEAST_SECONDS, EvalClip, KnownPulse, Labels, has_skin, read_range
from model.evaluate.codecs import Channel, open_channel
from model.evaluate.reading import BLOCKS, sums_of
from streamfilter.capture.source import ColorTags, SourceInfo
from streamfilter.errors import SourceError
from streamfilter.face.crop import CROP_SIZE, cell_means
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import ColorSpec, Frame
from streamfilter.sinks.codec_settings import CodecSettings
from streamfilter.sinks.video_file import VideoFileSink

Array32 = npt.NDArray[np.float32]
Skin = npt.NDArray[np.uint8]

VIDEO, TRUTH = "input.mkv", "truth.npz"
_SOURCES = (
    "model/data/*.py",
    *(f"model/evaluate/{name}.py" for name in ("clip", "codecs", "reading", "real", "store", "synthetic")),
    *(
        f"streamfilter/{name}.py"
        for name in ("capture/*", "composite", "dither", "face/*", "frame", "rppg/*")
    ),
)


def clips_mark() -> str:
    """Changes with the code that makes clips: those in a cache are of it, as a fresh one's would be."""
    return code_mark(_SOURCES)[:16]


def face_box(finder: FaceFinder, frame: Frame) -> tuple[float, float, float] | None:
    """The face that has been known longest: (cx, cy, size), None where there is none."""
    faces = finder.find(frame)
    if not faces:
        return None
    box = faces[0].box
    return box.cx, box.cy, box.size


def skin_cells(skin: Array32, box: tuple[float, float, float]) -> Skin:
    """A skin mask (H, W) 0..1, averaged over the cells of a box: (S, S), of 255."""
    cx, cy, size = box
    x = cx - size / 2 + size * np.arange(CROP_SIZE + 1) / CROP_SIZE
    y = cy - size / 2 + size * np.arange(CROP_SIZE + 1) / CROP_SIZE
    plane = np.rint(np.clip(skin, 0.0, 1.0) * 255.0).astype(np.uint8)
    return np.clip(np.rint(cell_means(plane, x, y)), 0, 255).astype(np.uint8)


class Recorder:
    """Writes a clip's frames to ``folder`` and notes where the face and its skin are."""

    def __init__(
        self, folder: Path, size: tuple[int, int], fps: float, color: ColorSpec, camera: str = "raw"
    ) -> None:
        self._folder = folder
        self._size = size
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        rate = Fraction(fps).limit_denominator(1000)
        tags = ColorTags(matrix=1 if color.matrix == "bt709" else 6, video_range=2 if color.full_range else 1)
        info = SourceInfo(*size, rate, None, color, False, "generated", Fraction(1, 90000), tags)
        self._sink = VideoFileSink(folder / VIDEO, info, CodecSettings(lossless=True))
        self._finder = FaceFinder()
        self._camera: Channel | None = None if camera == "raw" else open_channel(camera, *size, fps)
        self._waiting: list[tuple[Frame, Frame | None, Array32 | Skin]] = []
        self._times: list[float] = []
        self._boxes: list[tuple[float, float, float] | None] = []
        self._skin: list[Skin] = []
        self._free: list[Array32] = []

    def add(self, seen: Frame, free: Frame | None, skin: Array32) -> None:
        """A frame, the same without its pulse (None: not known), and the skin (H, W) 0..1 of its pixels."""
        if self._camera is None:
            self._keep(seen, free, skin)
            return
        self._waiting.append((seen, free, skin))
        self._came_out(self._camera.send(seen))

    def add_cells(
        self, seen: Frame, box: tuple[float, float, float] | None, cells: Skin, free: Array32 | None
    ) -> None:
        """A frame whose face's box (None: no face) and skin (S, S), of 255, are known already."""
        self._sink.write(seen)
        self._times.append(seen.seconds)
        self._boxes.append(box)
        self._skin.append(cells)
        self._free.append(np.zeros((4, BLOCKS, BLOCKS), np.float32) if free is None else free)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._sink.abort()
            return
        if self._camera is not None:
            self._came_out(self._camera.finish())
        self._sink.close()

    def read_range(self) -> tuple[int, int]:
        """The frames to measure. Raises SourceError where too few in a row show a face and its skin."""
        if not self._times:
            raise SourceError("no picture could be decoded: it cannot be evaluated")
        times = np.array(self._times)
        face = np.array([box is not None for box in self._boxes])
        found = face & has_skin(np.stack(self._skin))
        first, last = read_range(times, found)
        seconds = float(times[last - 1] - times[first]) if last > first else 0.0
        if seconds < LEAST_SECONDS:
            raise SourceError(
                f"{seconds:.1f} s can be read, {LEAST_SECONDS:g} s are needed: of {times.size} frames, "
                f"{face.sum()} show a face and {found.sum()} skin on it; give a clip that shows more"
            )
        return first, last

    def free_blocks(self) -> Array32:
        return np.stack(self._free)

    def clip(
        self,
        name: str,
        labels: Labels,
        seed: int,
        target: float,
        true_bpm: float | None,
        pulse: KnownPulse | None,
    ) -> EvalClip:
        boxes = [box if box is not None else (1.0, 1.0, 2.0) for box in self._boxes]
        return EvalClip(
            name=name,
            labels=labels,
            path=self._folder / VIDEO,
            seed=seed,
            size=self._size,
            times=np.array(self._times),
            boxes=np.array(boxes),
            skin=np.stack(self._skin),
            read=self.read_range(),
            target=target,
            true_bpm=true_bpm,
            pulse=pulse,
            codecs=False,
        )

    def _came_out(self, frames: list[Frame]) -> None:
        for decoded in frames:
            seen, free, skin = self._waiting.pop(0)
            self._keep(seen.with_planes(decoded.y, decoded.u, decoded.v), free, np.asarray(skin, np.float32))

    def _keep(self, seen: Frame, free: Frame | None, skin: Array32) -> None:
        self._sink.write(seen)
        box = face_box(self._finder, seen)
        self._times.append(seen.seconds)
        self._boxes.append(box)
        where = box if box is not None else (1.0, 1.0, 2.0)
        cells = skin_cells(skin, where)
        self._skin.append(cells)
        if free is not None:
            self._free.append(sums_of(free, np.array(where), cells))


def save_clip(folder: Path, clip: EvalClip) -> None:
    """Writes the truth beside the video; the clip is in the cache once this is done."""
    about = {
        "name": clip.name,
        "labels": asdict(clip.labels),
        "path": str(clip.path.resolve()),
        "seed": clip.seed,
        "size": clip.size,
        "read": clip.read,
        "target": clip.target,
        "true_bpm": clip.true_bpm,
        "codecs": clip.codecs,
        "frame_of": None if clip.pulse is None else clip.pulse.frame_of,
    }
    arrays = {"times": clip.times, "boxes": clip.boxes, "skin": clip.skin}
    if clip.pulse is not None:
        pulse = clip.pulse
        arrays |= {"field": pulse.field, "direction": pulse.direction, "bvp": pulse.bvp}
        arrays["free"] = pulse.free
    part = folder / f"part-{TRUTH}"
    np.savez_compressed(part, about=json.dumps(about), **arrays)  # type: ignore[arg-type]
    part.replace(folder / TRUTH)


def load_clip(folder: Path) -> EvalClip:
    """A clip of the cache."""
    with np.load(folder / TRUTH) as data:
        about = json.loads(str(data["about"]))
        arrays = {key: data[key] for key in data.files if key != "about"}
    pulse = None
    if about["frame_of"] is not None:
        names = ("field", "direction", "bvp", "free")
        pulse = KnownPulse(frame_of=about["frame_of"], **{key: arrays[key] for key in names})
    return EvalClip(
        name=about["name"],
        labels=Labels(**about["labels"]),
        path=Path(about["path"]),
        seed=about["seed"],
        size=(about["size"][0], about["size"][1]),
        times=arrays["times"],
        boxes=arrays["boxes"],
        skin=arrays["skin"],
        read=(about["read"][0], about["read"][1]),
        target=about["target"],
        true_bpm=about["true_bpm"],
        pulse=pulse,
        codecs=about["codecs"],
    )
