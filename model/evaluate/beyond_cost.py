"""What the edit beyond the face costs at 1280 × 720, for a usual scene and for a frame that is all skin."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from streamfilter.body import BodyEditor, BodyState, Wearer
from streamfilter.dither import Dither
from streamfilter.face.box import FaceBox
from streamfilter.face.color import rgb_to_yuv_matrix
from streamfilter.frame import ColorSpec, Frame
from streamfilter.skin import Tone

SKIN, GREY = (0.75, 0.52, 0.42), (0.45, 0.47, 0.5)
BOX = FaceBox(640.0, 260.0, 330.0)
RUNS = 120


def cost() -> dict[str, dict[str, float]]:
    """Milliseconds a frame by scene: ``best`` and ``median`` of RUNS; ``share`` of the frame edited."""
    usual = [(430, 720, 500, 780), (450, 640, 920, 1040)]  # neck and chest, a hand: top, bottom, left, right
    return {"chest and a hand": _time(usual), "every pixel is skin": _time([(0, 720, 0, 1280)])}


def _time(places: list[tuple[int, int, int, int]]) -> dict[str, float]:
    skin = np.zeros((720, 1280), np.bool_)
    for top, bottom, left, right in [*places, (95, 425, 475, 805)]:
        skin[top:bottom, left:right] = True
    frames = [_frame(skin, seconds / 30) for seconds in range(2)]
    editor = BodyEditor(np.random.default_rng(0), (0.001, 0.006, 0.0026))
    red, blue = (float(np.log((SKIN[k] + 0.02) / (SKIN[1] + 0.02))) for k in (0, 2))
    tone = Tone(red, blue, float(SKIN[1]))
    wearers, gain = [Wearer(BOX, tone, 1.0, np.zeros(3, np.float32))], np.zeros((3, 72, 72), np.float32)
    state: BodyState | None = None
    share = 0.0
    taken = []
    for index in range(RUNS):
        frame = Frame(
            frames[index % 2].y, frames[index % 2].u, frames[index % 2].v, index, Fraction(1, 30), ColorSpec()
        )
        target = frame.with_planes(frame.y.copy(), frame.u.copy(), frame.v.copy())

        def edit(frame: Frame = frame, target: Frame = target, index: int = index) -> None:
            nonlocal state, share
            body, state = editor.find(frame, wearers, [BOX], 1.0, state)
            body.within(gain, BOX)
            body.beyond(target, frame, [BOX], Dither(), index)
            share = float((body.mask > 0).mean())

        taken.append(_milliseconds(edit))
    return {
        "best": round(float(np.min(taken[10:])), 2),
        "median": round(float(np.median(taken[10:])), 2),
        "share": round(share, 3),
    }


def _milliseconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return 1000.0 * (time.perf_counter() - start)


def _frame(skin: npt.NDArray[np.bool_], seconds: float) -> Frame:
    matrix, offset = rgb_to_yuv_matrix(ColorSpec())
    colors = [matrix @ np.array(color) + offset for color in (GREY, SKIN)]
    rng = np.random.default_rng(round(30 * seconds))
    planes = []
    for k, mask in enumerate((skin, skin[::2, ::2], skin[::2, ::2])):
        level = np.where(mask, colors[1][k], colors[0][k]) + rng.normal(0.0, 1.5, mask.shape)
        planes.append(np.rint(level).astype(np.uint8))
    y, u, v = planes
    return Frame(y, u, v, round(seconds * 30), Fraction(1, 30), ColorSpec())
