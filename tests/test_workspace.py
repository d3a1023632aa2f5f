"""Memory of the hot path: used again, and never while somebody still looks at it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from streamfilter.artifact import load_artifact
from streamfilter.bench.allocations import allocations
from streamfilter.bench.chain import Chain
from streamfilter.bench.footage import SIZES, footage, frame_of
from streamfilter.capture.av_frames import Planes
from streamfilter.config import FilterSettings
from streamfilter.face_filter import build_filter
from streamfilter.frame import ColorSpec, Frame, Plane
from streamfilter.median import median
from streamfilter.ring import CAPACITY
from streamfilter.workspace import PlanePool, Workspace


def flat(level: int, width: int = 64, height: int = 48) -> Frame:
    y, u, v = (np.full((height // k, width // k), level, np.uint8) for k in (1, 2, 2))
    return Frame(y, u, v, level, Fraction(1, 30), ColorSpec())


def place(plane: Plane) -> int:
    return int(plane.__array_interface__["data"][0])


def test_a_copy_is_ones_own_and_its_memory_comes_back() -> None:
    pool, frame = PlanePool(), flat(7)
    made = pool.copy(frame)
    made.y[:] = 9
    assert frame.y.max() == 7 and not np.shares_memory(made.u, made.v)
    before = {place(plane) for plane in (made.y, made.u, made.v)}
    del made
    again = pool.copy(frame)
    assert {place(plane) for plane in (again.y, again.u, again.v)} == before
    assert again.y.max() == 7


@pytest.mark.parametrize(
    "hold", [lambda y: y, lambda y: y[3:9, ::2], memoryview, lambda y: y.T[1:].view(np.int8)[2:]]
)
def test_whoever_holds_a_plane_or_a_part_of_it_keeps_it(hold: Callable[[Plane], Any]) -> None:
    pool = PlanePool()
    made = pool.copy(flat(1))
    held = hold(made.y)
    kept = np.array(held)
    del made
    for level in range(2, 40):
        pool.copy(flat(level))
    np.testing.assert_array_equal(np.array(held), kept)


def test_a_full_ring_of_frames_is_whole() -> None:
    """More frames than the pool keeps: the others get memory of their own."""
    pool: PlanePool = PlanePool()
    ring: deque[Frame] = deque(maxlen=CAPACITY)
    for level in range(200):
        ring.append(pool.copy(flat(level)))
        for one in ring:
            assert one.y[0, 0] == one.u[-1, -1] == one.v[0, -1] == one.pts
    for one, other in pairwise(ring):
        assert not np.shares_memory(one.y, other.y)


def test_sizes_that_come_and_go_are_not_kept_for_ever() -> None:
    pool = PlanePool()
    for width in range(64, 128, 2):
        assert pool.copy(flat(3, width)).width == width
    assert len(pool._planes) <= 4


def test_a_workspace_gives_the_same_memory_again_and_grows() -> None:
    work = Workspace()
    first = work.floats("one", 10, 20)
    assert np.shares_memory(first, work.doubles("one", 5, 20))
    assert not np.shares_memory(first, work.floats("two", 10, 20))
    large = work.shorts("one", 300, 300)
    assert large.shape == (300, 300) and large.dtype == np.int16 and large.flags.writeable


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_median_is_numpys(dtype: type[np.floating]) -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 80, 81, 324):
        values = rng.standard_normal((size, 1)).astype(dtype)
        assert median(values) == float(np.median(values))


def test_frames_that_left_stay_as_they_were() -> None:
    shown = footage(SIZES["360p"], 1, "yu12")
    settings = FilterSettings(seed=1, settle_seconds=0.2)
    video = build_filter(settings)
    left, then = [], []
    try:
        for index, frame in enumerate(shown.frames() * 2):
            made = video.process(frame_of(Planes(frame.y, frame.u, frame.v), index)).frame
            left.append(made)
            then.append([plane.copy() for plane in (made.y, made.u, made.v)])
    finally:
        video.close()
    for made, planes in zip(left, then, strict=True):
        for plane, before in zip((made.y, made.u, made.v), planes, strict=True):
            np.testing.assert_array_equal(plane, before)


def test_the_filter_takes_no_large_memory_for_a_frame() -> None:
    shown = footage(SIZES["360p"], 1, "yu12")
    frames = shown.frames()
    chain = Chain(load_artifact(), "onnxruntime", FilterSettings(seed=1), shown)
    try:
        for index in range(len(frames)):
            chain.filter_only(frames[index], index)

        def work(index: int) -> None:
            chain.filter_only(frames[index % len(frames)], index)

        assert allocations(work, 7, len(frames)) == []  # a detection among them
    finally:
        chain.close()
