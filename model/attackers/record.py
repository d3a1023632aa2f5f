"""One scene through the real filter, and what any attacker can take from each version of it.

Versions of a scene: ``raw`` (as the camera saw it), ``free`` (the same without its pulse), ``out`` (the
filter, target A), ``out_b`` (the filter again, target B), ``out_free`` (the filter on ``free``: chance),
``painted`` (``free`` with the true pulse written by the filter's own dither: natural, with equal noise).
Only what attackers read is kept: means of places and pixel statistics, no pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from model.attackers.calls import PLANES, Call, after
from model.attackers.layout import ALL, CELLS, POINT_ROLES, VERSIONS, WIDE, WITH_POINTS
from model.attackers.points import follow_points
from model.attackers.regions import Areas, RegionMasks, RegionTraces, even_traces
from model.attackers.scenes import FPS, HEAVE, SKIP_SECONDS, Scene
from model.code_mark import code_mark
from model.data.video import Video, VideoFrame, frame_of, render_video
from model.evaluate.store import face_box, skin_cells
from streamfilter.artifact import load_artifact
from streamfilter.composite import apply_gain
from streamfilter.config import FilterSettings
from streamfilter.dither import Dither
from streamfilter.engine import open_engine
from streamfilter.errors import SourceError
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import CROP_SIZE, crop_rgb
from streamfilter.face.finder import FaceFinder
from streamfilter.face.track import TrackedFace
from streamfilter.face_filter import VideoFilter
from streamfilter.frame import Frame
from streamfilter.rppg.filters import resample
from streamfilter.rppg.heart_rate import heart_rate

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]
_SOURCES = (
    *(f"model/attackers/{name}.py" for name in ("calls", "layout", "points", "record", "regions", "scenes")),
    "model/data/*.py",
    "model/evaluate/store.py",
    *(f"streamfilter/{folder}*.py" for folder in ("", "engine/", "face/", "rppg/")),
)
FilterMaker = Callable[[str, FaceFinder], VideoFilter]  # by the version's name


class _SharedFinder(FaceFinder):
    """Looks once at a frame that several ask about: the camera's, for all filters that are given it."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: Frame | None = None
        self._faces: list[TrackedFace] = []

    def find(self, frame: Frame) -> list[TrackedFace]:
        if frame is not self._seen:
            self._seen, self._faces = frame, super().find(frame)
        return self._faces


class _Reader:
    """Collects what is read of one version."""

    def __init__(self) -> None:
        self.face: list[Array64] = []
        self.cells: list[Array32] = []
        self.wide: list[Array32] = []
        self.pixels: list[Array32] = []
        self.regions: list[Array64] = []
        self.lumas: list[npt.NDArray[np.uint8]] = []
        self._last: Frame | None = None
        self._traces = RegionTraces()

    def read(self, frame: Frame, box: FaceBox, skin: Array32, areas: Areas, with_luma: bool) -> None:
        crop = crop_rgb(frame, box)
        self.face.append(
            np.asarray((crop * skin).sum(axis=(1, 2)) / max(float(skin.sum()), 1e-6), np.float64)
        )
        side = CROP_SIZE // CELLS
        means = crop.reshape(3, CELLS, side, CELLS, side).mean(axis=(2, 4))
        self.cells.append(np.asarray(np.moveaxis(means, 0, -1), np.float32))
        self.wide.append(_wide(frame))
        self.pixels.append(pixel_statistics(frame, self._last, box))
        self.regions.append(self._traces.read(frame, areas))
        self._last = frame
        if with_luma:
            self.lumas.append(frame.y)


def _wide(frame: Frame) -> Array32:
    planes = [
        cv2.resize(p.astype(np.float32), (WIDE, WIDE), interpolation=cv2.INTER_AREA)
        for p in (frame.y, frame.u, frame.v)
    ]
    return np.asarray(np.stack(planes, axis=-1), np.float32)


def pixel_statistics(frame: Frame, last: Frame | None, box: FaceBox) -> Array32:
    """(9,): for Y, U, V over the box's middle: mean square of the change since the last frame (0: none),
    of the difference between neighbours, and of the change of that difference. Grey levels squared."""
    out = []
    for name, scale in (("y", 1.0), ("u", 2.0), ("v", 2.0)):
        now = _middle(getattr(frame, name), box, scale)
        beside = np.diff(now, axis=1)
        change, flicker = 0.0, 0.0
        if last is not None:
            before = _middle(getattr(last, name), box, scale)
            change = float(np.mean((now - before) ** 2))
            flicker = float(np.mean((beside - np.diff(before, axis=1)) ** 2))
        out += [change, float(np.mean(beside**2)), flicker]
    return np.array(out, np.float32)


def _middle(plane: npt.NDArray[np.uint8], box: FaceBox, scale: float) -> Array32:
    half = 0.25 * box.size / scale
    x, y = box.cx / scale, box.cy / scale
    rows = slice(max(0, round(y - half)), max(2, round(y + half)))
    columns = slice(max(0, round(x - half)), max(2, round(x + half)))
    return plane[rows, columns].astype(np.float32)


def recordings_mark(*about: object) -> str:
    """12 hexadecimal digits of the code behind a recording, and of ``about``: the name of a cache."""
    return hashlib.sha256("\n".join([code_mark(_SOURCES), *map(repr, about)]).encode()).hexdigest()[:12]


def record(scene: Scene, folder: Path, artifact: Path | None = None) -> Path:
    """The file of a scene's recording, made where it is not there yet.

    Raises SourceError where the face is not found in every frame that is read.
    """
    return record_versions(
        scene, folder, VERSIONS[scene.role], lambda name, finder: filter_of(scene, name, artifact, finder)
    )


def record_versions(
    scene: Scene,
    folder: Path,
    names: Sequence[str],
    make_filter: FilterMaker,
    calls: Sequence[str] = (PLANES,),
    points: bool = True,
) -> Path:
    """The file of a scene's versions ``names``, made where it is not there yet; those that begin with "out"
    come from ``make_filter``. Each is read after every one of the ``calls`` (`calls.after` names it),
    without points of the head's motion if ``points`` says so.

    Raises SourceError where the face is not found in every frame that is read.
    """
    path = folder / f"{scene.key()}.npz"
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    arrays = _arrays(scene, names, make_filter, calls, points)
    part = path.with_name(f"part-{path.name}")
    np.savez_compressed(part, **arrays)  # type: ignore[arg-type]
    part.replace(path)
    return path


def _arrays(
    scene: Scene, names: Sequence[str], make_filter: FilterMaker, calls: Sequence[str], points: bool
) -> dict[str, npt.NDArray[np.generic]]:
    portrait = scene.portrait()
    video = render_video(np.random.default_rng(scene.seed), portrait, scene.settings, scene.size)
    readers = {after(name, call): _Reader() for name in names for call in calls}
    sent = {(name, call): Call(call, scene.size, FPS) for name in names for call in calls if call != PLANES}
    followed = WITH_POINTS if points and scene.role in POINT_ROLES else ()
    finder, regions, dither, box = _SharedFinder(), RegionMasks(), Dither(key=scene.seed), None
    first = round(SKIP_SECONDS * FPS)
    with ExitStack() as held:
        filters = {name: make_filter(name, finder) for name in names if name.startswith("out")}
        for one in filters.values():
            held.callback(one.close)
        for index, drawn in enumerate(video.frames()):
            seen = _heaved(drawn.frame, video.bvp[index]) if scene.role == "heave" else drawn.frame
            found = face_box(finder, seen)
            if found is None and index >= first:
                raise SourceError(f"{scene.key()}: no face in frame {index}; draw another scene")
            box = box if found is None else FaceBox(*found)
            if box is None:
                box = FaceBox(scene.size / 2, scene.size / 2, scene.size * 0.66)
            free = frame_of(drawn.pulse_free, seen.pts, seen.color) if set(names) - {"raw", "out"} else seen
            skin = skin_cells(drawn.skin, (box.cx, box.cy, box.size)) * np.float32(1 / 255)
            areas = regions.areas(seen, drawn.skin, box)
            for name in names:
                if name in filters:
                    made = filters[name].process(free if name == "out_free" else seen).frame
                elif name == "painted":
                    made = _painted(free, drawn, box, dither, index) if index >= first - 1 else free
                else:
                    made = free if name == "free" else seen
                for call in calls:
                    seen_there = made if call == PLANES else sent[name, call].through(made)
                    if index >= first:
                        reader = readers[after(name, call)]
                        reader.read(seen_there, box, np.asarray(skin, np.float32), areas, name in followed)
    return _packed(scene, video, readers, portrait.identity, first)


def filter_of(scene: Scene, name: str, folder: Path | None, finder: FaceFinder) -> VideoFilter:
    """The runtime's filter as `build_filter` makes it, but for the finder that it shares."""
    artifact = load_artifact(folder)
    settings = FilterSettings(
        target_bpm=scene.targets[1 if name == "out_b" else 0],
        artifact=folder,
        seed=scene.seed * 10 + ALL.index(name),
    )
    engine = open_engine(artifact, settings.engine, settings.threads)
    return VideoFilter(settings, artifact, engine, None if name == "out_free" else finder)


def _painted(free: Frame, drawn: VideoFrame, box: FaceBox, dither: Dither, index: int) -> Frame:
    """The true pulse written into the pulse-free frame as the filter writes its edit."""
    size = drawn.p.shape[0]
    scale = box.size / CROP_SIZE
    matrix = np.array([[scale, 0, box.left + scale / 2 - 0.5], [0, scale, box.top + scale / 2 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    p = cv2.warpAffine(drawn.p, matrix, (CROP_SIZE, CROP_SIZE), flags=flags) if size else drawn.p
    gain = np.ascontiguousarray(np.moveaxis(np.asarray(p, np.float32), -1, 0))
    return apply_gain(free, gain, crop_rgb(free, box), box, dither, index)


def _heaved(frame: Frame, beat: float) -> Frame:
    """The picture moved by the beat, vertically: `scenes.HEAVE` pixels at a pulse of 1."""

    def moved(plane: npt.NDArray[np.uint8], pixels: float) -> npt.NDArray[np.uint8]:
        matrix = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, pixels]])
        fine = cv2.warpAffine(
            plane.astype(np.float32), matrix, plane.shape[::-1], borderMode=cv2.BORDER_REPLICATE
        )
        return np.clip(np.rint(fine), 0, 255).astype(np.uint8)

    shift = HEAVE * float(beat)
    return frame.with_planes(moved(frame.y, shift), moved(frame.u, shift / 2), moved(frame.v, shift / 2))


def _packed(
    scene: Scene, video: Video, readers: Mapping[str, _Reader], identity: str, first: int
) -> dict[str, npt.NDArray[np.generic]]:
    times = video.times[first:]
    bvp = resample(video.bvp[first:, None].astype(np.float64), times, FPS)[:, 0]
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "bvp": bvp,
        "true": np.array(heart_rate(bvp, FPS)),
        "identity": np.array(identity),
    }

    def even(values: npt.ArrayLike) -> Array64:
        table = np.asarray(values, np.float64)
        return resample(table.reshape(len(table), -1), times, FPS).reshape(-1, *table.shape[1:])

    for name, reader in readers.items():
        arrays[f"{name}.face"] = even(reader.face)
        arrays[f"{name}.cells"] = even(reader.cells).astype(np.float32)
        arrays[f"{name}.wide"] = even(reader.wide).astype(np.float32)
        arrays[f"{name}.regions"] = even_traces(reader.regions, times, FPS)
        arrays[f"{name}.pixels"] = np.stack(reader.pixels)[: len(bvp)]
        points = follow_points(reader.lumas) if reader.lumas else np.zeros((len(times), 0))
        arrays[f"{name}.points"] = (
            even(points).astype(np.float32) if points.size else np.zeros((len(bvp), 0), np.float32)
        )
    return arrays
