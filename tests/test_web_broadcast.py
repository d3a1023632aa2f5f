"""One value for many readers: the newest, never a queue, made only while somebody reads."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest

from streamfilter.web.broadcast import Broadcast


def run(make: Callable[[], int | None], scene: Callable[[Broadcast[int]], Awaitable[None]]) -> None:
    with ThreadPoolExecutor(1) as pool:

        async def limited() -> None:
            await asyncio.wait_for(scene(Broadcast(make, pool, 0.01)), 5)

        asyncio.run(limited())


def test_a_busy_reader_skips_to_the_newest() -> None:
    counter = itertools.count(1)
    made: list[int] = []

    def make() -> int:
        made.append(next(counter))
        return made[-1]

    async def scene(broadcast: Broadcast[int]) -> None:
        async with aclosing(broadcast.values()) as values:
            first = await anext(values)
            while len(made) < first + 10:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.005)
            assert await anext(values) >= first + 9

    run(make, scene)


def test_made_only_while_somebody_reads_and_never_shown_later() -> None:
    counter = itertools.count(1)

    async def scene(broadcast: Broadcast[int]) -> None:
        async with aclosing(broadcast.values()) as one, aclosing(broadcast.values()) as two:
            await anext(one)
            await anext(two)
        await asyncio.sleep(0.03)
        rest = next(counter)
        await asyncio.sleep(0.05)
        assert next(counter) == rest + 1
        async with aclosing(broadcast.values()) as late:
            assert await anext(late) > rest  # not the value from before the pause

    run(lambda: next(counter), scene)


def test_nothing_new_is_not_handed_on() -> None:
    answers = itertools.chain([None, None, 7], itertools.repeat(None))

    async def scene(broadcast: Broadcast[int]) -> None:
        async with aclosing(broadcast.values()) as values:
            assert await anext(values) == 7
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(values), 0.1)

    run(lambda: next(answers), scene)


def test_what_is_raised_reaches_every_reader() -> None:
    async def scene(broadcast: Broadcast[int]) -> None:
        async with aclosing(broadcast.values()) as one, aclosing(broadcast.values()) as two:
            ends = await asyncio.gather(anext(one), anext(two), return_exceptions=True)
        assert [type(end) for end in ends] == [ZeroDivisionError] * 2

    run(lambda: 1 // 0, scene)


def test_close_ends_readers() -> None:
    async def scene(broadcast: Broadcast[int]) -> None:
        asyncio.get_running_loop().call_later(0.05, broadcast.close)
        async with aclosing(broadcast.values()) as values:
            assert {value async for value in values} == {1}

    run(lambda: 1, scene)
