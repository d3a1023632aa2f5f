"""Every camera frame carries a mark; whatever fails, however often, not one mark leaves.

Each fault strikes a running pipeline under a manual clock, so that the moments are exact: how soon a card
covers it, and how soon the picture is back once it is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pytest

from streamfilter.errors import ArtifactError
from streamfilter.frame import Frame
from streamfilter.live import guard as guard_module
from streamfilter.live.fit import fit
from streamfilter.live.guard import Guard, SafeFrame
from streamfilter.live.publisher import STALL
from tests.live_devices import Edited
from tests.live_simulation import STEP, Simulation, marked, shows_mark

BEFORE, DURING, AFTER = 8.0, 4.0, 18.0  # seconds of each course
MAKING = 0.3  # seconds that a filter takes to start
CARD_WITHIN = 0.1
BACK_WITHIN = 3.0
FRAMES_IN_ALL = 10_000


@dataclass(frozen=True)
class Fault:
    """``strike`` begins it, ``end`` ends it. ``notice``: seconds that a fault which is a silence needs to be
    one. ``covered``: a card is due (else it is the output that is gone). ``lasts``: until ``end``, whatever
    starts anew meanwhile."""

    name: str
    strike: Callable[[Simulation], None]
    end: Callable[[Simulation], None] = lambda simulation: None
    notice: float = 0.0
    covered: bool = True
    lasts: bool = False


def set_camera(**values: object) -> Callable[[Simulation], None]:
    return lambda simulation: _set(simulation.camera, values)


def set_output(**values: object) -> Callable[[Simulation], None]:
    return lambda simulation: _set(simulation.output, values)


def set_filter(**values: object) -> Callable[[Simulation], None]:
    return lambda simulation: _set(simulation.filter, values)


def _set(part: object, values: dict[str, object]) -> None:
    for name, value in values.items():
        setattr(part, name, value)


def slow_filter(seconds: float) -> Callable[[Simulation], None]:
    def strike(simulation: Simulation) -> None:
        simulation.while_filtering = lambda: simulation.elsewhere("filter", seconds)

    return strike


def filter_hangs(simulation: Simulation) -> None:
    def hang() -> None:
        simulation.while_filtering = lambda: None
        simulation.elsewhere("filter", DURING)

    simulation.while_filtering = hang


def output_blocks(simulation: Simulation) -> None:
    def block() -> None:
        simulation.while_writing = lambda: None
        simulation.elsewhere("publish", 1.0)

    simulation.while_writing = block


def internal_error(simulation: Simulation) -> None:
    _set(simulation.supervisor.pipeline.ring, {"take": _raise})


def internal_error_over(simulation: Simulation) -> None:
    vars(simulation.supervisor.pipeline.ring).pop("take")


def _raise(*arguments: object) -> None:
    raise LookupError("a fault that no stage foresaw")


def missing_artifact(simulation: Simulation) -> None:
    simulation.artifact_missing = True
    simulation.filter.dead = True


def artifact_back(simulation: Simulation) -> None:
    simulation.artifact_missing = False


def other_size(simulation: Simulation) -> None:
    simulation.size = (320, 240)


def sleep(simulation: Simulation) -> None:
    simulation.clock.slept += 3600.0


FAULTS = [
    Fault("exception in capture", set_camera(fault=RuntimeError("x"))),
    Fault("exception in the filter", set_filter(fault=RuntimeError("x")), set_filter(fault=None)),
    Fault("exception in publish", set_output(fault=RuntimeError("x")), covered=False),
    Fault("exception in the pipeline itself", internal_error, internal_error_over, lasts=True),
    Fault("camera stalls", set_camera(stalled=True), set_camera(stalled=False), notice=STALL, lasts=True),
    Fault("filter hangs", filter_hangs, notice=STALL, lasts=True),
    Fault("output blocks", output_blocks, covered=False),
    Fault("lost face", set_filter(faces=0), set_filter(faces=1), lasts=True),
    Fault("missing artifact", missing_artifact, artifact_back, lasts=True),
    Fault("engine killed", set_filter(dead=True)),
    Fault("size change", other_size),
    Fault("unplug", set_camera(plugged=False), set_camera(plugged=True), lasts=True),
    Fault("resume", sleep),
    Fault("overload", slow_filter(0.2), slow_filter(0.0), notice=STALL, lasts=True),
    Fault("sink gone and back", set_output(gone=True), set_output(gone=False), covered=False),
]
BY_NAME = {fault.name: fault for fault in FAULTS}


@cache
def course(name: str) -> tuple[Simulation, float, float]:
    """A run in which this fault strikes and ends, and the moments at which it does."""
    return run_course(BY_NAME[name])


def run_course(fault: Fault) -> tuple[Simulation, float, float]:
    simulation = Simulation()
    simulation.supervisor.prepare()
    simulation.while_making = lambda: simulation.elsewhere("filter", MAKING)
    simulation.run(BEFORE)
    struck = simulation.clock.seconds
    fault.strike(simulation)
    simulation.run(DURING)
    ended = simulation.clock.seconds
    fault.end(simulation)
    simulation.run(AFTER)
    simulation.supervisor.stop()
    return simulation, struck, ended


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_no_mark_leaves_a_card_is_there_at_once_and_the_picture_comes_back(fault: Fault) -> None:
    simulation, struck, ended = course(fault.name)
    assert simulation.leaks() == 0
    assert len(simulation.seen) >= FRAMES_IN_ALL / len(FAULTS)
    assert simulation.edits(struck - BEFORE, struck) > 0.95 * 30 * BEFORE
    if fault.covered:
        # The next frame, a thirtieth of a second later, is the first that can meet the fault.
        assert simulation.first_card(struck) <= fault.notice + CARD_WITHIN
    assert simulation.first_edit(ended) <= BACK_WITHIN
    assert simulation.edits(ended + BACK_WITHIN) > 0.95 * 30 * (AFTER - BACK_WITHIN)
    assert all(one.age <= STALL + STEP for one in simulation.seen)
    assert not simulation.camera.is_open and not simulation.output.is_open
    assert simulation.seen[-1].card
    assert simulation.filters[-1].closed


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.lasts], ids=lambda fault: fault.name)
def test_while_a_fault_lasts_only_cards_are_shown_and_steadily(fault: Fault) -> None:
    simulation, struck, ended = course(fault.name)
    assert simulation.edits(struck + fault.notice + CARD_WITHIN, ended) == 0
    cards = sum(one.card for one in simulation.seen if struck + 0.3 < one.seconds < ended)
    assert cards >= 8 * (ended - struck - 0.3)  # a reader of the virtual camera is never starved


def test_before_everything_is_open_only_cards_leave() -> None:
    simulation = Simulation()
    simulation.while_making = lambda: setattr(simulation.clock, "seconds", simulation.clock.seconds + 1.0)
    simulation.supervisor.prepare()
    assert [one.card for one in simulation.seen] == [True]
    simulation.filter.shielded = "settling"
    simulation.run(2.0)
    simulation.supervisor.stop()
    assert simulation.leaks() == 0
    assert simulation.edits(0.0) > 50


def test_a_missing_artifact_at_the_start_is_an_error_and_nothing_but_a_card_was_shown() -> None:
    simulation = Simulation(artifact_missing=True)
    with pytest.raises(ArtifactError):
        simulation.supervisor.prepare()
    assert simulation.seen and all(one.card for one in simulation.seen)
    assert not simulation.camera.is_open and not simulation.output.is_open


class LeakyGuard(Guard):
    """What must never be written: it lets the camera's frame pass when the filter fails."""

    def process(self, frame: Frame, arrived: float) -> tuple[SafeFrame, dict]:  # type: ignore[type-arg]
        safe, boxes = super().process(frame, arrived)
        if safe.card:
            safe = SafeFrame(frame, arrived, None, False, guard_module._SEAL)
        return safe, dict(boxes)


@pytest.mark.parametrize("name", ["exception in the filter", "lost face", "engine killed"])
def test_these_tests_would_catch_a_guard_that_leaks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfilter.live.filtering.Guard", LeakyGuard)
    simulation, _, _ = run_course(BY_NAME[name])
    assert simulation.leaks() > 20


def test_the_mark_is_read_at_every_size_and_gone_after_the_filter() -> None:
    for size in ((160, 120), (320, 240), (640, 480), (80, 60)):
        assert shows_mark(fit(marked(1.0, *size), 160, 120))
    simulation = Simulation()
    simulation.supervisor.prepare()
    result: Edited = simulation.filter.process(marked(1.0))
    assert not shows_mark(result.frame)
