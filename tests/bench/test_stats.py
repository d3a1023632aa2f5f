"""Percentiles, jitter and spread of known series; turns taken; stages that add up."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from streamfilter.bench.contest import Contestant, Rounds, Taken, compete
from streamfilter.bench.probe import FILTER_STAGES, Probe
from streamfilter.bench.stats import paired_ratio, spread, summary


def test_percentiles_of_a_known_series() -> None:
    found = summary([[float(value) for value in range(101)]])
    assert (found.count, found.mean, found.p50, found.p95, found.p99) == (101, 50.0, 50.0, 95.0, 99.0)


def test_jitter_is_the_mean_step_within_blocks() -> None:
    # Steps of 2, 4 and 1; from 5 to 100 nothing follows on anything.
    found = summary([[1.0, 3.0, 7.0], [100.0, 101.0]])
    assert found.jitter == pytest.approx((2 + 4 + 1) / 3, abs=1e-4)
    assert summary([[4.0, 4.0, 4.0]]).jitter == 0.0
    assert found.blocks == (3.0, 100.5)


def test_no_times_are_no_summary() -> None:
    with pytest.raises(ValueError, match="no times"):
        summary([[], []])


def test_spread_is_relative_and_not_moved_by_one_outlier() -> None:
    assert spread([10.0, 10.0, 10.0, 99.0, 10.0]) == 0.0
    assert spread([9.0, 10.0, 11.0]) == pytest.approx(0.14826)
    assert spread([90.0, 100.0, 110.0]) == pytest.approx(spread([9.0, 10.0, 11.0]))
    assert spread([5.0]) == 0.0


def test_a_paired_ratio_survives_a_machine_that_slows_down() -> None:
    slower_and_slower = [1.0, 2.0, 5.0, 9.0]
    assert paired_ratio(slower_and_slower, [3 * value for value in slower_and_slower]) == pytest.approx(3.0)
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([1.0], [1.0, 2.0])


class Counted:
    """Writes down when it was asked for which frame."""

    kind = "engine"

    def __init__(self, name: str, diary: list[tuple[str, int]]) -> None:
        self.name, self._diary = name, diary

    def take(self, index: int) -> Taken:
        self._diary.append((self.name, index))
        return Taken({"step": 1.0 + index}, 1.0 + index, 2.0 + index, 0.5, index % 3)

    def close(self) -> None:
        """Nothing is held open."""


def test_contestants_take_turns_and_each_sees_its_frames_in_order() -> None:
    diary: list[tuple[str, int]] = []
    both: Sequence[Contestant] = [Counted("a", diary), Counted("b", diary)]
    outcomes = compete(both, Rounds(blocks=3, frames=2, warm_up=1))
    for name in "ab":
        assert [index for who, index in diary if who == name] == list(range(7))
    turns = [name for name, _ in itertools.groupby(name for name, _ in diary[2:])]
    assert turns == ["a", "b", "a", "b"]  # a b, b a, a b: the one that begins changes
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].filter.count == 6 and outcomes[0].filter.blocks == (2.5, 4.5, 6.5)
    assert outcomes[0].faces == 0


@pytest.mark.parametrize("faces", [0, 1, 3])
def test_stages_add_up_to_the_filter_whatever_happens_in_it(faces: int) -> None:
    now = [0.0]
    probe = Probe(lambda: now[0])

    def spend(seconds: float) -> float:
        start = now[0]
        now[0] += seconds
        return start

    spend(0.001)
    probe.mark("find", spend(0.010))
    for _ in range(faces):
        spend(0.002)
        probe.mark("step", spend(0.003))
    spend(0.020)
    cut = probe.cut(0.0, now[0])
    assert tuple(cut) == FILTER_STAGES
    assert sum(cut.values()) == pytest.approx(1000 * now[0])
    assert cut == pytest.approx({"detect": 11.0, "crop": 2.0 * faces, "step": 3.0 * faces, "composite": 20.0})
    assert sum(probe.cut(now[0], now[0] + 1).values()) == pytest.approx(1000)  # the frame is forgotten
