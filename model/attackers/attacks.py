"""The attackers that compute: notch, and inverse. Each on the same clips, beside itself where no pulse is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.attackers.inverse import FLOORS, band_stopped, identified_response, invert, known_response
from model.attackers.layout import Recording
from model.attackers.reading import Tally, can_be_found, rates_of
from model.attackers.scenes import FPS
from streamfilter.clock import PulseClock, wanted_wave
from streamfilter.rppg.heart_rate import notch_out

Array64 = npt.NDArray[np.float64]
Complexes = npt.NDArray[np.complex128]


def shown_over(trace: Array64, target: float, direction: Sequence[float], seed: int) -> Array64:
    """R, G, B (T, 3) with the wanted pulse on top of all that is there: an editor that only misleads."""
    clock = PulseClock(np.random.default_rng(seed))
    state, wave = clock.start(target), []
    for index in range(len(trace)):
        phase, state = clock.advance(state, index / FPS, target)
        wave.append(wanted_wave(phase))
    return np.asarray(trace * (1.0 + np.outer(wave, direction)))


def notch(tests: Sequence[Recording], direction: Sequence[float]) -> dict[str, Any]:
    """(a) The shown rate and its multiples removed, the rest read.

    ``control``: the same attack on an editor that shows the wanted pulse and removes nothing.
    """
    filtered, control = Tally(), Tally()
    for number, one in enumerate(tests):
        target = one.targets[0]
        if not can_be_found(one, (target,)):
            continue
        out, out_free = (rates_of(one.versions[name].face, FPS, (target,)) for name in ("out", "out_free"))
        filtered.add(one, out, out_free)
        shown, shown_free = (
            rates_of(shown_over(one.versions[name].face, target, direction, number), FPS, (target,))
            for name in ("raw", "free")
        )
        control.add(one, shown, shown_free)
    return {"filtered": filtered.figures(), "control": control.figures()}


def inverse(
    tests: Sequence[Recording], training: Sequence[Recording], direction: Sequence[float]
) -> dict[str, Any]:
    """(b) The filter's linear part undone, then read beside the shown rate.

    ``known``: by the front-end's published response; ``identified``: by that found from the training
    scenes' inputs and outputs. ``control``: the front-end alone, nothing shown, undone by its response;
    ``control, shown``: the same with the wanted pulse on top, whose variability reaches past the notch.
    """
    response = known_response(FPS)
    pairs = [(_log_green(one, "raw"), _log_green(one, "out")) for one in training]
    ways = {"known": response}
    if pairs:
        ways["identified"] = identified_response(pairs, FPS, [one.targets[0] for one in training])
    tallies = {name: Tally() for name in (*ways, "control", "control, shown")}
    for number, one in enumerate(tests):
        targets = one.targets[:1]
        if not can_be_found(one, targets):
            continue
        for name, way in ways.items():
            out, out_free = (_undone(one.versions[v].face, targets, way) for v in ("out", "out_free"))
            tallies[name].add(one, out, out_free)
        stopped = [band_stopped(one.versions[v].face, FPS) for v in ("raw", "free")]
        tallies["control"].add(one, *(_undone(trace, (), response) for trace in stopped))
        shown = [shown_over(trace, targets[0], direction, number) for trace in stopped]
        tallies["control, shown"].add(one, *(_undone(trace, targets, response) for trace in shown))
    figures: dict[str, Any] = {name: tally.figures() for name, tally in tallies.items()}
    figures["response"] = {name: _curve(*ways[name]) for name in ways}
    return figures


def _undone(trace: Array64, targets: Sequence[float], way: tuple[Array64, Complexes]) -> dict[str, float]:
    """What is read from a trace with the response ``way`` undone, at each floor.

    The shown rates go before, while they are of their own size, and what the inverse makes of them after.
    """
    clean = np.log(np.maximum(trace, 1e-4))
    level = clean.mean(axis=0)
    for target in targets:
        clean = np.stack([notch_out(column, FPS, target) for column in clean.T], axis=1)
    clean = np.exp(clean - clean.mean(axis=0) + level)
    return {
        f"{name}, floor {floor:g}": rate
        for floor in FLOORS
        for name, rate in rates_of(invert(clean, FPS, *way, floor), FPS, targets).items()
    }


def _log_green(one: Recording, version: str) -> Array64:
    return np.asarray(np.log(one.versions[version].face[:, 1]))


def _curve(freq: Array64, values: npt.NDArray[np.complex128]) -> dict[str, float]:
    """The response's magnitude at some rates, for the report."""
    rates = (30, 50, 60, 75, 90, 110, 150)
    return {f"{rate}": round(float(np.interp(rate / 60.0, freq, np.abs(values))), 3) for rate in rates}
