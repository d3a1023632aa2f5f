"""The reference editors: both show the target; the oracle leaves nothing of the true pulse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from model.data.video import frame_of
from model.evaluate.clip import EvalClip, KnownPulse, Labels
from model.evaluate.editors import BandStop, Editor, Oracle, Untouched, make_editor
from model.evaluate.metrics import leaks, readings
from model.evaluate.reading import BLOCKS, block_sums, face_trace
from streamfilter.face.crop import CROP_SIZE
from streamfilter.frame import ColorSpec, Frame

FPS, COUNT, SIDE = 15.0, 180, 96
TRUE, TARGET = 72.0, 120.0
DIRECTION = np.array([0.43, 1.0, 0.69], np.float32)


@pytest.fixture(scope="module")
def scene() -> tuple[EvalClip, list[Frame]]:
    """12 s of a flat face with camera noise and a pulse, and the truth about it."""
    rng = np.random.default_rng(0)
    times = np.arange(COUNT) / FPS
    bvp = np.cos(2 * np.pi * TRUE / 60 * times)
    field = np.zeros((COUNT, 10), np.float32)
    field[:, 0] = 0.006 * bvp
    clip = EvalClip(
        name="flat",
        labels=Labels("synthetic"),
        path=Path("none"),
        seed=5,
        size=(SIDE, SIDE),
        times=times,
        boxes=np.tile([48.0, 48.0, 90.0], (COUNT, 1)),
        skin=np.full((COUNT, CROP_SIZE, CROP_SIZE), 255, np.uint8),
        read=(0, COUNT),
        target=TARGET,
        true_bpm=TRUE,
        pulse=KnownPulse(field, DIRECTION, "box", bvp, np.ones((COUNT, 4, BLOCKS, BLOCKS), np.float32)),
        codecs=False,
    )
    color = np.array([0.62, 0.47, 0.38], np.float32)
    frames = []
    for index in range(COUNT):
        seen = color * (1.0 + field[index, 0] * DIRECTION) + rng.normal(0, 0.008, (SIDE, SIDE, 3))
        frames.append(
            frame_of(seen.astype(np.float32), round(times[index] * 90000), ColorSpec(), Fraction(1, 90000))
        )
    return clip, frames


Blocks = npt.NDArray[np.float32]


def blocks_after(editor: Editor, clip: EvalClip, frames: list[Frame]) -> Blocks:
    """The middle of the face only: the composite fades to nothing at the box's border."""
    sums = [block_sums(editor.edit(k, frame)[0], clip, k) for k, frame in enumerate(frames)]
    middle = np.stack(sums)
    middle[:, :, [0, 1, -2, -1]] = 0.0
    middle[:, :, :, [0, 1, -2, -1]] = 0.0
    return middle


@pytest.mark.parametrize("make", [BandStop, Oracle])
def test_reference_editors_show_the_target(
    make: Callable[[EvalClip, Sequence[float]], Editor], scene: tuple[EvalClip, list[Frame]]
) -> None:
    """In the skin's own colour: PBV looks for that, and without masking finds the least residue of it."""
    clip, frames = scene
    trace = face_trace(blocks_after(make(clip, (0.0022, 0.0052, 0.0036)), clip, frames)[30:])
    figures = readings(trace, clip, slice(30, COUNT))
    assert max(figures["error"].values()) < 2.0


def test_the_oracle_leaves_no_pulse_and_no_editor_leaves_it_all(scene: tuple[EvalClip, list[Frame]]) -> None:
    clip, frames = scene
    span = slice(0, COUNT)
    untouched = leaks(blocks_after(Untouched(), clip, frames), clip, span)
    oracle = leaks(blocks_after(Oracle(clip), clip, frames), clip, span)
    assert untouched["left"] == pytest.approx(1.0, abs=0.05)
    assert oracle["left"] < 0.05
    assert untouched["face_mean"] > 0.95 > 0.7 > oracle["face_mean"]


def test_no_editor_touches_what_lies_outside_the_box(scene: tuple[EvalClip, list[Frame]]) -> None:
    clip, frames = scene
    edited, shielded = Oracle(clip).edit(3, frames[3])
    assert not shielded
    np.testing.assert_array_equal(edited.y[:3], frames[3].y[:3])
    np.testing.assert_array_equal(edited.u[:, :1], frames[3].u[:, :1])
    assert (edited.y != frames[3].y).any()


def test_an_unknown_editor_is_refused(scene: tuple[EvalClip, list[Frame]]) -> None:
    with pytest.raises(ValueError, match="choose from none, band-stop"):
        make_editor("magic", scene[0], None, (0.002, 0.005, 0.003))
