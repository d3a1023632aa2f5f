"""One batch engine behind many filters: steps that wait for it go together in its next call.

Whoever comes while no call runs makes one at once, alone. Whoever comes during a call waits for its end, and
then all that wait by then go in one call, which one of them makes. Nobody waits for company, so that a lone
stream is as fast as on an engine of its own, and the busier the engine is, the fuller its calls are.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event, Lock

from streamfilter.artifact import Artifact
from streamfilter.contract import TensorSpec
from streamfilter.engine.base import Gain, State, check_inputs, frame_inputs
from streamfilter.engine.batch import BatchEngine, BatchRunner
from streamfilter.engine.select import AUTO, ON_GPU, ONNXRUNTIME, PREFERRED, open_on_gpu
from streamfilter.engine.serving import Array
from streamfilter.errors import EngineError


class _Ask:
    """A stream's frame on its way through the engine. ``leads``: its thread is to make the call."""

    def __init__(self, slot: int, inputs: Mapping[str, Array]) -> None:
        self.slot, self.inputs = slot, inputs
        self.leads = False
        self.told = Event()
        self.found: Gain | EngineError | None = None


class SharedEngine:
    """Thread-safe. ``calls``, ``steps``: made so far, a call having one step or more."""

    def __init__(self, batch: BatchEngine, single: tuple[TensorSpec, ...], reason: str) -> None:
        """``single`` are the manifest's frame inputs, with their batch of 1. Takes over ``batch``."""
        self.calls = self.steps = 0
        self._batch, self._single, self._reason = batch, single, reason
        self._lock = Lock()
        self._running = False
        self._waiting: list[_Ask] = []
        self._freed: deque[int] = deque()

    def engine(self) -> SlotEngine:
        """An engine for one filter; its streams are streams of this one."""
        return SlotEngine(self, self._batch.name, self._reason)

    def join(self) -> Stream:
        """A new stream, at its start. Raises EngineError where all slots are taken, or after ``close``."""
        while (slot := self._next_freed()) is not None:
            self._batch.leave(slot)
        stream = Stream(self._batch.join())
        # No lock is taken in there: it may run in whatever thread, at whatever moment.
        weakref.finalize(stream, self._freed.append, stream.slot).atexit = False
        return stream

    def step(self, slot: int, inputs: Mapping[str, Array]) -> Gain:
        """One frame of a stream: its gain map (1, 3, S, S), the caller's own.

        Raises EngineError; the stream then starts over, and those in the same call are not concerned unless
        the call itself has failed.
        """
        check_inputs(inputs, self._single)  # a frame that does not fit must not spoil the others' call
        ask = _Ask(slot, inputs)
        with self._lock:
            ask.leads, self._running = not self._running, True
            if not ask.leads:
                self._waiting.append(ask)
        if not ask.leads:
            ask.told.wait()
        if ask.leads:
            self._call(ask)
        if isinstance(ask.found, EngineError):
            raise ask.found
        if ask.found is None:
            raise EngineError("the engine's call for several streams was broken off")
        return ask.found

    def close(self) -> None:
        """Free the graph. Closing twice is harmless; a step after it raises EngineError."""
        self._batch.close()

    def _call(self, own: _Ask) -> None:
        with self._lock:
            asked, self._waiting = [own, *self._waiting], []
            self.calls, self.steps = self.calls + 1, self.steps + len(asked)
        try:
            found = self._batch.step({ask.slot: ask.inputs for ask in asked})
            for ask in asked:
                ask.found = found[ask.slot]
        except EngineError as error:
            for ask in asked:
                ask.found = EngineError(str(error))  # one of its own: each is raised in another thread
        finally:
            self._hand_on()
            for ask in asked:
                ask.told.set()

    def _next_freed(self) -> int | None:
        with self._lock:  # of several who join at once, one each
            return self._freed.popleft() if self._freed else None

    def _hand_on(self) -> None:
        """The next call is made by one of those who wait for it."""
        with self._lock:
            following = self._waiting.pop(0) if self._waiting else None
            self._running = following is not None
        if following is not None:
            following.leads = True
            following.told.set()


class Stream:
    """A slot that is left when nobody holds this any more."""

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.frame = 0


@dataclass(frozen=True, slots=True, eq=False)
class SlotState(State):
    """A stream after ``frame`` steps."""

    stream: Stream
    frame: int


class SlotEngine:
    """An :class:`~streamfilter.engine.base.Engine` whose streams are streams of a :class:`SharedEngine`."""

    def __init__(self, shared: SharedEngine, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        self._shared: SharedEngine | None = shared

    def init_state(self) -> SlotState:
        """See :meth:`streamfilter.engine.base.Engine.init_state`. Raises EngineError without a free slot."""
        return SlotState({}, {}, self._open().join(), 0)

    def step(self, inputs: Mapping[str, Array], state: State) -> tuple[Gain, State]:
        """See :meth:`streamfilter.engine.base.Engine.step`."""
        shared = self._open()
        if not isinstance(state, SlotState) or state.frame != state.stream.frame:
            raise EngineError("the state is another engine's, or was stepped already")
        state.stream.frame += 1
        gain = shared.step(state.stream.slot, inputs)
        return gain, SlotState({}, {}, state.stream, state.stream.frame)

    def close(self) -> None:
        """The shared engine stays; this one's streams leave it with their states."""
        self._shared = None

    def _open(self) -> SharedEngine:
        if self._shared is None:
            raise EngineError("the engine is closed")
        return self._shared


def open_shared(artifact: Artifact, name: str, threads: int, slots: int) -> SharedEngine | None:
    """One engine for up to ``slots`` streams; None where the engine of this name cannot take several.

    Raises EngineError and ArtifactError as :func:`streamfilter.engine.select.open_engine` does.
    """
    wanted = PREFERRED if name == AUTO else name
    runner: BatchRunner
    if wanted in ON_GPU:
        runner = open_on_gpu(artifact, wanted, slots)
    elif wanted == ONNXRUNTIME and artifact.serving is not None:
        from streamfilter.engine.onnxruntime_serving import OrtRunner

        runner = OrtRunner(artifact, threads)
    else:
        return None
    batch = BatchEngine(runner, slots)
    return SharedEngine(batch, frame_inputs(artifact.manifest.inputs), "one for all streams of this process")
