"""Scenes over processes, a task a scene; what is in the cache already is not made again."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import cv2

from model.attackers.record import record
from model.attackers.scenes import Role, Scene, draw_scenes
from streamfilter.errors import SourceError

Recorder = Callable[[Scene, Path], Path]


class Reading(Protocol):
    """What was read of a scene, and whose face it was."""

    @property
    def identity(self) -> str: ...


R = TypeVar("R", bound=Reading)
COUNTS: dict[Role, int] = {"train": 160, "test": 56, "heave": 10}
QUICK: dict[Role, int] = {"train": 6, "test": 4, "heave": 2}


def all_scenes(faces: Path | None, counts: dict[Role, int], seconds: float) -> list[Scene]:
    """The scenes of every role, spread evenly, so that a gathering that is cut short has some of each."""
    placed = [
        ((n + 0.5) / count, scene)
        for role, count in counts.items()
        for n, scene in enumerate(draw_scenes(faces, role, count, seconds))
    ]
    return [scene for _, scene in sorted(placed, key=lambda item: item[0])]


def _work(task: tuple[Scene, Path, Recorder]) -> tuple[str, str | None]:
    """The scene's name, and why there is no recording (None: there is)."""
    cv2.setNumThreads(1)
    scene, folder, recorder = task
    try:
        recorder(scene, folder)
    except SourceError as error:
        return scene.key(), str(error)
    return scene.key(), None


def gather(scenes: Sequence[Scene], folder: Path, artifact: Path | None, jobs: int) -> dict[str, str]:
    """Makes the recordings that are missing; returns those that could not be made, and why."""
    return gather_with(partial(record, artifact=artifact), scenes, folder, jobs)


def gather_with(recorder: Recorder, scenes: Sequence[Scene], folder: Path, jobs: int) -> dict[str, str]:
    """`gather` by a ``recorder`` that other processes can be given: a function of a module."""
    missing = [(s, folder, recorder) for s in scenes if not (folder / f"{s.key()}.npz").is_file()]
    refused: dict[str, str] = {}
    if not missing:
        return refused
    start = time.monotonic()
    # Not ProcessPoolExecutor: with max_tasks_per_child it does not replace its workers on Python 3.11.
    with multiprocessing.get_context("spawn").Pool(
        max(1, min(jobs, len(missing))), maxtasksperchild=20
    ) as pool:
        for done, (name, why) in enumerate(pool.imap_unordered(_work, missing), 1):
            if why is not None:
                refused[name] = why
                print(why, file=sys.stderr)
            print(f"[{done}/{len(missing)}] {time.monotonic() - start:6.0f} s  {name}", flush=True)
    return refused


def read_all(read: Callable[[Scene], R], scenes: Sequence[Scene], jobs: int) -> list[R]:
    """What ``read``, which other processes can be given, finds in each of the scenes, as they get done."""
    reads = []
    with ExitStack() as held:
        found: Iterable[R] = map(read, scenes)
        if jobs > 1:
            pool = held.enter_context(multiprocessing.get_context("spawn").Pool(jobs))
            found = pool.imap_unordered(read, scenes)
        for done, one in enumerate(found, 1):
            reads.append(one)
            print(f"[{done}/{len(scenes)}] {one.identity}", flush=True)
    return reads
