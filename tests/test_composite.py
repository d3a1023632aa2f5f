"""The edit in the planes: where it lands, how large it is, and what it leaves alone."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.composite import apply_gain
from streamfilter.face.box import FaceBox
from streamfilter.face.color import rgb_to_yuv_matrix
from streamfilter.frame import ColorSpec, Frame

SIZE = 72
RGB = np.array([0.75, 0.55, 0.45], np.float32)
COLORS = [ColorSpec(matrix, full) for matrix in ("bt601", "bt709") for full in (False, True)]


def flat_frame(width: int, height: int, color: ColorSpec) -> Frame:
    matrix, offset = rgb_to_yuv_matrix(color)
    y, u, v = np.rint(matrix @ RGB + offset)
    half = ((height + 1) // 2, (width + 1) // 2)
    shapes = ((height, width), half, half)
    planes = [np.full(shape, level, np.uint8) for shape, level in zip(shapes, (y, u, v), strict=True)]
    return Frame(planes[0], planes[1], planes[2], pts=0, time_base=Fraction(1, 30), color=color)


def flat_crop() -> npt.NDArray[np.float32]:
    return np.broadcast_to(RGB[:, None, None], (3, SIZE, SIZE)).astype(np.float32)


def constant_gain(r: float, g: float, b: float) -> npt.NDArray[np.float32]:
    return np.broadcast_to(np.array([r, g, b], np.float32)[:, None, None], (3, SIZE, SIZE)).copy()


@pytest.mark.parametrize("color", COLORS)
def test_mean_edit_is_the_gain_through_the_frames_own_matrix(color: ColorSpec) -> None:
    frame, box = flat_frame(200, 180, color), FaceBox(100.0, 90.0, 150.0)
    gain = constant_gain(0.004, -0.006, 0.003)
    want = rgb_to_yuv_matrix(color)[0] @ (RGB * gain[:, 0, 0])
    inside = (slice(50, 130), slice(60, 140))
    half = (slice(25, 65), slice(30, 70))
    sums = np.zeros(3)
    for index in range(64):
        out = apply_gain(frame, gain, flat_crop(), box, index=index)
        moved = zip((out.y, out.u, out.v), (frame.y, frame.u, frame.v), (inside, half, half), strict=True)
        sums += [np.mean(new[at].astype(float) - old[at]) for new, old, at in moved]
    np.testing.assert_allclose(sums / 64, want, atol=0.01)


def test_zero_gain_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    y, c = rng.integers(0, 256, (120, 160), np.uint8), rng.integers(0, 256, (60, 80), np.uint8)
    frame = Frame(y, c, c[::-1].copy(), 0, Fraction(1, 30), ColorSpec())
    for index in range(100):
        out = apply_gain(frame, constant_gain(0, 0, 0), flat_crop(), FaceBox(80.3, 60.7, 100.5), index=index)
        assert (
            np.array_equal(out.y, frame.y)
            and np.array_equal(out.u, frame.u)
            and np.array_equal(out.v, frame.v)
        )


@settings(max_examples=20, deadline=None)
@given(
    cx=st.floats(-80, 240),
    cy=st.floats(-80, 240),
    size=st.floats(8, 300),
    width=st.integers(8, 161),
    height=st.integers(8, 161),
    index=st.integers(0, 10_000),
)
def test_nothing_outside_the_box_changes(
    cx: float, cy: float, size: float, width: int, height: int, index: int
) -> None:
    frame = flat_frame(width, height, ColorSpec())
    before = [plane.copy() for plane in (frame.y, frame.u, frame.v)]
    out = apply_gain(frame, constant_gain(0.03, 0.03, -0.03), flat_crop(), FaceBox(cx, cy, size), index=index)
    for plane, old, scale in zip((out.y, out.u, out.v), before, (1, 2, 2), strict=True):
        rows, columns = np.nonzero(plane != old)
        assert plane.shape == old.shape and plane.dtype == np.uint8
        if rows.size:
            assert rows.min() >= (cy - size / 2) / scale - 1 and rows.max() <= (cy + size / 2) / scale + 1
            assert (
                columns.min() >= (cx - size / 2) / scale - 1 and columns.max() <= (cx + size / 2) / scale + 1
            )
    for plane, old in zip((frame.y, frame.u, frame.v), before, strict=True):
        assert np.array_equal(plane, old)


def test_the_edit_fades_at_the_border_of_the_box() -> None:
    frame, box = flat_frame(300, 300, ColorSpec()), FaceBox(150.0, 150.0, 200.0)
    total = np.zeros((300, 300))
    for index in range(64):
        total += apply_gain(frame, constant_gain(0.03, 0.03, 0.03), flat_crop(), box, index=index).y
    edit = total / 64 - frame.y[0, 0]
    assert edit[150, 150] > 3.5
    assert abs(edit[150, 51]) < 0.1 and abs(edit[51, 150]) < 0.1
    across = edit[120:180].mean(axis=0)  # the box's border is straight here
    assert np.all(np.diff(across[50:70]) > -0.05)
    assert np.abs(np.diff(across)).max() < 1.0


def test_levels_are_held_to_eight_bits() -> None:
    frame = flat_frame(100, 100, ColorSpec(full_range=True))
    bright = frame.with_planes(
        np.full_like(frame.y, 254), np.full_like(frame.u, 1), np.full_like(frame.v, 255)
    )
    out = apply_gain(bright, constant_gain(0.5, 0.5, -0.5), flat_crop(), FaceBox(50.0, 50.0, 90.0))
    assert out.y[50, 50] == 255
    assert out.y.min() >= 254


def test_luma_edit_follows_texture() -> None:
    frame = flat_frame(144, 144, ColorSpec(full_range=True))
    y = frame.y.copy()
    y[:, ::2], y[:, 1::2] = 100, 200
    gain, box, total = constant_gain(0.02, 0.02, 0.02), FaceBox(72.0, 72.0, 144.0), np.zeros((144, 144))
    for index in range(64):
        total += apply_gain(frame.with_planes(y, frame.u, frame.v), gain, flat_crop(), box, index=index).y
    edit = (total / 64 - y)[40:100, 40:100]
    assert edit[:, 1::2].mean() == pytest.approx(2 * edit[:, ::2].mean(), rel=0.03)
