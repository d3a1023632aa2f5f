"""Dither is unbiased and bounded by one step, and its thresholds tell nothing to who lacks the key."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.dither import Dither, Draw, PlaneDither, add_dithered, draw_key, fine

FRAMES = 256


def thresholds(draw: Draw, kind: PlaneDither, shape: tuple[int, int], top: int, left: int) -> np.ndarray:
    whole = np.full(shape, -1, np.int16)
    for rows, drawn in draw.strips(kind, shape, top, left):
        assert drawn.size <= 64 * 1024 and np.all(whole[rows] == -1)
        whole[rows] = drawn
    assert whole.min() >= 0
    return whole


@settings(max_examples=15, deadline=None)
@given(
    offset=st.floats(-6.0, 6.0, width=32),
    block=st.sampled_from([1, 2, 8]),
    step=st.integers(1, 3),
    key=st.integers(0, 2**128 - 1),
)
def test_mean_over_frames_is_the_offset(offset: float, block: int, step: int, key: int) -> None:
    kind = PlaneDither(block=block, step=step)
    plane = np.full((34, 26), 120, np.uint8)
    shift = np.full(plane.shape, offset, np.float32)
    total = 0.0
    for n in range(FRAMES):
        out = add_dithered(plane, fine(shift), kind, top=5, left=9, draw=Draw(key, 0, n))
        moved = out.astype(float) - 120.0
        assert np.all(np.abs(moved - offset) <= step)
        total += moved.mean()
    blocks = plane.size / block**2
    assert total / FRAMES == pytest.approx(offset, abs=step / 128 + 3.0 * step / np.sqrt(FRAMES * blocks))


@pytest.mark.parametrize("block", [1, 8])
def test_whole_levels_pass_untouched(block: int) -> None:
    plane = np.arange(200, dtype=np.uint8).reshape(10, 20)
    for n in range(300):
        shift = fine(np.full(plane.shape, 3.0, np.float32))
        out = add_dithered(plane, shift, PlaneDither(block=block), draw=Draw(1, 0, n))
        assert np.array_equal(out, plane + 3)


def test_blocks_share_a_threshold_on_the_planes_grid() -> None:
    kind, draw = PlaneDither(block=8), Draw(3, 1, 7)
    whole = thresholds(draw, kind, (32, 40), 0, 0)
    assert np.array_equal(whole, np.kron(whole[::8, ::8], np.ones((8, 8), np.int16)))
    shifted = thresholds(draw, kind, (20, 21), 5, 11)
    assert np.array_equal(shifted[:3, :5], np.full((3, 5), shifted[0, 0]))
    assert shifted[2, 4] != shifted[3, 4] and shifted[2, 4] != shifted[2, 5]


@pytest.mark.parametrize("still", [False, True])
def test_blocks_are_whole_where_the_strips_meet(still: bool) -> None:
    kind, draw = Dither(key=9, still=still).of(1, 3)
    drawn = thresholds(draw, kind, (301, 700), 33, 101)
    assert np.array_equal(drawn[1:-1:2], drawn[2::2]) and np.array_equal(drawn[:, 1:-1:2], drawn[:, 2::2])
    assert not np.array_equal(drawn[0:-1:2], drawn[1::2])


def test_thresholds_are_even_and_those_of_samples_frames_planes_and_keys_are_unlike() -> None:
    drawn = [
        thresholds(Draw(key, plane, frame), PlaneDither(), (256, 256), 64, 32).ravel()
        for key, plane, frame in ((5, 0, 0), (5, 0, 1), (5, 1, 0), (6, 0, 0), (5 + 2**64, 0, 0), (5, 0, None))
    ]
    for one in drawn:
        assert np.bincount(one, minlength=256).std() == pytest.approx(16.0, rel=0.2)  # 256 of each, by chance
        assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.02
    alike = np.abs(np.corrcoef(np.stack(drawn).astype(float)) - np.eye(len(drawn)))
    assert alike.max() < 0.02


def test_the_same_draw_gives_the_same_thresholds() -> None:
    kind, region = PlaneDither(block=2), ((51, 33), 7, 9)
    drawn = thresholds(Draw(11, 2, 40), kind, *region)
    assert np.array_equal(drawn, thresholds(Draw(11, 2, 40), kind, *region))
    again = Draw(11, 2, 40)
    thresholds(again, kind, *region)
    assert not np.array_equal(drawn, thresholds(again, kind, *region))  # one after the other
    assert not np.array_equal(drawn, thresholds(Draw(11, 2, 40), kind, (51, 33), 9, 9))


def test_still_thresholds_stay_with_the_plane_where_the_region_moves() -> None:
    kind, draw = PlaneDither(block=2), Dither(key=4, still=True).of(1, 77)[1]
    whole = thresholds(draw, kind, (1100, 1200), 0, 0)
    assert np.array_equal(thresholds(draw, kind, (300, 280), 777, 901), whole[777:1077, 901:1181])


def test_still_thresholds_follow_a_pulse_without_flicker() -> None:
    plane = np.full((64, 64), 90, np.uint8)
    offsets = 0.4 * np.cos(2.0 * np.pi * 1.2 * np.arange(90) / 30.0)

    def written(dither: Dither) -> np.ndarray:
        frames = [
            add_dithered(plane, fine(np.full(plane.shape, offset, np.float32)), kind, draw=draw)
            for n, offset in enumerate(offsets)
            for kind, draw in [dither.of(1, n)]
        ]
        return np.stack(frames).astype(float) - 90.0

    still, anew = written(Dither(key=2, still=True)), written(Dither(key=2))
    for made in (still, anew):
        np.testing.assert_allclose(made.mean(axis=(1, 2)), offsets, atol=0.06)
    assert np.mean(np.diff(still, axis=0) ** 2) < 0.25 * np.mean(np.diff(anew, axis=0) ** 2)


def test_keys_have_all_their_bits_and_layers_do_not_share() -> None:
    keys = [draw_key(np.random.default_rng(seed)) for seed in range(40)]
    assert len(set(keys)) == 40 and max(keys) >> 124 and min(keys) < 2**127
    dither = Dither(key=keys[0])
    assert dither.of(2, 5)[1] != dither.of(2, 5, layer=1)[1]
    assert dither.of(0, 5)[0] == PlaneDither() and dither.of(1, 5)[0] == PlaneDither(block=2)
