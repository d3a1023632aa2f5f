"""Many threads on one engine: each stream gets what it would alone, those that wait go in one call."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamfilter.artifact import Artifact, load_artifact
from streamfilter.contract import CROP
from streamfilter.engine import Gain, State, open_engine
from streamfilter.engine.base import frame_inputs
from streamfilter.engine.batch import BatchEngine
from streamfilter.engine.onnxruntime_cpu import OnnxRuntimeEngine
from streamfilter.engine.onnxruntime_serving import OrtRunner
from streamfilter.engine.shared import SharedEngine, SlotEngine, open_shared
from streamfilter.errors import EngineError
from tests.engine_inputs import drawn

WITHIN = 20.0  # seconds, however busy the machine is


class Gated(BatchEngine):
    """The real engine, whose calls wait for ``open``, note who is in them, and fail as ``faults`` says."""

    def __init__(self, artifact: Artifact, slots: int) -> None:
        super().__init__(OrtRunner(artifact, 1), slots)
        self.open = Event()
        self.faults: dict[int, Exception] = {}  # by the call's number
        self.calls: list[list[int]] = []

    def step(self, frames: Mapping[int, Mapping[str, npt.NDArray[Any]]]) -> dict[int, Gain | EngineError]:
        self.calls.append(sorted(frames))
        assert self.open.wait(WITHIN)
        if len(self.calls) in self.faults:
            raise self.faults[len(self.calls)]
        return super().step(frames)


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return load_artifact()


def shared_of(artifact: Artifact, batch: BatchEngine) -> SharedEngine:
    return SharedEngine(batch, frame_inputs(artifact.manifest.inputs), "asked for")


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + WITHIN
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_streams_of_many_threads_get_what_they_would_alone(artifact: Artifact) -> None:
    shared = open_shared(artifact, "auto", 1, 8)
    assert shared is not None

    def run(seed: int) -> float:
        rng, alone, engine = np.random.default_rng(seed), OnnxRuntimeEngine(artifact), shared.engine()
        worst = 0.0
        for frames in (25, 15):  # the second stream finds a slot that has been used
            state: State = engine.init_state()
            wanted_state = alone.init_state()
            for _ in range(frames):
                inputs = drawn(artifact, rng)
                gain, state = engine.step(inputs, state)
                wanted, wanted_state = alone.step(inputs, wanted_state)
                worst = max(worst, float(np.abs(gain - wanted).max()))
            del state  # or each thread would hold two slots while it starts its second stream
        return worst

    with ThreadPoolExecutor(6) as threads:
        assert max(threads.map(run, range(6))) < 1e-5
    assert shared.steps == 6 * 40 and shared.calls <= shared.steps


def test_whoever_comes_first_goes_at_once_and_those_who_wait_go_together(artifact: Artifact) -> None:
    batch = Gated(artifact, 4)
    shared, rng = shared_of(artifact, batch), np.random.default_rng(1)
    streams = [shared.join() for _ in range(4)]
    threads = [
        Thread(target=shared.step, args=(stream.slot, drawn(artifact, rng)), daemon=True)
        for stream in streams
    ]
    threads[0].start()
    until(lambda: batch.calls == [[0]])  # it does not wait for company
    for thread in threads[1:]:
        thread.start()
    until(lambda: len(shared._waiting) == 3)
    batch.open.set()
    for thread in threads:
        thread.join(WITHIN)
        assert not thread.is_alive()
    assert batch.calls == [[0], [1, 2, 3]]
    assert (shared.steps, shared.calls) == (4, 2)


@pytest.mark.parametrize("fault", [EngineError("the run failed"), MemoryError("no memory")])
def test_a_call_that_fails_is_an_error_for_all_in_it_and_for_nobody_after(
    artifact: Artifact, fault: Exception
) -> None:
    batch = Gated(artifact, 3)
    batch.faults[2] = fault
    shared, rng = shared_of(artifact, batch), np.random.default_rng(2)
    streams = [shared.join() for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(shared.step, streams[0].slot, drawn(artifact, rng))
        until(lambda: len(batch.calls) == 1)
        others = [threads.submit(shared.step, one.slot, drawn(artifact, rng)) for one in streams[1:]]
        until(lambda: len(shared._waiting) == 2)
        batch.open.set()
        assert np.isfinite(first.result(WITHIN)).all()
        failed = [type(other.exception(WITHIN)) for other in others]
        # Whoever made the call is told the fault itself, the other that there was one.
        assert set(failed) == {EngineError, type(fault)}
        for stream in streams:
            assert np.isfinite(shared.step(stream.slot, drawn(artifact, rng))).all()


def test_a_stream_whose_step_fails_does_not_concern_the_others_of_its_call(artifact: Artifact) -> None:
    batch = Gated(artifact, 3)
    shared, rng = shared_of(artifact, batch), np.random.default_rng(3)
    engine, alone = shared.engine(), OnnxRuntimeEngine(artifact)
    states = [engine.init_state() for _ in range(3)]
    frames = [drawn(artifact, rng) for _ in states]
    frames[1][CROP][0, 1, 40, 3] = np.nan
    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(engine.step, frames[0], states[0])]
        until(lambda: len(batch.calls) == 1)
        asked += [threads.submit(engine.step, *one) for one in zip(frames[1:], states[1:], strict=True)]
        until(lambda: len(shared._waiting) == 2)
        batch.open.set()
        with pytest.raises(EngineError, match="not finite"):
            asked[1].result(WITHIN)
        gain, _ = asked[2].result(WITHIN)
    assert batch.calls == [[0], [1, 2]]
    np.testing.assert_allclose(gain, alone.step(frames[2], alone.init_state())[0], atol=1e-5)


def test_a_frame_that_does_not_fit_never_gets_into_a_call(artifact: Artifact) -> None:
    shared = open_shared(artifact, "onnxruntime", 1, 1)
    assert shared is not None
    inputs = drawn(artifact, np.random.default_rng(4))
    with pytest.raises(EngineError, match="a step takes the inputs"):
        shared.step(shared.join().slot, {CROP: inputs[CROP]})
    assert shared.calls == 0


def test_slots_come_back_with_their_states_and_states_are_used_once(artifact: Artifact) -> None:
    shared = open_shared(artifact, "onnxruntime", 1, 2)
    assert shared is not None
    engine, inputs = shared.engine(), drawn(artifact, np.random.default_rng(5))
    first, second = engine.init_state(), engine.init_state()
    with pytest.raises(EngineError, match="all 2 streams"):
        engine.init_state()
    _, following = engine.step(inputs, first)
    with pytest.raises(EngineError, match="stepped already"):
        engine.step(inputs, first)
    del second
    gc.collect()
    third = engine.init_state()
    engine.step(inputs, third)
    engine.step(inputs, following)
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.step(inputs, third)
    other = shared.engine()  # the shared one goes on
    del third
    gc.collect()
    _, state = other.step(inputs, other.init_state())
    shared.close()
    shared.close()
    with pytest.raises(EngineError, match="closed"):
        other.step(inputs, state)


class SlowToLook(deque[int]):
    """Whoever looks whether anything is in it takes a while, so that others come between."""

    def __len__(self) -> int:
        length = super().__len__()
        time.sleep(0.02)
        return length


def test_two_who_join_at_once_do_not_take_the_same_slot_back(artifact: Artifact) -> None:
    shared = open_shared(artifact, "onnxruntime", 1, 3)
    assert shared is not None
    shared._freed = SlowToLook()
    kept = shared.join()
    shared.join()  # nobody holds it
    gc.collect()
    with ThreadPoolExecutor(2) as threads:
        slots = [stream.slot for stream in threads.map(lambda _: shared.join(), range(2))]
    assert sorted([kept.slot, *slots]) == [0, 1, 2]


def test_engines_that_cannot_batch_are_not_shared(artifact: Artifact) -> None:
    assert open_shared(artifact, "openvino", 1, 4) is None
    assert open_shared(replace(artifact, serving=None), "auto", 1, 4) is None
    with pytest.raises(EngineError, match="another engine's"):
        SlotEngine(shared_of(artifact, Gated(artifact, 1)), "onnxruntime", "asked for").step(
            drawn(artifact, np.random.default_rng(6)), open_engine(artifact).init_state()
        )
