"""Dither is unbiased, bounded by one step, and evener over a patch than independent noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.dither import STILL, Dither, PlaneDither, add_dithered, fine, thresholds


@settings(max_examples=15, deadline=None)
@given(
    offset=st.floats(-6.0, 6.0, width=32),
    block=st.sampled_from([1, 4, 8]),
    step=st.integers(1, 3),
    turn=st.sampled_from([1, 37, 159]),
    start=st.integers(0, 5000),
)
def test_mean_over_the_phases_is_the_offset(
    offset: float, block: int, step: int, turn: int, start: int
) -> None:
    kind = PlaneDither(block=block, step=step, turn=turn)
    plane = np.full((17, 13), 120, np.uint8)
    shift = np.full(plane.shape, offset, np.float32)
    total = np.zeros(plane.shape)
    for n in range(256):
        out = add_dithered(plane, fine(shift), kind, top=5, left=9, phase=start + n * turn)
        moved = out.astype(float) - 120.0
        assert np.all(np.abs(moved - offset) <= step)
        total += moved
    np.testing.assert_allclose(total / 256, offset, atol=step / 128)


@pytest.mark.parametrize("block", [1, 8])
def test_whole_levels_pass_untouched(block: int) -> None:
    plane = np.arange(200, dtype=np.uint8).reshape(10, 20)
    for n in range(300):
        out = add_dithered(
            plane, fine(np.full(plane.shape, 3.0, np.float32)), PlaneDither(block=block), phase=n
        )
        assert np.array_equal(out, plane + 3)


def test_patch_mean_is_evener_than_noise() -> None:
    offset, size = 0.37, 32
    plane, shift = np.full((size, size), 50, np.uint8), np.full((size, size), offset, np.float32)
    errors = [
        add_dithered(plane, fine(shift), PlaneDither(), phase=159 * n).mean() - 50 - offset
        for n in range(128)
    ]
    independent = np.sqrt(offset * (1 - offset)) / size
    assert np.std(errors) < 0.25 * independent


def test_blocks_share_a_threshold_on_the_planes_grid() -> None:
    kind = PlaneDither(block=8)
    whole = thresholds(kind, (32, 40), 0, 0, 7)
    assert np.array_equal(whole, np.kron(whole[::8, ::8], np.ones((8, 8), np.int16)))
    assert len(np.unique(whole)) == 20
    assert np.array_equal(thresholds(kind, (20, 21), 5, 11, 7), whole[5:25, 11:32])


@pytest.mark.parametrize("block", [1, 2])
def test_any_phase_and_place_is_the_lattice_turned(block: int) -> None:
    kind = PlaneDither(block=block)
    rows, columns = (np.arange(300) + 1000) // block, (np.arange(280) + 777) // block
    for phase in (0, 1, 159, 70001):
        turned = (rows[:, None] * 147 + columns[None, :] * 193 + phase) % 256
        assert np.array_equal(thresholds(kind, (300, 280), 1000, 777, phase), turned)


def test_still_thresholds_follow_a_pulse_without_flicker() -> None:
    plane = np.full((64, 64), 90, np.uint8)
    offsets = 0.4 * np.cos(2.0 * np.pi * 1.2 * np.arange(90) / 30.0)

    def written(kind: PlaneDither) -> np.ndarray:
        frames = [
            add_dithered(plane, fine(np.full(plane.shape, offset, np.float32)), kind, phase=n * kind.turn)
            for n, offset in enumerate(offsets)
        ]
        return np.stack(frames).astype(float) - 90.0

    still, turning = written(STILL.chroma), written(Dither().chroma)
    for made in (still, turning):
        np.testing.assert_allclose(made.mean(axis=(1, 2)), offsets, atol=0.03)
    assert np.mean(np.diff(still, axis=0) ** 2) < 0.25 * np.mean(np.diff(turning, axis=0) ** 2)
