"""``python -m model.datasets.training NAME FOLDER --out DIR --part train``: a dataset as training clips.

What `model.reference.train` and `model.reference.pretrain` read: the face's crops, the skin, the contact
wave. The label is no exact one: the contact wave's best fit to the face's colour, alike all over it
(`model.evaluate.paper.clips.followed`). The paper's own losses do not look at it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import hilbert

from model.code_mark import ROOT
from model.data.clip import CROP, Clip
from model.data.label import TERMS
from model.data.settings import ClipSettings
from model.data.store import clip_names, write_clip
from model.datasets.protocol import DatasetClip
from model.datasets.registry import DATASETS, open_dataset
from model.datasets.split import split_clips
from model.evaluate.clip import LEAST_SECONDS, READ_SECONDS, EvalClip
from model.evaluate.paper.clips import open_dataset_clip
from streamfilter.errors import PhysioCamError, SourceError, UsageError
from streamfilter.face.crop import crop_rgb
from streamfilter.rppg.filters import band_pass, resample

Array32 = npt.NDArray[np.float32]
PARTS = ("train", "val", "test", "all")


def training_clip(name: str, clip: DatasetClip, seconds: float, cache: Path) -> Clip:
    """Up to ``seconds`` (30 at most) of a clip of the dataset ``name``, from where its face is settled.

    Without a contact wave its label is no pulse at all, ``settings.strength`` 0. Raises SourceError as
    `open_dataset_clip`.
    """
    made = open_dataset_clip(clip, seconds, cache)
    first, last = made.read
    observed = np.empty((last - first, CROP, CROP, 3), np.uint16)
    for index, frame in enumerate(made.frames()):
        if index >= first:
            crop = np.clip(crop_rgb(frame, made.box(index), CROP), 0.0, 1.0)
            observed[index - first] = np.rint(np.moveaxis(crop, 0, -1) * 65535.0)
    times = np.asarray(made.times[first:last] - made.times[first])
    pulse, rate = made.pulse, made.true_bpm
    known = pulse is not None and rate is not None
    field = pulse.field[first:last] if pulse is not None and known else np.zeros((last - first, TERMS))
    return Clip(
        observed=observed,
        skin=made.skin[first:last],
        field=np.asarray(field, np.float32),
        direction=pulse.direction if pulse is not None else np.zeros(3, np.float32),
        bvp=np.asarray(pulse.bvp[first:last] if pulse is not None else np.zeros(last - first), np.float32),
        rate=np.full(last - first, rate or 0.0, np.float32),
        phase=_phase(made),
        times=times,
        dt=np.diff(times, prepend=times[0] - float(np.median(np.diff(times)))).astype(np.float32),
        hr=rate or 0.0,
        identity=f"{name}-{clip.subject}",
        ita=float("nan"),
        settings=ClipSettings(
            frames=last - first,
            fps=made.fps,
            hr=rate or 0.0,
            strength=float(np.percentile(np.abs(field[:, 0]), 95)),
        ),
    )


def _phase(made: EvalClip) -> Array32:
    """(T,) radians, rising: of the contact wave in the pulse's band; 0 where there is none."""
    span = slice(*made.read)
    times = made.times[span]
    if made.pulse is None:
        return np.zeros(times.size, np.float32)
    even = resample(made.pulse.bvp[span, None], times, made.fps)[:, 0]
    angle = np.unwrap(np.angle(hilbert(band_pass(even, made.fps))))
    grid = times[0] + np.arange(angle.size) / made.fps
    return np.interp(times, grid, angle).astype(np.float32)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.datasets.training", description=__doc__)
    parser.add_argument("name", choices=sorted(DATASETS), help="the dataset")
    parser.add_argument("folder", type=Path, help="where it was unpacked")
    parser.add_argument("--out", type=Path, required=True, help="folder of clips for --data or --val")
    parser.add_argument("--part", choices=PARTS, default="train", help="of the split by subject")
    parser.add_argument(
        "--seconds", type=float, default=READ_SECONDS, help="of each clip, %(default)g at most"
    )
    parser.add_argument(
        "--cache", type=Path, default=ROOT / "runs" / "paper" / "clips", help="prepared clips"
    )
    options = parser.parse_args(arguments)
    if not LEAST_SECONDS < options.seconds <= READ_SECONDS:
        parser.error(f"--seconds {options.seconds:g}: more than {LEAST_SECONDS:g}, {READ_SECONDS:g} at most")
    return options


def run(options: argparse.Namespace) -> int:
    """Writes the clips that are not there yet. Returns 1 where one could not be read."""
    dataset = open_dataset(options.name, options.folder)
    clips = dataset.clips if options.part == "all" else split_clips(dataset)[options.part]
    if not clips:
        raise UsageError(f"the part {options.part} of {options.folder} is empty: give --part all")
    there, bad = set(clip_names(options.out)), 0
    for clip in clips:
        name = clip.name.replace("/", "_")
        if name in there:
            continue
        try:
            write_clip(options.out, name, training_clip(options.name, clip, options.seconds, options.cache))
            print(name, flush=True)
        except SourceError as error:
            bad += 1
            print(f"left out: {error}", file=sys.stderr)
    return 1 if bad else 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        return run(options)
    except PhysioCamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
