"""How many streams of 30 frames a second this machine serves at once, by trial.

A worker (a thread, or a process) for each processor; every worker has one engine and its share of the
streams, each with its own state. Thirty times a second all streams have a frame; a number of streams is
served if 99 % of their frames are done before the next is due.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from streamfilter.artifact import load_artifact
from streamfilter.bench.footage import FPS, Size, footage
from streamfilter.bench.steps import step_inputs
from streamfilter.config import FilterSettings
from streamfilter.engine.batch import BatchEngine
from streamfilter.engine.select import open_engine
from streamfilter.errors import EngineError
from streamfilter.face_filter import VideoFilter
from streamfilter.frame import Frame

ENGINE, FILTER = "engine", "filter"
THREADS, PROCESSES = "threads", "processes"
BATCH = 16  # streams that go in one run of the graph
BATCHED = f"threads, batches of {BATCH}"
SERVED = 0.99  # share of frames that are done in time
_GIVE_UP = 0.5  # seconds behind: this will not recover
_MOST = 100_000
_SWITCH_SECONDS = 5e-4  # after which a thread that waits for the interpreter gets it, as in the relay


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs to know; it goes to other processes."""

    what: str
    engine: str
    artifact: Path | None
    size: Size
    camera: str
    batched: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """A number of streams: its frames' share that was in time, and after how long 99 % were done (None:
    never).
    """

    streams: int
    in_time: float
    p99_ms: float | None


class Crew(Protocol):
    """Workers that try a number of streams at once."""

    def trial(self, shares: Sequence[int], seconds: float) -> list[list[float]]: ...


class Server:
    """One worker's engine and streams. Raises EngineError where the engine cannot run."""

    def __init__(self, job: Job) -> None:
        artifact = load_artifact(job.artifact)
        self._engine = open_engine(artifact, job.engine, 1)
        shown = footage(job.size, 1, job.camera)
        self._work: list[Callable[[int], None]] = []
        if job.what == ENGINE:
            inputs = step_inputs(artifact, shown)

            def stream() -> Callable[[int], None]:
                held = [self._engine.init_state()]

                def work(tick: int) -> None:
                    _, held[0] = self._engine.step(inputs[tick % len(inputs)], held[0])

                return work

        else:
            frames = shown.frames()
            settings = FilterSettings(engine=job.engine, artifact=job.artifact, seed=1)

            def stream() -> Callable[[int], None]:
                made = VideoFilter(settings, artifact, self._engine)
                served = [0]

                def work(tick: int) -> None:
                    made.process(_at(frames[tick % len(frames)], served[0]))
                    served[0] += 1

                return work

        self._stream = stream

    def prepare(self, streams: int) -> None:
        """Have so many streams ready, warm."""
        while len(self._work) < streams:
            work = self._stream()
            # Not all at the same point of the detector's rhythm.
            for tick in range(3 + len(self._work) % 6):
                work(tick)
            self._work.append(work)

    def serve(self, streams: int, start: float, seconds: float) -> list[float]:
        """How long after it was due (s) each frame was done; infinite for those that were given up."""
        late: list[float] = []
        ticks = max(1, round(seconds * FPS))
        for tick in range(ticks):
            due = start + tick / FPS
            wait = due - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            for done in self._serve(tick, streams):
                late += [time.perf_counter() - due] * done
            if late and late[-1] > _GIVE_UP:
                return late + [float("inf")] * (streams * (ticks - tick - 1))
        return late

    def _serve(self, tick: int, streams: int) -> Iterator[int]:
        """Works on frame ``tick`` of every stream, and says of how many after each piece of work."""
        for work in self._work[:streams]:
            work(tick)
            yield 1

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()


class BatchServer(Server):
    """One worker whose streams' steps go in batches, as the relay's do."""

    def __init__(self, job: Job) -> None:
        from streamfilter.engine.onnxruntime_serving import OrtRunner

        super().__init__(job)
        artifact = load_artifact(job.artifact)
        self._runner = OrtRunner(artifact, 1)
        self._inputs = step_inputs(artifact, footage(job.size, 1, job.camera))
        self._batches: list[BatchEngine] = []

    def prepare(self, streams: int) -> None:
        """See :meth:`Server.prepare`."""
        while BATCH * len(self._batches) < streams:
            batch = BatchEngine(self._runner, BATCH)
            slots = [batch.join() for _ in range(BATCH)]
            # A number of streams is bound at its first run.
            for count in range(1, BATCH + 1):
                batch.step(dict.fromkeys(slots[:count], self._inputs[0]))
            self._batches.append(batch)

    def _serve(self, tick: int, streams: int) -> Iterator[int]:
        inputs = self._inputs[tick % len(self._inputs)]
        for number, batch in enumerate(self._batches):
            count = min(BATCH, streams - BATCH * number)
            if count > 0:
                batch.step(dict.fromkeys(range(count), inputs))
                yield count


def _server(job: Job) -> Server:
    return BatchServer(job) if job.batched else Server(job)


def _at(frame: Frame, index: int) -> Frame:
    return Frame(frame.y, frame.u, frame.v, index, Fraction(1, round(FPS)), frame.color)


class ThreadCrew:
    """Workers that are threads of this process."""

    def __init__(self, job: Job, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers)
        self._servers = [_server(job) for _ in range(workers)]
        self._switching = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_SECONDS)

    def trial(self, shares: Sequence[int], seconds: float) -> list[list[float]]:
        """See :class:`Crew`."""
        pairs = list(zip(self._servers, shares, strict=True))
        for server, share in pairs:
            server.prepare(share)
        start = time.perf_counter() + 0.05
        running = [self._pool.submit(server.serve, share, start, seconds) for server, share in pairs]
        return [one.result() for one in running]

    def close(self) -> None:
        """End the threads."""
        sys.setswitchinterval(self._switching)
        self._pool.shutdown()
        for server in self._servers:
            server.close()


class ProcessCrew:
    """Workers that are processes of their own."""

    def __init__(self, job: Job, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._ends: list[Connection] = []
        self._processes = []
        with ExitStack() as undo:
            undo.callback(self.close)
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(job, theirs), daemon=True)
                process.start()
                theirs.close()
                self._ends.append(ours)
                self._processes.append(process)
            for end in self._ends:
                self._hear(end)
            undo.pop_all()

    def trial(self, shares: Sequence[int], seconds: float) -> list[list[float]]:
        """See :class:`Crew`."""
        for end, share in zip(self._ends, shares, strict=True):
            end.send(share)
        for end in self._ends:
            self._hear(end)
        # The performance counter is one clock for all processes of a machine.
        start = time.perf_counter() + 0.05
        for end, share in zip(self._ends, shares, strict=True):
            end.send((share, start, seconds))
        return [self._hear(end) for end in self._ends]

    def close(self) -> None:
        """End the processes."""
        for end in self._ends:
            end.close()
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.terminate()
                process.join()

    @staticmethod
    def _hear(end: Connection) -> list[float]:
        try:
            answer = end.recv()
        except EOFError:
            raise EngineError("a process of the trial of streams ended by itself") from None
        if isinstance(answer, str):
            raise EngineError(answer)
        heard: list[float] = answer
        return heard


def _serve(job: Job, end: Connection) -> None:
    """A worker process: numbers of streams to prepare, and trials, until the other end is closed."""
    cv2.setNumThreads(1)
    try:
        server = _server(job)
        end.send([])
        while True:
            asked = end.recv()
            if isinstance(asked, int):
                server.prepare(asked)
                end.send([])
            else:
                end.send(server.serve(*asked))
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001  # told to the process that measures
        end.send(f"{type(error).__name__}: {error}")


def most_streams(
    crew: Crew, workers: int, seconds: float, guess: int, after_trial: Callable[[], None] = lambda: None
) -> tuple[int, list[Trial]]:
    """The most streams that are served, and all trials. What fails is tried once more before it counts."""
    trials: list[Trial] = []

    def served(streams: int) -> bool:
        shares = [streams // workers + (k < streams % workers) for k in range(workers)]
        for _ in range(2):
            late = np.array([one for part in crew.trial(shares, seconds) for one in part])
            p99 = float(np.percentile(late, 99, method="higher"))
            in_time = float((late <= 1.0 / FPS).mean())
            trials.append(Trial(streams, round(in_time, 4), round(1000 * p99, 2) if p99 < np.inf else None))
            after_trial()
            if in_time >= SERVED:
                return True
        return False

    low, high = 0, _MOST
    next_try = max(1, guess)
    while high - low > max(1, low // 32):
        if served(next_try):
            low = next_try
            next_try = (low + high) // 2 if high < _MOST else low + max(1, low // 4)
        else:
            high = next_try
            next_try = (low + high) // 2 if low else max(1, high - max(1, high // 4))
        if high <= 1:
            break
    return low, trials
