"""Carries a plan out, part by part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial

import cv2

from streamfilter.artifact import load_artifact
from streamfilter.bench.allocations import allocations
from streamfilter.bench.chain import Chain
from streamfilter.bench.contest import Contestant, compete
from streamfilter.bench.footage import FPS, Footage, Size, footage
from streamfilter.bench.gpu import Gpu
from streamfilter.bench.machine import describe, usable_cpus
from streamfilter.bench.plan import Plan
from streamfilter.bench.results import (
    FORMAT,
    AllocationResult,
    ArtifactUsed,
    FrameResult,
    Results,
    StartResult,
    StepResult,
    StreamsResult,
)
from streamfilter.bench.rivals import BAND_STOP, BandStop, RivalAbsentError, Worker
from streamfilter.bench.start import cold_start
from streamfilter.bench.stats import paired_ratio
from streamfilter.bench.steps import PLAIN, PlainOrt, Stepper, step_inputs
from streamfilter.bench.streams import (
    BATCHED,
    ENGINE,
    FILTER,
    PROCESSES,
    THREADS,
    Job,
    ProcessCrew,
    ThreadCrew,
    most_streams,
)
from streamfilter.config import FilterSettings
from streamfilter.contract import STEP_GRAPH
from streamfilter.engine.select import AUTO, ENGINE_NAMES, ONNXRUNTIME, open_engine
from streamfilter.errors import EngineError, UsageError
from streamfilter.frame import Frame

Say = Callable[[str], None]


class Run:
    """One run. ``say`` is told of progress."""

    def __init__(self, plan: Plan, say: Say) -> None:
        """Raises UsageError, ArtifactError, and EngineError where an engine that was named cannot run."""
        self._plan, self._say = plan, say
        self._begun = time.monotonic()
        self._gpu = Gpu()
        self._machine = describe(self._gpu)
        self._artifact = load_artifact(plan.artifact)
        self._notes: list[str] = [] if self._gpu.note is None else [self._gpu.note]
        self.engines = self._found_engines()
        self._notes.append(self._choice())

    def measure(self) -> Results:
        """Everything that the plan names. Raises as the parts do."""
        parts = self._plan.parts
        with _opencv_threads(self._plan.threads):
            steps = self._steps() if {"steps", "streams"} & set(parts) else []
            frames = self._frames() if "frames" in parts else []
            taken = self._allocations() if "allocations" in parts else []
            starts = self._starts() if "starts" in parts else []
            streams = self._streams(steps) if "streams" in parts else []
        plan, artifact = self._plan, self._artifact
        size = sum((artifact.path / name).stat().st_size for name in artifact.manifest.files)
        return Results(
            format=FORMAT,
            command=self._plan.command,
            made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            seconds=round(time.monotonic() - self._begun, 1),
            machine=self._machine,
            artifact=ArtifactUsed(
                artifact.manifest.name, artifact.manifest.files[STEP_GRAPH], round(size / 1e6, 2)
            ),
            footage="drawn faces" if plan.clip is None else f"the clip {plan.clip.name}",
            camera=plan.camera,
            threads=plan.threads,
            notes=tuple(dict.fromkeys(self._notes)),
            frames=tuple(frames),
            steps=tuple(steps),
            starts=tuple(starts),
            streams=tuple(streams),
            allocations=tuple(taken),
        )

    def _found_engines(self) -> list[str]:
        known = [name for name in ENGINE_NAMES if name != AUTO]
        for name in self._plan.engines:
            if name not in known:
                raise UsageError(f"there is no engine {name!r}: choose from {', '.join(known)}")
        found = []
        for name in self._plan.engines or known:
            self._say(f"engine {name}")
            try:
                open_engine(self._artifact, name, self._plan.threads).close()
            except EngineError as error:
                if self._plan.engines:
                    raise
                self._notes.append(f"engine {name} not measured: {error}")
                continue
            found.append(name)
        if not found:
            raise EngineError("no engine runs the artifact here: see physio-cam doctor")
        return found

    def _choice(self) -> str:
        """What ``--engine auto`` takes here, and why."""
        engine = open_engine(self._artifact, AUTO, self._plan.threads)
        engine.close()
        return f"engine auto takes {engine.name}: {engine.reason}"

    def _frames(self) -> list[FrameResult]:
        made = []
        for size in self._plan.sizes:
            for faces in self._plan.faces:
                self._say(f"{size.name}, {faces} face{'s' * (faces > 1)}")
                made += self._frames_of(size, faces)
        return made

    def _frames_of(self, size: Size, faces: int) -> list[FrameResult]:
        plan = self._plan
        shown = footage(size, faces, plan.camera, plan.clip)
        settings = FilterSettings(threads=plan.threads, seed=1)
        with ExitStack() as stack:
            contestants: list[Contestant] = []
            for name in self.engines:
                chain = Chain(self._artifact, name, settings, shown)
                stack.callback(chain.close)
                contestants.append(chain)
            if faces == min(plan.faces):
                for rival in plan.rivals:
                    try:
                        made = self._rival(rival, shown)
                    except RivalAbsentError as error:
                        self._notes.append(f"rival {rival} not measured: {error}")
                        continue
                    stack.callback(made.close)
                    contestants.append(made)
            self._gpu.use()
            outcomes = compete(contestants, plan.frame_rounds, lambda _: self._gpu.sample())
            gpu = self._gpu.use()
        for one, outcome in zip(contestants, outcomes, strict=True):
            if outcome.faces is not None and outcome.faces < faces:
                self._notes.append(
                    f"at {size.name} with {faces} faces {one.name} found {outcome.faces}: "
                    "its times are of fewer faces"
                )
        return [
            FrameResult(
                size.name,
                size.width,
                size.height,
                faces,
                one.name,
                one.kind,
                outcome,
                gpu if one.kind == "engine" else None,
            )
            for one, outcome in zip(contestants, outcomes, strict=True)
        ]

    def _rival(self, name: str, shown: Footage) -> Contestant:
        if name == BAND_STOP:
            return BandStop(self._artifact, shown)
        return Worker(name, shown, self._plan.mediapipe)

    def _steps(self) -> list[StepResult]:
        plan = self._plan
        self._say("single steps")
        inputs = step_inputs(self._artifact, footage(plan.streams_size, 1, plan.camera, plan.clip))
        with ExitStack() as stack:
            contestants: list[Contestant] = []
            for name in self.engines:
                contestants.append(Stepper(self._artifact, name, plan.threads, inputs))
            contestants.append(PlainOrt(self._artifact, plan.threads, inputs))
            for one in contestants:
                stack.callback(one.close)
            outcomes = compete(contestants, plan.step_rounds)
        plain = outcomes[-1].whole
        return [
            StepResult(
                one.name,
                plan.threads,
                outcome.whole,
                outcome.cpu.mean,
                None if one.name == PLAIN else round(paired_ratio(outcome.whole.blocks, plain.blocks), 3),
            )
            for one, outcome in zip(contestants, outcomes, strict=True)
        ]

    def _starts(self) -> list[StartResult]:
        plan = self._plan
        shown = footage(plan.streams_size, 1, plan.camera, plan.clip)
        made = []
        for name in (AUTO, *self.engines):
            self._say(f"cold start, {name}")
            start = cold_start(shown, name, plan.threads, plan.artifact, plan.start_runs)
            made.append(StartResult(name, plan.streams_size.name, start))
        return made

    def _streams(self, steps: list[StepResult]) -> list[StreamsResult]:
        """Steps only: every engine. The whole filter: the one with the quickest step."""
        own = [step for step in steps if step.name != PLAIN]
        quickest = min(own, key=lambda step: step.took.p50).name
        made = []
        for step in own:
            made += [self._served(ENGINE, how, step.name, step.cpu_ms) for how in (THREADS, PROCESSES)]
        if self._artifact.serving is not None and ONNXRUNTIME in self.engines:
            cost = next(step.cpu_ms for step in own if step.name == ONNXRUNTIME)
            made.append(self._served(ENGINE, BATCHED, ONNXRUNTIME, cost))
        made += [self._served(FILTER, how, quickest, 10.0) for how in (THREADS, PROCESSES)]
        return made

    def _served(self, what: str, how: str, engine: str, cost_ms: float) -> StreamsResult:
        plan, workers = self._plan, usable_cpus()
        self._say(f"streams, {what}, {engine}, {how}")
        job = Job(what, engine, plan.artifact, plan.streams_size, plan.camera, batched=how == BATCHED)
        self._gpu.use()
        guess = int(0.8 * workers * 1000 / FPS / max(cost_ms, 0.05))
        crew = ProcessCrew(job, workers) if how == PROCESSES else ThreadCrew(job, workers)
        try:
            streams, trials = most_streams(crew, workers, plan.trial_seconds, guess, self._gpu.sample)
        finally:
            crew.close()
        return StreamsResult(
            what, how, engine, plan.streams_size.name, workers, streams, tuple(trials), self._gpu.use()
        )

    def _allocations(self) -> list[AllocationResult]:
        plan = self._plan
        shown = footage(plan.streams_size, 1, plan.camera, plan.clip)
        frames = shown.frames()
        made = []
        for name in self.engines:
            self._say(f"allocations, {name}")
            chain = Chain(self._artifact, name, FilterSettings(threads=plan.threads, seed=1), shown)
            try:
                for index in range(len(frames)):
                    chain.filter_only(frames[index], index)
                work = partial(_filter_again, chain, frames)
                places = allocations(work, plan.allocation_frames, len(frames))
            finally:
                chain.close()
            per_frame = round(sum(place.per_frame for place in places), 2)
            made.append(AllocationResult(name, plan.streams_size.name, per_frame, tuple(places)))
        return made


def _filter_again(chain: Chain, frames: Sequence[Frame], index: int) -> None:
    chain.filter_only(frames[index % len(frames)], index)


@contextmanager
def _opencv_threads(threads: int) -> Iterator[None]:
    """OpenCV's threads as the filter sets them, and as they were afterwards."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
