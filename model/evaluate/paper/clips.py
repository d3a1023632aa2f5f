"""A dataset's clip made ready to be edited and read: lossless planes, face and skin, the contact pulse.

Every editor gets the same 8-bit Y, U, V planes (4:2:0), which is what a camera would have given; those that
work in R, G, B get these planes' R, G, B.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import hilbert

from model.data.label import TERMS
from model.data.video import TIME_BASE, frame_of
from model.datasets.prepare import content_key
from model.datasets.protocol import DatasetClip, Pulse
from model.evaluate.clip import LEAST_SECONDS, SKIP_SECONDS, EvalClip, KnownPulse, Labels
from model.evaluate.reading import BLOCKS, face_trace, sums_of
from model.evaluate.real import SteadySkin
from model.evaluate.store import TRUTH, Recorder, load_clip, save_clip
from streamfilter.errors import SourceError
from streamfilter.face.crop import CROP_SIZE
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import ColorSpec, Frame
from streamfilter.rppg.filters import band_pass, resample

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]

VERSION = 1
_ANY_TARGET = 60.0  # of a clip that is edited to several in turn
_SLACK_SECONDS = 1.0  # for a face that is found a moment after the first picture


def open_dataset_clip(clip: DatasetClip, seconds: float, cache: Path) -> EvalClip:
    """The clip, from ``cache`` or made now; ``seconds`` of it are read, 30 at most.

    With a contact wave it has a `KnownPulse` (`followed`). Raises SourceError where it cannot be read, or
    shows no face and skin for long enough.
    """
    folder = cache / f"{clip.name.replace('/', '_')}-{content_key(clip, f'{seconds:g}', str(VERSION))}"
    if not (folder / TRUTH).is_file():
        _prepare(clip, seconds, folder)
    return load_clip(folder)


def _prepare(clip: DatasetClip, seconds: float, folder: Path) -> None:
    times, pulse = clip.times(), clip.pulse()
    start, stop = _span(clip.name, times, pulse, seconds)
    fps = (stop - 1 - start) / float(times[stop - 1] - times[start])
    first = next(iter(clip.frames(start, start + 1)))
    size = (first.shape[1] // 2 * 2, first.shape[0] // 2 * 2)
    finder, steady = FaceFinder(), SteadySkin(fps)
    blocks: list[Array32] = []
    recorder = Recorder(folder, size, fps, ColorSpec())
    with recorder:
        for frame in _frames(clip, times[start:stop] - times[start], start, size):
            faces = finder.find(frame)
            where, cells = None, np.zeros((CROP_SIZE, CROP_SIZE), np.uint8)
            sums = np.zeros((4, BLOCKS, BLOCKS), np.float32)
            if faces:
                box = faces[0].box
                where = (box.cx, box.cy, box.size)
                cells = np.rint(np.clip(steady.next(frame, box), 0, 1) * 255).astype(np.uint8)
                sums = sums_of(frame, np.array(where), cells)
            recorder.add_cells(frame, where, cells, None)
            blocks.append(sums)
    if len(blocks) != stop - start:
        raise SourceError(
            f"{clip.name}: {len(blocks)} of {stop - start} pictures can be decoded; fetch it again"
        )
    seen = times[start:stop]
    begin, end = recorder.read_range()
    end = min(end, int(np.searchsorted(seen, seen[begin] + seconds - 1e-6)))
    true_bpm = clip.heart_rate(float(seen[begin]), float(seen[end - 1]))
    known = None if pulse is None else followed(pulse.at(seen), seen, np.stack(blocks), (begin, end))
    seed = int(hashlib.sha256(clip.name.encode()).hexdigest()[:8], 16)
    made = recorder.clip(clip.name, Labels(source="real", fps=round(fps)), seed, _ANY_TARGET, true_bpm, known)
    save_clip(folder, replace(made, read=(begin, end)))


def _span(name: str, times: Array64, pulse: Pulse | None, seconds: float) -> tuple[int, int]:
    """The pictures to take: from the first that the sensor knows of, no more than are read."""
    used = np.ones(times.size, bool)
    if pulse is not None:
        used &= (times >= pulse.times[0]) & (times <= pulse.times[-1])
    if used.any():
        used &= times <= times[np.argmax(used)] + SKIP_SECONDS + _SLACK_SECONDS + seconds
    chosen = np.flatnonzero(used)
    if chosen.size < 2 or times[chosen[-1]] - times[chosen[0]] < SKIP_SECONDS + LEAST_SECONDS:
        raise SourceError(
            f"{name}: pictures and sensor share under {SKIP_SECONDS + LEAST_SECONDS:g} s; give a longer clip"
        )
    return int(chosen[0]), int(chosen[-1]) + 1


def _frames(clip: DatasetClip, times: Array64, start: int, size: tuple[int, int]) -> Iterator[Frame]:
    width, height = size
    for seconds, rgb in zip(times, clip.frames(start, start + times.size), strict=False):
        picture = np.asarray(rgb[:height, :width], np.float32) / np.float32(255.0)
        yield frame_of(picture, round(float(seconds) / TIME_BASE), ColorSpec())


def followed(bvp: Array64, times: Array64, blocks: Array32, read: tuple[int, int]) -> KnownPulse:
    """The contact wave ``bvp`` (T,), with what follows it in the face's colour, ``blocks`` (T, 4, B, B).

    A contact sensor says how the blood moves, not by how much each cell of the skin changes colour. The
    oracle that this gives is weaker than one of exact labels: the wave's best fit, with one strength and
    one delay (by the wave and its quadrature), to the relative R, G, B of the mean skin in the pulse's
    band, alike everywhere.
    """
    span = slice(*read)
    fps = (read[1] - read[0] - 1) / float(times[read[1] - 1] - times[read[0]])
    columns = np.concatenate([face_trace(blocks[span]), bvp[span, None]], axis=1)
    regular = resample(columns, times[span], fps)
    colour = regular[:, :3] / regular[:, :3].mean(axis=0) - 1.0
    relative = np.stack([band_pass(column, fps) for column in colour.T], axis=1)
    wave = band_pass(regular[:, 3], fps)
    turned = np.imag(hilbert(wave))
    basis = np.stack([wave, turned], axis=1)
    weights, *_ = np.linalg.lstsq(basis, relative[:, 1], rcond=None)
    green = basis @ weights
    direction = (relative.T @ green) / max(float(green @ green), 1e-20)
    grid = times[span][0] + np.arange(green.size) / fps
    field = np.zeros((times.size, TERMS), np.float32)
    field[:, 0] = np.interp(times, grid, green, left=0.0, right=0.0)
    free = np.zeros((times.size, 4, BLOCKS, BLOCKS), np.float32)
    return KnownPulse(field, direction.astype(np.float32), "box", np.nan_to_num(bvp), free)
