"""The edited crop in the frame: what it replaces, what it leaves alone, and that rounding keeps its mean."""

from __future__ import annotations

import numpy as np
import pytest

from streamfilter.dither import Dither
from streamfilter.face.box import FaceBox
from streamfilter.face.color import rgb_to_yuv_matrix
from streamfilter.face.crop import crop_rgb
from streamfilter.frame import ColorSpec, Frame
from streamfilter.window.composite import paste_face
from tests.media_clips import noise_frames

SIZE = 24


def flat(*rgb: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.broadcast_to(np.array(rgb, np.float32)[:, None, None], (3, SIZE, SIZE)).copy()


@pytest.mark.parametrize("color", [ColorSpec(), ColorSpec("bt709", full_range=True)])
@pytest.mark.parametrize("rgb", [(0.5, 0.3, 0.25), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)])
def test_inside_nothing_is_left_of_the_source_and_the_mean_is_exact(
    color: ColorSpec, rgb: tuple[float, float, float]
) -> None:
    matrix, offset = rgb_to_yuv_matrix(color)
    wanted = matrix @ np.array(rgb) + offset
    box = FaceBox(80.0, 60.0, 96.0)
    core = (slice(22, 98), slice(42, 118))  # four cells inside
    half = (slice(11, 49), slice(21, 59))
    for source in noise_frames(160, 120, [0, 1]):
        frame = Frame(source.y, source.u, source.v, source.pts, source.time_base, color)
        made = paste_face(frame, flat(*rgb), box, Dither(), 3)
        for plane, part, level in zip((made.y, made.u, made.v), (core, half, half), wanted, strict=True):
            held = min(max(float(level), 0.0), 255.0)
            drawn = 76**2 if part is core else 19**2  # thresholds: of each sample of Y, of four of U and V
            assert abs(float(plane[part].mean()) - held) < 4.0 * 0.5 / np.sqrt(drawn)
            assert np.ptp(plane[part]) <= 1


def test_outside_nothing_changes_and_the_source_is_kept() -> None:
    frame = noise_frames(160, 120, [0])[0]
    before = frame.y.copy()
    made = paste_face(frame, flat(0.5, 0.4, 0.3), FaceBox(80.0, 60.0, 60.0), Dither(), 0)
    np.testing.assert_array_equal(frame.y, before)
    outside = np.ones(frame.y.shape, bool)
    outside[30:90, 50:110] = False
    np.testing.assert_array_equal(made.y[outside], frame.y[outside])
    assert made.pts == frame.pts


def test_a_crop_put_back_stands_where_it_was() -> None:
    """A smooth picture, cut out at a place between the samples and put back, is what it was."""
    y, x = np.mgrid[0:120, 0:160].astype(np.float64)
    luma = 90 + 0.4 * x + 0.3 * y
    chroma = [110 + 0.5 * x[::2, ::2] / 2 + 0.2 * y[::2, ::2], 140 - 0.3 * x[::2, ::2] / 2]
    planes = [np.round(plane).astype(np.uint8) for plane in (luma, *chroma)]
    blank = noise_frames(160, 120, [0])[0]
    frame = blank.with_planes(*planes)
    box = FaceBox(81.3, 59.6, 71.7)
    made = paste_face(frame, crop_rgb(frame, box, SIZE), box, Dither(), 0)
    for ours, given in zip((made.y, made.u, made.v), planes, strict=True):
        change = ours.astype(float) - given
        assert abs(change.mean()) < 0.05
        assert np.abs(change).max() <= 2


@pytest.mark.parametrize("box", [FaceBox(5.0, 4.0, 60.0), FaceBox(158.0, 119.0, 200.0)])
def test_a_box_that_overhangs_is_clipped(box: FaceBox) -> None:
    frame = noise_frames(161, 121, [0])[0]
    made = paste_face(frame, flat(0.2, 0.2, 0.2), box, Dither(), 0)
    assert made.y.shape == frame.y.shape and made.u.shape == frame.u.shape
    assert not np.array_equal(made.y, frame.y)


def test_a_box_beside_the_picture_leaves_it() -> None:
    frame = noise_frames(160, 120, [0])[0]
    made = paste_face(frame, flat(0.2, 0.2, 0.2), FaceBox(-100.0, 60.0, 50.0), Dither(), 0)
    np.testing.assert_array_equal(made.y, frame.y)
    np.testing.assert_array_equal(made.v, frame.v)
