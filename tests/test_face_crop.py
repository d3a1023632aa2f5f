from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.errors import UsageError
from streamfilter.face.box import FaceBox
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.face.crop import cell_means, crop_planes, crop_rgb, skin_prior
from streamfilter.frame import ColorSpec, Frame

Array = npt.NDArray[np.float64]


def random_frame(width: int, height: int, color: ColorSpec | None = None, seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    chroma = (-(-height // 2), -(-width // 2))
    y, u, v = (rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((height, width), chroma, chroma))
    return Frame(y, u, v, 0, Fraction(1, 30), color or ColorSpec())


def shares(edges: Array, length: int) -> Array:
    """(cells, pixels): how much of each cell each pixel of a row covers; the end pixels reach to infinity."""
    low, high = np.arange(length, dtype=float), np.arange(1.0, length + 1)
    low[0], high[-1] = -np.inf, np.inf
    a, b = edges[:-1, None], edges[1:, None]
    return np.asarray(np.maximum(np.minimum(b, high) - np.maximum(a, low), 0) / (b - a))


def slow_means(plane: npt.NDArray[np.uint8], x: Array, y: Array) -> Array:
    height, width = plane.shape
    return np.asarray(shares(y, height) @ plane.astype(float) @ shares(x, width).T)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    left=st.floats(-60, 60),
    top=st.floats(-60, 60),
    size=st.floats(0.3, 90),
    cells=st.integers(1, 12),
    seed=st.integers(0, 9),
)
def test_cells_are_exact_area_means_with_the_edge_replicated(
    width: int, height: int, left: float, top: float, size: float, cells: int, seed: int
) -> None:
    plane = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    x = left + np.arange(cells + 1) * size / cells
    y = top + np.arange(cells + 1) * size / cells
    np.testing.assert_allclose(cell_means(plane, x, y), slow_means(plane, x, y), atol=1e-6)


def test_a_box_on_whole_pixels_gives_plain_means() -> None:
    frame = random_frame(320, 240)
    planes = crop_planes(frame, FaceBox(32 + 72, 16 + 72, 144), 72)
    plain = frame.y[16:160, 32:176].reshape(72, 2, 72, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(planes[0], plain, atol=1e-9)


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full", [False, True])
def test_one_colour_stays_one_colour_wherever_the_box_is(matrix: str, full: bool) -> None:
    color = ColorSpec("bt601" if matrix == "bt601" else "bt709", full)
    y, c = np.full((91, 121), 140, np.uint8), np.full((46, 61), 120, np.uint8)
    frame = Frame(y, c, (c + 30).astype(np.uint8), 0, Fraction(1, 30), color)
    back, offset = yuv_to_rgb_matrix(color)
    for box in (FaceBox(60.3, 44.9, 50.7), FaceBox(-20, 100, 80), FaceBox(1000, -1000, 30.5)):
        crop = crop_rgb(frame, box)
        assert crop.shape == (3, 72, 72)
        assert crop.dtype == np.float32
        wanted = np.broadcast_to((back @ (140, 120, 150) + offset)[:, None, None], crop.shape)
        np.testing.assert_allclose(crop, wanted, atol=1e-6)


def test_a_gliding_box_gives_gliding_means() -> None:
    frame = random_frame(200, 200)
    crops = [
        crop_planes(frame, FaceBox(100 + step * 0.1, 100 + step * 0.07, 120.0), 24) for step in range(40)
    ]
    change = np.abs(np.diff(crops, axis=0)).max(axis=(1, 2, 3))
    # A tenth of a pixel swaps 2 % of a cell of 5 x 5 luma pixels, 4 % of one of chroma, along each axis.
    assert change.max() < 255 * 0.1 / 2.5 * 2
    assert change.min() > 0


def test_chroma_is_read_where_it_is_sited() -> None:
    columns = np.arange(0, 100)  # chroma sample j sits on the centre of luma column 2j: at 2j + 0.5
    u = np.broadcast_to(columns.astype(np.uint8) + 50, (60, 100)).copy()
    rows = np.arange(60)  # and midway between luma rows 2j and 2j + 1: at 2j + 1
    v = np.broadcast_to(rows.astype(np.uint8)[:, None] + 50, (60, 100)).copy()
    frame = Frame(np.zeros((120, 200), np.uint8), u, v, 0, Fraction(1, 30), ColorSpec())
    box = FaceBox(100.5, 60.0, 80.0)
    _, got_u, got_v = crop_planes(frame, box, 10)
    centre_x = box.left + (np.arange(10) + 0.5) * 8
    centre_y = box.top + (np.arange(10) + 0.5) * 8
    np.testing.assert_allclose(
        got_u[0], 50 + (centre_x - 0.5) / 2, atol=0.13
    )  # piecewise constant: 1/8 level
    np.testing.assert_allclose(got_v[:, 0], 50 + (centre_y - 1) / 2, atol=0.13)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (17, 33), (719, 1279)])
def test_pictures_of_any_size(shape: tuple[int, int]) -> None:
    crop = crop_rgb(random_frame(shape[1], shape[0]), FaceBox(shape[1] / 2, shape[0] / 2, 1.5 * shape[0]))
    assert np.isfinite(crop).all()
    assert crop.min() >= 0
    assert crop.max() <= 1


def test_a_large_picture_does_not_overflow() -> None:
    y, c = np.full((3000, 3000), 255, np.uint8), np.full((1500, 1500), 128, np.uint8)
    crop = crop_planes(Frame(y, c, c, 0, Fraction(1, 30), ColorSpec()), FaceBox(1500, 1500, 3000), 3)
    np.testing.assert_allclose(crop[0], 255)


@pytest.mark.parametrize("box", [FaceBox(5, 5, 0), FaceBox(5, 5, -3), FaceBox(float("nan"), 5, 9)])
def test_a_box_without_area_is_refused(box: FaceBox) -> None:
    with pytest.raises(UsageError, match="finite, positive size"):
        crop_rgb(random_frame(16, 16), box)


def test_the_skin_prior_is_a_soft_symmetric_oval() -> None:
    prior = skin_prior(72)
    assert prior.shape == (72, 72)
    assert prior.dtype == np.float32
    np.testing.assert_allclose(prior, prior[:, ::-1], atol=1e-6)
    assert prior[36, 36] > 0.99
    assert max(prior[0].max(), prior[-1].max(), prior[:, 0].max()) < 0.02
    assert np.abs(np.diff(prior, axis=0)).max() < 0.25
