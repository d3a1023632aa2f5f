"""Things that are compared take turns, block by block, so that a noisy machine strikes all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamfilter.bench.stats import Summary, summary


@dataclass(frozen=True, slots=True)
class Taken:
    """One frame. Milliseconds: of each stage, of the ``filter``'s part and of the ``whole``; ``cpu`` is the
    processor's time for the filter's part.

    ``faces`` is how many were edited (None: the thing does not say).
    """

    stages: Mapping[str, float]
    filter: float
    whole: float
    cpu: float
    faces: int | None


class Contestant(Protocol):
    """Something that takes the frames of one footage, in order."""

    name: str
    kind: str

    def take(self, index: int) -> Taken:
        """Work on frame ``index``."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often is measured: ``blocks`` times ``frames`` frames, after ``warm_up`` frames."""

    blocks: int
    frames: int
    warm_up: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one contestant. ``faces``: the fewest that were edited in a frame."""

    filter: Summary
    whole: Summary
    stages: Mapping[str, Summary]
    cpu: Summary
    faces: int | None


def compete(
    contestants: Sequence[Contestant], rounds: Rounds, after_block: Callable[[str], None] = lambda _: None
) -> list[Outcome]:
    """Let all work on the same frames in turn; the one that begins changes from block to block."""
    taken: list[list[list[Taken]]] = [[] for _ in contestants]
    for contestant in contestants:
        for index in range(rounds.warm_up):
            contestant.take(index)
    for block in range(rounds.blocks):
        first = rounds.warm_up + block * rounds.frames
        for turn in range(len(contestants)):
            number = (block + turn) % len(contestants)
            one = contestants[number]
            taken[number].append([one.take(first + k) for k in range(rounds.frames)])
            after_block(one.name)
    return [_outcome(blocks) for blocks in taken]


def _outcome(blocks: Sequence[Sequence[Taken]]) -> Outcome:
    every = [one for block in blocks for one in block]
    faces = [one.faces for one in every if one.faces is not None]
    return Outcome(
        filter=summary([[one.filter for one in block] for block in blocks]),
        whole=summary([[one.whole for one in block] for block in blocks]),
        stages={
            stage: summary([[one.stages[stage] for one in block] for block in blocks])
            for stage in every[0].stages
        },
        cpu=summary([[one.cpu for one in block] for block in blocks]),
        faces=min(faces) if faces else None,
    )
