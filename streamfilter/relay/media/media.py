"""All media of one process: its rooms' broadcasts, its filter threads and what it has room for."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from streamfilter.config import FilterSettings
from streamfilter.relay.media.broadcast import AiortcBroadcast
from streamfilter.relay.media.capacity import Capacity
from streamfilter.relay.media.engines import Engines
from streamfilter.relay.media.filter_slot import SETTLE_SECONDS, MakeFilter
from streamfilter.relay.media.lane import Lane
from streamfilter.relay.media.patient import AiortcPatient
from streamfilter.relay.media.settings import MediaSettings
from streamfilter.relay.media.stage import Stage
from streamfilter.relay.media.viewer import AiortcViewer
from streamfilter.relay.ports import Edit

TICK_SECONDS = 0.03
SHUT_SECONDS = 2.0  # for the filter threads to end
SWITCH_SECONDS = 5e-4  # after which a thread that waits for the interpreter gets it


class AiortcMedia:
    """:class:`streamfilter.relay.ports.Media` on aiortc. Made and used in the relay's event loop.

    Every publisher has a filter of its own; their steps go to one engine, where it takes many streams.
    """

    def __init__(self, settings: MediaSettings, make_filter: MakeFilter | None = None) -> None:
        """``make_filter`` (None: the real one) may raise PhysioCamError, which shows as a card."""
        self.settings = settings
        self.engines = Engines(settings.processors)
        self._make_filter = make_filter or self.engines.build_filter
        self._base = FilterSettings(
            engine=settings.engine,
            artifact=settings.artifact,
            threads=settings.threads,
            settle_seconds=SETTLE_SECONDS,
        )
        # A filter gives the interpreter away a hundred times a frame; each time it would wait up to 5 ms.
        self._switching = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._workers = ThreadPoolExecutor(settings.processors, thread_name_prefix="filter")
        self._capacity = Capacity(settings.processors)
        self._capacity.try_filter(self._workers, self._make_filter, self._base)
        self._broadcasts: set[AiortcBroadcast] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._closed = False

    def broadcast(self, room: str) -> AiortcBroadcast:
        """A room's stream. The caller closes it."""
        if self._closed:
            raise RuntimeError("the media are closed: make new ones")
        if self._ticking is None:
            self._ticking = asyncio.get_running_loop().create_task(self._tick())
        made = AiortcBroadcast(
            self.settings,
            self.lane,
            self._admit_publisher,
            self._admit_viewer,
            self._broadcasts.discard,
        )
        self._broadcasts.add(made)
        return made

    def load(self) -> Mapping[str, float]:
        """``publishers``, ``viewers``, ``share`` (0..1 of what can be served)."""
        patients, viewers = self._patients(), self._viewers()
        return {"publishers": len(patients), "viewers": len(viewers), "share": self._share()}

    async def close(self) -> None:
        """Ends every connection and thread. Twice is once."""
        self._closed = True
        await asyncio.gather(*(one.close() for one in tuple(self._broadcasts)))
        ticking, self._ticking = self._ticking, None
        if ticking is not None:
            ticking.cancel()
            await asyncio.wait((ticking,))
        self._workers.shutdown(wait=False, cancel_futures=True)
        ended = time.monotonic() + SHUT_SECONDS
        while any(thread.is_alive() for thread in self._workers._threads) and time.monotonic() < ended:
            await asyncio.sleep(0.005)
        self.engines.close()
        sys.setswitchinterval(self._switching)

    def lane(self, edit: Edit, stage: Stage) -> Lane:
        """A publisher's way through the filter, onto ``stage``. Raises UsageError."""
        return Lane(self._make_filter, self._base, edit, self._workers, stage)

    def _admit_publisher(self, room: AiortcBroadcast, instead: AiortcPatient | None) -> None:
        wanted = self._capacity.publisher_share
        if not room.patients and not room.viewers:
            wanted += self._capacity.viewer_share
        self._capacity.admit(self._share(instead), wanted, "patient")

    def _admit_viewer(self, room: AiortcBroadcast) -> None:
        if not room.expects_viewer:
            self._capacity.admit(self._share(), self._capacity.viewer_share, "viewer")

    def _share(self, without: AiortcPatient | None = None) -> float:
        patients = [one for one in self._patients() if one is not without]
        expected = sum(room.expects_viewer for room in self._broadcasts)
        return self._capacity.share(patients, self._viewers(), expected)

    def _patients(self) -> list[AiortcPatient]:
        return [one for room in self._broadcasts for one in room.patients]

    def _viewers(self) -> list[AiortcViewer]:
        return [one for room in self._broadcasts for one in room.viewers]

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            for room in tuple(self._broadcasts):
                room.tick(now)
