"""Clips over processes: a task a clip."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model.evaluate.real import RealSpec, open_real
from model.evaluate.run import evaluate_clip
from model.evaluate.synthetic import SyntheticSpec, open_synthetic
from streamfilter.errors import SourceError

Spec = SyntheticSpec | RealSpec


@dataclass(frozen=True)
class Task:
    """One clip for one process. ``direction``: the wanted pulse's relative amplitude in R, G, B."""

    spec: Spec
    editors: tuple[str, ...]
    artifact: Path | None
    direction: tuple[float, float, float]
    cache: Path
    engine: str
    codecs: bool


def work(task: Task) -> dict[str, Any]:
    """The figures of one clip; or its name as "skipped" or "failed", and why.

    Skipped is a clip that shows too little to be read; anything else that goes wrong is a fault of ours.
    """
    try:
        return _figures(task)
    except SourceError as error:
        return {"skipped": task.spec.name, "why": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever it is, the other clips' hour must not be lost
        traceback.print_exc()
        return {"failed": task.spec.name, "why": f"{type(error).__name__}: {error}"}


def _figures(task: Task) -> dict[str, Any]:
    spec = task.spec
    clip = (
        open_synthetic(spec, task.cache) if isinstance(spec, SyntheticSpec) else open_real(spec, task.cache)
    )
    clip = replace(clip, codecs=clip.codecs and task.codecs)
    return evaluate_clip(
        clip, task.editors, task.artifact, task.direction, task.cache / "traces", task.engine
    )


def sorted_out(
    finished: Iterable[dict[str, Any]], total: int
) -> tuple[list[dict[str, Any]], dict[str, dict[str, str]]]:
    """The figures of ``finished`` clips, and why others were "skipped" or "failed", by name; says each as it
    comes."""
    start = time.monotonic()
    results: list[dict[str, Any]] = []
    without: dict[str, dict[str, str]] = {"skipped": {}, "failed": {}}
    for done, result in enumerate(finished, 1):
        kind = next((key for key in without if key in result), None)
        if kind is None:
            results.append(result)
            said = result["name"]
        else:
            without[kind][result[kind]] = result["why"]
            said = f"{result[kind]}: {kind}, {result['why']}"
        print(f"[{done}/{total}] {time.monotonic() - start:6.0f} s  {said}", flush=True)
    return results, without


def run_all(tasks: Sequence[Task], jobs: int) -> Iterator[dict[str, Any]]:
    """The results as they come; one process of its own a clip at a time, ``jobs`` of them."""
    if jobs <= 1:
        yield from map(work, tasks)
        return
    # Not ProcessPoolExecutor: with max_tasks_per_child it does not replace its workers on Python 3.11.
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=8) as pool:
        yield from pool.imap_unordered(work, tasks)
