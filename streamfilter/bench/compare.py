"""Two runs side by side, with a verdict that knows what noise is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from streamfilter.bench.machine import is_busy
from streamfilter.bench.results import Results
from streamfilter.bench.stats import spread

LEAST = 0.05  # relative: what two runs of the same program on the same machine differ by anyhow
_SPREADS = 2.0  # of the repeats, both runs' together


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a run and its repeats (empty: it has none). ``more_is_better``: else less is."""

    what: str
    value: float
    repeats: tuple[float, ...]
    unit: str
    more_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """``by`` is relative (0.1: a tenth more), ``noise`` what it has to exceed to count."""

    what: str
    old: float
    new: float
    unit: str
    by: float
    noise: float
    verdict: str


def compare(old: Results, new: Results) -> list[Change]:
    """Every figure that both runs have."""
    former = {figure.what: figure for figure in figures(old)}
    return [_change(former[figure.what], figure) for figure in figures(new) if figure.what in former]


def differences(old: Results, new: Results) -> list[str]:
    """What keeps the two from being compared: another machine, other footage, a busy machine, gaps."""
    pairs = (
        ("processor", old.machine.cpu, new.machine.cpu),
        ("processors", old.machine.cpus, new.machine.cpus),
        ("GPU", old.machine.gpu, new.machine.gpu),
        ("footage", old.footage, new.footage),
        ("camera's format", old.camera, new.camera),
        ("threads", old.threads, new.threads),
    )
    said = [f"{what}: {before} then, {after} now" for what, before, after in pairs if before != after]
    for when, one in (("then", old), ("now", new)):
        if is_busy(one.machine):
            said.append(f"the machine was busy {when} (load {one.machine.load:g} at the start)")
    names = [{figure.what for figure in figures(one)} for one in (old, new)]
    for when, only in (("then", names[0] - names[1]), ("now", names[1] - names[0])):
        if only:
            said.append(f"measured {when} only: {'; '.join(sorted(only))}")
    return said


def figures(results: Results) -> Iterator[Figure]:
    """All figures of a run, named so that those of two runs meet."""
    for one in results.frames:
        took = one.outcome.filter
        what = f"filter, {one.name}, {one.size}, {one.faces} face{'s' * (one.faces > 1)}"
        if one.kind == "engine":
            yield Figure(what, took.p50, took.blocks, "ms")
            whole = one.outcome.whole
            yield Figure(what.replace("filter", "camera to output", 1), whole.p50, whole.blocks, "ms")
            worked = one.outcome.cpu
            yield Figure(what.replace("filter", "processor time", 1), worked.mean, worked.blocks, "ms")
        else:
            yield Figure(what.replace("filter", "rival", 1), took.p50, took.blocks, "ms")
    for step in results.steps:
        yield Figure(f"step, {step.name}", step.took.p50, step.took.blocks, "ms")
    for start in results.starts:
        runs = start.start.first_frame
        middle = sorted(runs)[len(runs) // 2]
        yield Figure(f"start to first frame, {start.name}, {start.size}", middle, runs, "s")
        if start.start.resident_mb is not None:
            yield Figure(f"memory, {start.name}, {start.size}", start.start.resident_mb, (), "MB")
    for served in results.streams:
        what = f"streams, {served.what}, {served.how}, {served.name}, {served.size}"
        yield Figure(what, served.streams, (), "", more_is_better=True)
    for taken in results.allocations:
        yield Figure(f"allocations a frame, {taken.name}, {taken.size}", taken.per_frame, (), "")


def verdict_of(by: float, noise: float, more_is_better: bool) -> str:
    """``better``, ``worse``, or ``same``: within the noise."""
    if abs(by) <= noise:
        return "same"
    return "better" if (by > 0) == more_is_better else "worse"


def as_text(changes: Sequence[Change], cautions: Sequence[str]) -> str:
    """A table for the terminal, the cautions before it, the count of verdicts after it."""
    lines = [f"caution: {caution}" for caution in cautions]
    wide = max([len(change.what) for change in changes], default=0)
    for change in changes:
        values = f"{change.old:9.2f} -> {change.new:9.2f} {change.unit:2}"
        by = "   new" if math.isinf(change.by) else f"{100 * change.by:+6.1f} %"
        lines.append(
            f"{change.what:<{wide}}  {values}  {by} (noise {100 * change.noise:.0f} %)  {change.verdict}"
        )
    if not changes:
        return "\n".join([*lines, "The two runs have no figure in common."])
    count = {word: sum(change.verdict == word for change in changes) for word in ("better", "worse", "same")}
    lines.append(f"{count['better']} better, {count['worse']} worse, {count['same']} within the noise")
    return "\n".join(lines)


def _change(old: Figure, new: Figure) -> Change:
    grown = math.inf if new.value else 0.0
    by = new.value / old.value - 1.0 if old.value else grown
    noise = max(LEAST, _SPREADS * math.hypot(spread(old.repeats), spread(new.repeats)))
    verdict = verdict_of(by, noise, new.more_is_better)
    return Change(new.what, old.value, new.value, new.unit, by, round(noise, 4), verdict)
