"""The pipeline by the supervisor's decisions: on demand, after sleep, at another size, with other targets."""

from __future__ import annotations

import logging
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.errors import SinkError, SourceError, UsageError
from streamfilter.live.board import Board, Hold
from streamfilter.live.capturing import FIRST_FRAME, GIVE_UP, NOBODY_WATCHES, Cadence
from streamfilter.live.demand import LINGER, Demand
from streamfilter.live.fit import fit
from streamfilter.live.ports import Picture
from streamfilter.live.publisher import STALL
from streamfilter.live.status import State
from streamfilter.live.target import FixedRate, Hidden, Scaled
from streamfilter.live.wish import Wish
from tests.live_devices import live_frame
from tests.live_simulation import Simulation, picture_of


@pytest.fixture
def running() -> Simulation:
    simulation = Simulation()
    simulation.supervisor.prepare()
    simulation.run(1.0)
    return simulation


def state(simulation: Simulation) -> State:
    return simulation.supervisor.status().state


def test_a_healthy_run_shows_every_frame_at_once_and_drops_none(running: Simulation) -> None:
    running.run(10.0)
    status = running.supervisor.status()
    assert status.state is State.FILTERING and status.reason is None
    assert status.dropped == {} and status.restarts == 0
    assert status.fps_in == pytest.approx(30, abs=0.5) and status.fps_out == pytest.approx(30, abs=0.5)
    assert status.latency_p99 is not None and status.latency_p99 <= 5.001
    assert running.edits(1000.5) > 310
    assert (status.camera, status.output, status.target) == ("simulated camera", "simulated output", "70")


def test_until_the_first_frame_it_is_starting_and_says_what_is_awaited() -> None:
    simulation = Simulation()
    simulation.camera.stalled = True
    simulation.supervisor.prepare()
    simulation.run(1.0)
    status = simulation.supervisor.status()
    assert (status.state, status.reason) == (State.STARTING, "the camera is being opened")
    simulation.camera.stalled = False
    simulation.run(0.5)
    assert state(simulation) is State.FILTERING


def test_what_fails_at_every_frame_is_logged_once(
    running: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    for name in ("filtering", "pipeline"):
        logger = logging.getLogger(f"streamfilter.live.{name}")
        monkeypatch.setattr(logger, "handle", lambda record: said.append(record.getMessage()))
    running.filter.fault = ValueError("no such tensor")
    running.artifact_missing = True
    running.run(8.0)
    assert said.count("the filter failed: ValueError: no such tensor") == 1
    assert len(said) == 3, said  # that it failed, that it is started again, that this fails too


def test_nothing_leaves_twice_and_time_rises(running: Simulation) -> None:
    running.run(3.0)
    times = [one.seconds - one.age for one in running.seen if not one.card]
    assert all(later > earlier for earlier, later in pairwise(times))


def test_the_camera_closes_when_nobody_watches_and_opens_at_once_for_a_watcher(running: Simulation) -> None:
    running.output.readers = 1
    running.run(4.0)
    assert state(running) is State.FILTERING
    running.output.readers = 0
    running.run(LINGER - 0.5)
    assert running.camera.is_open
    running.run(1.0)
    assert not running.camera.is_open
    assert (state(running), running.supervisor.status().reason) == (State.WAITING, NOBODY_WATCHES)
    idle_from = running.clock.seconds
    running.run(10.0)
    assert running.edits(idle_from) == 0
    assert 18 <= sum(one.seconds > idle_from for one in running.seen) <= 22  # cards, two a second
    running.output.readers = 1
    asked = running.clock.seconds
    running.run(2.0)
    assert running.first_edit(asked) < 0.5
    assert state(running) is State.FILTERING
    assert running.supervisor.status().watchers == 1
    assert len(running.filters) > 1 and running.filters[0].closed  # it knows nothing of the time before


def test_always_on_keeps_the_camera_open() -> None:
    simulation = Simulation()
    simulation.supervisor._always_on = True
    simulation.output.readers = 0
    simulation.supervisor.prepare()
    simulation.run(6.0)
    assert simulation.camera.is_open and state(simulation) is State.FILTERING


def test_a_page_that_looks_counts_as_somebody(running: Simulation) -> None:
    running.output.readers = 0
    for _ in range(50):
        running.supervisor.preview()
        running.run(0.1)
    assert running.camera.is_open
    preview = running.supervisor.preview()
    assert preview is not None and not np.array_equal(preview.before.y, preview.after.y)
    running.run(5.0)
    assert not running.camera.is_open and running.supervisor.preview() is None


def test_after_the_machines_sleep_camera_and_filter_start_anew(running: Simulation) -> None:
    running.clock.slept += 1.0
    running.run(1.0)
    assert running.camera.opened == 1
    running.clock.slept += 600.0
    running.run(2.0)
    assert running.camera.opened == 2 and len(running.filters) == 2
    assert state(running) is State.FILTERING


def test_pause_shields_and_resume_shows_at_once(running: Simulation) -> None:
    running.supervisor.pause(True)
    since = running.clock.seconds + 0.001
    running.run(1.0)
    assert running.edits(since) == 0 and state(running) is State.PAUSED
    preview = running.supervisor.preview()
    assert preview is not None and (preview.after.u == 128).all()
    running.supervisor.pause(False)
    resumed = running.clock.seconds
    running.run(1.0)
    assert running.first_edit(resumed) < 0.1


def test_frames_of_another_size_are_fitted_before_the_filter_which_starts_anew(running: Simulation) -> None:
    sizes: list[tuple[int, int]] = []
    running.size = (320, 240)
    running.run(0.2)
    process = running.filter.process
    running.filter.process = lambda frame: (sizes.append((frame.width, frame.height)), process(frame))[1]  # type: ignore[func-returns-value,method-assign]
    running.run(1.0)
    assert set(sizes) == {(160, 120)}
    assert len(running.filters) == 2
    assert picture_of(running) == Picture(160, 120, 30.0)
    assert state(running) is State.FILTERING and running.leaks() == 0


def test_a_camera_of_odd_size_feeds_an_even_output() -> None:
    simulation = Simulation(size=(161, 121))
    simulation.camera.picture = Picture(161, 121, 30.0)
    simulation.supervisor.prepare()
    simulation.run(1.0)
    assert picture_of(simulation) == Picture(160, 120, 30.0)
    assert state(simulation) is State.FILTERING and simulation.leaks() == 0


def test_a_camera_that_falls_silent_is_opened_again(running: Simulation) -> None:
    running.camera.stalled = True
    running.run(GIVE_UP + 0.2)
    assert running.camera.opened >= 1
    running.camera.stalled = False
    running.run(1.0)
    assert running.camera.opened >= 2 and state(running) is State.FILTERING
    assert running.supervisor.status().restarts >= 1


def test_a_camera_that_is_slow_to_start_is_waited_for() -> None:
    simulation = Simulation()
    simulation.camera.stalled = True
    simulation.supervisor.prepare()
    simulation.run(FIRST_FRAME - 0.5)
    assert simulation.camera.opened == 1
    simulation.camera.stalled = False
    simulation.run(0.5)
    assert state(simulation) is State.FILTERING


def test_twenty_unpluggings_are_survived_each_within_three_seconds(running: Simulation) -> None:
    for index in range(20):
        running.camera.plugged = False
        running.run(0.3 + 0.4 * (index % 7))
        running.camera.plugged = True
        back = running.clock.seconds
        running.run(3.1)
        assert running.first_edit(back) <= 3.0
    assert running.leaks() == 0


def test_a_jump_of_the_drivers_clock_does_not_reach_the_filter(running: Simulation) -> None:
    since = running.clock.seconds
    running.camera.skew = -1e6
    running.run(1.0)
    running.camera.skew = 3.0
    running.run(1.0)
    shown = [one for one in running.seen if one.seconds > since]
    assert not any(one.card for one in shown) and all(abs(one.age) < 0.06 for one in shown)
    assert running.supervisor.pipeline.capture.retimed > 55


def test_another_camera_can_be_chosen_but_not_one_that_is_not_there(running: Simulation) -> None:
    names: list[str | None] = []
    camera = running.camera
    parts = running.supervisor._parts
    running.supervisor._parts = type(parts)(
        lambda name: (names.append(name), camera.open())[1],  # type: ignore[func-returns-value]
        parts.open_output,
        parts.make_filter,
        lambda: ("front", "back"),
    )
    with pytest.raises(UsageError, match="no camera 'side'"):
        running.supervisor.choose_camera("side")
    running.supervisor.choose_camera("back")
    running.run(1.0)
    assert names == ["back"] and state(running) is State.FILTERING


def test_targets_reach_the_filter_and_a_new_filter_too(running: Simulation) -> None:
    running.supervisor.set_target("95")
    running.run(0.2)
    assert (running.filter.bpm, running.filter.strength) == (95.0, 1.0)
    running.supervisor.set_target("hide")
    running.run(0.2)
    assert (running.filter.bpm, running.filter.strength) == (95.0, 0.0)
    with pytest.raises(UsageError):
        running.supervisor.set_target("1000")
    running.clock.slept += 100
    running.run(1.0)
    assert len(running.filters) == 2 and (running.filter.bpm, running.filter.strength) == (95.0, 0.0)


@pytest.mark.parametrize("missing", ["camera", "output"])
def test_a_device_that_is_missing_at_the_start_is_an_error_and_nothing_stays_open(missing: str) -> None:
    simulation = Simulation()
    simulation.camera.plugged = missing != "camera"
    simulation.output.gone = missing == "output"
    with pytest.raises(SourceError if missing == "camera" else SinkError):
        simulation.supervisor.prepare()
    assert not simulation.camera.is_open and not simulation.output.is_open
    assert simulation.seen == []


def test_a_slow_filter_costs_frames_and_not_delay() -> None:
    """Three times too slow: a third of the frames leave, none of them late, and the ring does not grow."""
    simulation = Simulation()
    simulation.supervisor.prepare()
    simulation.while_filtering = lambda: simulation.elsewhere("filter", 0.1)
    simulation.run(10.0)
    assert simulation.edits(1001.0) > 60
    ages = [one.age for one in simulation.seen if not one.card]
    assert max(ages) <= STALL
    assert max(ages[-10:]) <= max(ages[5:15]) + 0.006
    assert simulation.supervisor.status().dropped["overload"] > 150
    assert len(simulation.supervisor.pipeline.ring) <= 5


@given(st.integers(16, 90), st.integers(16, 90), st.sampled_from([(64, 48), (48, 64), (80, 80)]))
def test_any_frame_fits_any_even_size_with_its_level_kept(
    width: int, height: int, size: tuple[int, int]
) -> None:
    fitted = fit(live_frame(1.0, width, height, level=200), *size)
    assert (fitted.width, fitted.height) == size
    assert fitted.u.shape == fitted.v.shape == (size[1] // 2, size[0] // 2)
    assert set(np.unique(fitted.y)) <= {16, 200} and (fitted.u == 128).all()
    assert fitted.y[size[1] // 2, size[0] // 2] == 200
    filled = np.mean(fitted.y == 200)
    ratio = (width / height) / (size[0] / size[1])
    assert filled == pytest.approx(min(ratio, 1 / ratio), abs=0.1)


@given(st.lists(st.tuples(st.sampled_from([None, 0, 0, 0, 1, 2]), st.floats(0.0, 2.0)), max_size=30))
def test_the_camera_is_wanted_within_three_seconds_of_a_watcher_and_no_longer(
    course: list[tuple[int | None, float]],
) -> None:
    now, seen = 50.0, 50.0
    demand = Demand(now)
    for watchers, gap in course:
        now += gap
        demand = demand.after(watchers, now, always=False)
        seen = now if watchers != 0 else seen
        assert demand.wants_camera(now) == (now < seen + LINGER)
        assert demand.after(0, now, always=True).wants_camera(now)


def test_the_foremost_hold_is_shown_and_an_old_filter_cannot_release_a_new_start() -> None:
    woken: list[int] = []
    board = Board(lambda: woken.append(1))
    assert board.standing() is None
    board.hold(Hold.CAMERA, "lost")
    board.hold(Hold.PAUSED, "paused")
    assert board.standing() == (Hold.PAUSED, "paused")
    board.release(Hold.PAUSED)
    assert board.standing() == (Hold.CAMERA, "lost")
    before = len(woken)
    board.release(Hold.PAUSED)
    board.hold(Hold.CAMERA, "lost")
    assert len(woken) == before
    board.release(Hold.CAMERA)
    old = board.generation
    board.renew("again")
    board.renewed(old)
    assert board.is_held(Hold.FILTER)
    board.renewed(board.generation)
    assert board.standing() is None


def test_patience_follows_the_cameras_own_rate_but_not_a_pause() -> None:
    cadence, now = Cadence(0.0, 30.0), 0.0
    for _ in range(100):
        now += 1 / 5
        cadence.arrived(now)
    assert cadence.patience == pytest.approx(0.4, abs=0.01)
    for _ in range(100):
        now += 1 / 30
        cadence.arrived(now)
    assert cadence.patience == STALL
    cadence.arrived(now + 60.0)
    assert cadence.patience == STALL


def test_a_wish_runs_on_through_changes() -> None:
    wish = Wish(FixedRate(60.0))
    assert wish.bpm is None
    assert wish.at(100.0).bpm == 60.0 and wish.bpm == 60.0
    wish.set(Hidden())
    assert wish.at(100.1).strength == 0.0 and wish.bpm is None
    wish.set(Scaled(0.5))
    wish.saw(120.0)
    assert wish.at(100.2).bpm == pytest.approx(60.0, abs=0.3)
    wish.saw(200.0)
    rates = [wish.at(100.2 + step / 10).bpm for step in range(1, 100)]
    assert max(np.abs(np.diff(rates))) <= 0.21
    assert str(wish) == "scale 0.5"
