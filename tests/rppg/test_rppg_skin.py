"""Skin of every tone is found and other colours are not; means are taken over the mask alone."""

from __future__ import annotations

import numpy as np
import pytest

from streamfilter.rppg.skin import mean_rgb, patch_means, skin_mask

SKIN_TONES = [(255, 219, 172), (224, 172, 105), (198, 134, 66), (141, 85, 36), (90, 56, 37)]
OTHERS = [(255, 255, 255), (0, 0, 0), (128, 128, 128), (30, 60, 200), (20, 160, 40), (10, 6, 4)]


@pytest.mark.parametrize("tone", SKIN_TONES)
def test_skin_of_every_tone(tone: tuple[int, int, int]) -> None:
    assert skin_mask(np.full((4, 5, 3), tone, dtype=np.uint8)).all()


@pytest.mark.parametrize("colour", OTHERS)
def test_not_skin(colour: tuple[int, int, int]) -> None:
    mask = skin_mask(np.full((4, 5, 3), colour, dtype=np.uint8))
    assert mask.shape == (4, 5)
    assert mask.dtype == np.bool_
    assert not mask.any()


def test_mean_over_mask_and_weights() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 7, 3)).astype(np.uint8)
    mask = np.zeros((6, 7), dtype=bool)
    mask[1:3, 2:6] = True
    np.testing.assert_allclose(mean_rgb(picture, mask), picture[mask].mean(axis=0))
    np.testing.assert_allclose(mean_rgb(picture, mask * 0.25), picture[mask].mean(axis=0))
    with pytest.raises(ValueError, match="no skin"):
        mean_rgb(picture, np.zeros((6, 7), dtype=bool))
    with pytest.raises(ValueError, match="shape"):
        mean_rgb(picture, mask.T)


@pytest.mark.parametrize("shape", [(72, 72), (61, 37)])
@pytest.mark.parametrize("grid", [(4, 4), (3, 5), (1, 1)])
def test_patches_tile_the_picture(shape: tuple[int, int], grid: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    picture = rng.uniform(size=(*shape, 3))
    mask = rng.uniform(size=shape) > 0.3
    means = patch_means(picture, mask, grid)
    assert means.shape == (grid[0] * grid[1], 3)
    rows = [shape[0] * k // grid[0] for k in range(grid[0] + 1)]
    columns = [shape[1] * k // grid[1] for k in range(grid[1] + 1)]
    for p in range(grid[0] * grid[1]):
        i, j = divmod(p, grid[1])
        cut = (slice(rows[i], rows[i + 1]), slice(columns[j], columns[j + 1]))
        np.testing.assert_allclose(means[p], picture[cut][mask[cut]].mean(axis=0))


def test_patch_without_skin_is_nan_and_keeps_its_place() -> None:
    mask = np.ones((8, 8), dtype=bool)
    mask[:4, 4:] = False
    means = patch_means(np.full((8, 8, 3), 0.5), mask, (2, 2))
    assert np.isnan(means[1]).all()
    np.testing.assert_allclose(means[[0, 2, 3]], 0.5)
    with pytest.raises(ValueError, match="grid"):
        patch_means(np.full((8, 8, 3), 0.5), mask, (9, 2))
