"""Several rooms of one relay on one engine, with the filter that ships."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamfilter.artifact import Artifact, load_artifact
from streamfilter.config import FilterSettings
from streamfilter.contract import CROP
from streamfilter.engine import Engine, Gain, State
from streamfilter.engine.shared import SlotEngine
from streamfilter.face_filter import VideoFilter, build_filter
from streamfilter.frame_filter import FILTER_FAILED
from streamfilter.relay.media.engines import Engines
from streamfilter.relay.ports import Edit, MediaState
from tests.relay.media_peers import Camera, Room, relay, until

BROKEN = 100.0  # bpm that the room with the fault asks for


class Breaking:
    """The engine it is given, but for crops that are no numbers while ``broken``."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.name, self.reason = engine, engine.name, engine.reason
        self.broken = False

    def init_state(self) -> State:
        return self.engine.init_state()

    def step(self, inputs: Mapping[str, npt.NDArray[Any]], state: State) -> tuple[Gain, State]:
        spoilt = {CROP: np.full_like(inputs[CROP], np.nan)} if self.broken else {}
        return self.engine.step({**inputs, **spoilt}, state)

    def close(self) -> None:
        self.engine.close()


def test_a_room_whose_steps_fail_gets_the_shield_and_the_other_goes_on() -> None:
    breaking: list[Breaking] = []

    def make(engines: Engines, wanted: FilterSettings) -> VideoFilter:
        def opened(artifact: Artifact, name: str, threads: int) -> Engine:
            engine = engines.open(artifact, name, threads)
            assert isinstance(engine, SlotEngine)
            if wanted.target_bpm != BROKEN:
                return engine
            breaking.append(Breaking(engine))
            return breaking[-1]

        return build_filter(wanted, opened)

    async def run() -> None:
        async with relay(None) as room:
            vars(room.media)["_make_filter"] = partial(make, room.media.engines)
            other = Room(room.media, room.media.broadcast("other"), [], room.peers, room.tasks)
            _, good = await room.publish(Camera(), edit=Edit(90.0))
            _, bad = await other.publish(Camera(), edit=Edit(BROKEN))
            await until(lambda: good.facts().state is bad.facts().state is MediaState.LIVE)
            assert len(breaking) == 1
            breaking[0].broken = True
            await until(lambda: bad.facts().state is MediaState.SHIELDED)
            assert bad.facts().reason == FILTER_FAILED
            assert "not finite" in (bad.lane.failure or "")
            frames = good.facts().frames
            await until(lambda: good.facts().frames > frames + 10)
            assert good.facts().state is MediaState.LIVE
            breaking[0].broken = False
            await until(lambda: bad.facts().state is MediaState.LIVE)
            steps, calls = room.media.engines.counts()
            assert steps > 50 and 0 < calls <= steps

    asyncio.run(run())


def test_an_engine_that_cannot_batch_is_opened_for_each() -> None:
    pytest.importorskip("openvino")
    engines, artifact = Engines(1), load_artifact()
    first, second = (engines.open(artifact, "openvino", 1) for _ in range(2))
    assert first is not second and first.name == second.name == "openvino"
    first.close()
    second.init_state()  # the other's end is not its own
    assert engines.counts() == (0, 0)
    engines.close()
    engines.close()
