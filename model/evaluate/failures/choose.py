"""Which clips are shown: the worst by error to the target, by coherence with the true pulse, by the notch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.evaluate.aggregate import ATTACKERS, SEVEN, error

EDITOR = "artifact"
Result = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A clip and why it is shown, in words with its figure."""

    name: str
    why: tuple[str, ...]


def mean_error(result: Result) -> float:
    """bpm from the target, mean of the seven estimators."""
    figures = result["editors"][EDITOR]
    return float(np.mean([error(figures, name) for name in SEVEN]))


def _leak(result: Result) -> float | None:
    found: float | None = result["editors"][EDITOR].get("coherence", {}).get("face_mean")
    return found


def _found(result: Result) -> float | None:
    """How many attackers read the true rate after the notch; the coherence breaks ties."""
    count = result["editors"][EDITOR].get("hits")
    return None if count is None else count + 0.5 * (_leak(result) or 0.0)


def choose(results: Sequence[Result], count: int) -> list[Case]:
    """The ``count`` worst clips of each kind, worst first; a clip that is bad in two ways is shown once."""
    known = [result for result in results if EDITOR in result["editors"]]
    kinds: tuple[tuple[Callable[[Result], float | None], Callable[[Result], str]], ...] = (
        (mean_error, lambda r: f"error to the target {mean_error(r):.1f} bpm, mean of seven estimators"),
        (_leak, lambda r: f"coherence with the true pulse {_leak(r):.2f}"),
        (
            _found,
            lambda r: (
                f"{r['editors'][EDITOR]['hits']} of {len(ATTACKERS)} read the true rate after the notch"
            ),
        ),
    )
    why: dict[str, list[str]] = {}
    for get, say in kinds:
        ranked = sorted(
            ((value, result) for result in known if (value := get(result)) is not None),
            key=lambda pair: -pair[0],
        )
        for value, result in ranked[:count]:
            if value > 0:
                why.setdefault(result["name"], []).append(say(result))
    return [Case(name, tuple(said)) for name, said in why.items()]
