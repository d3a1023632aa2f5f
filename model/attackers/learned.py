"""(d) Attackers that learned: from pairs of filtered video and true pulse to the true rate of our output.

Judged on faces that none of them saw: the identities are dealt into folds, and each fold is answered by
attackers trained on the others. Beside each stands the same attacker trained and tried on the unfiltered
clips, which has to do well for the figure to mean anything, and the constant answers: the training clips'
mean and median. The networks are first taught on unfiltered clips what a pulse looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import HistGradientBoostingRegressor

from model.attackers.chance import bootstrap, by_unit
from model.attackers.features import band_traces, spectra
from model.attackers.layout import Recording
from model.attackers.nets import Fit, SpectrumNet, WaveNet, answer, train
from model.attackers.reading import rates_of
from model.attackers.scenes import FPS

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]

MARGIN = 0.05  # the bar: not better than the mean's error by more than this share of it
RIDGE = 300.0  # penalty on spectra of about unit mean; strong, as there are more numbers than clips
_TUNED = 0.5  # of the steps are spent on the filtered clips, after as many as ever on unfiltered ones


@dataclass(frozen=True)
class Given:
    """N clips as the attackers see them: traces (N, T, 81, 3), spectra (N, C, F), classical readings (N, K),
    true rates (N,), and whose they are."""

    traces: Array32
    spectra: Array32
    readings: Array32
    rates: Array64
    subjects: npt.NDArray[np.str_]

    def part(self, chosen: npt.NDArray[np.bool_]) -> Given:
        return Given(*(table[chosen] for table in vars(self).values()))


def given(recordings: Sequence[Recording], version: str) -> Given:
    """The clips in this version; the shown rate is notched out of filtered ones, as who is shown it can."""
    tables: dict[str, list[Any]] = {"traces": [], "spectra": [], "readings": []}
    for one in recordings:
        targets = (one.targets[0],) if version.startswith("out") else ()
        traces = band_traces(one.versions[version], targets)
        tables["traces"].append(traces)
        tables["spectra"].append(spectra(traces))
        rates = np.array(list(rates_of(one.versions[version].face, FPS, targets).values()))
        tables["readings"].append(np.where(np.isfinite(rates), rates, 75.0).astype(np.float32))
    return Given(
        traces=np.stack(tables["traces"]),
        spectra=np.stack(tables["spectra"]),
        readings=np.stack(tables["readings"]),
        rates=np.array([one.true_bpm for one in recordings]),
        subjects=np.array([one.identity for one in recordings]),
    )


Attacker = Callable[[Given, Given, Given | None, Fit], Array64]


def by_wave_net(taught: Given, tried: Given, unfiltered: Given | None, fit: Fit) -> Array64:
    """Answers (N,) of a `WaveNet`; ``unfiltered``: what it is first taught on."""
    torch.manual_seed(fit.seed)
    net = WaveNet(taught.traces.shape[1])
    if unfiltered is not None:
        train(net, unfiltered.traces, unfiltered.rates, fit, stretch=True)
        fit = replace(fit, steps=max(2, round(_TUNED * fit.steps)), rate=fit.rate / 2)
    train(net, taught.traces, taught.rates, fit, stretch=True)
    return answer(net, tried.traces)


def by_spectrum_net(taught: Given, tried: Given, unfiltered: Given | None, fit: Fit) -> Array64:
    """Answers (N,) of a `SpectrumNet`."""
    torch.manual_seed(fit.seed)
    net = SpectrumNet(taught.spectra.shape[1])
    if unfiltered is not None:
        train(net, unfiltered.spectra, unfiltered.rates, fit, stretch=False)
        fit = replace(fit, steps=max(2, round(_TUNED * fit.steps)))
    train(net, taught.spectra, taught.rates, fit, stretch=False)
    return answer(net, tried.spectra)


def by_ridge(taught: Given, tried: Given, unfiltered: Given | None, fit: Fit) -> Array64:
    """Answers (N,) of ridge regression on the spectra, in its dual form."""
    flat, other = (x.spectra.reshape(len(x.spectra), -1).astype(np.float64) for x in (taught, tried))
    centre, mean = flat.mean(axis=0), float(taught.rates.mean())
    flat, other = flat - centre, other - centre
    weights = np.linalg.solve(flat @ flat.T + RIDGE * np.eye(len(flat)), taught.rates - mean)
    return np.asarray(mean + other @ (flat.T @ weights))


def by_boosting(taught: Given, tried: Given, unfiltered: Given | None, fit: Fit) -> Array64:
    """Answers (N,) of gradient-boosted trees on classical readings and coarse spectra."""
    tables = [
        np.concatenate([x.readings, x.spectra[:, :3].reshape(len(x.rates), -1, 5).mean(axis=2)], axis=1)
        for x in (taught, tried)
    ]
    trees = HistGradientBoostingRegressor(
        loss="absolute_error",
        max_iter=80,
        learning_rate=0.06,
        max_depth=3,
        min_samples_leaf=5,
        random_state=fit.seed,
    )
    trees.fit(tables[0], taught.rates)
    return np.asarray(trees.predict(tables[1]), np.float64)


ATTACKERS: Mapping[str, tuple[Attacker, bool]] = {  # by name; whether seeds make a difference
    "network on traces": (by_wave_net, True),
    "network on spectra": (by_spectrum_net, True),
    "ridge on spectra": (by_ridge, False),
    "boosted trees": (by_boosting, False),
}


def folds_of(subjects: Sequence[str], folds: int) -> npt.NDArray[np.intp]:
    """The fold (N,) of each clip: all clips of one subject in one, the folds about equally large."""
    names = sorted(set(subjects))
    order = np.random.default_rng(5).permutation(len(names))
    place = {names[k]: n % folds for n, k in enumerate(order)}
    return np.array([place[name] for name in subjects])


def learned(recordings: Sequence[Recording], folds: int, seeds: int, fit: Fit) -> dict[str, Any]:
    """Errors (bpm) of all attackers and constants on filtered and unfiltered clips, by unseen faces."""
    kinds = {"filtered": given(recordings, "out"), "unfiltered": given(recordings, "raw")}
    fold = folds_of(list(kinds["filtered"].subjects), folds)
    figures: dict[str, Any] = {"clips": len(recordings), "subjects": len(set(kinds["filtered"].subjects))}
    for kind, clips in kinds.items():
        answers: dict[str, list[Array64]] = {"mean": [np.zeros(len(fold))], "median": [np.zeros(len(fold))]}
        answers |= {
            name: [np.zeros(len(fold)) for _ in range(seeds if many else 1)]
            for name, (_, many) in ATTACKERS.items()
        }
        for k in range(folds):
            taught, tried = clips.part(fold != k), clips.part(fold == k)
            first = kinds["unfiltered"].part(fold != k) if kind == "filtered" else None
            answers["mean"][0][fold == k] = taught.rates.mean()
            answers["median"][0][fold == k] = np.median(taught.rates)
            for name, (attacker, _) in ATTACKERS.items():
                for seed, row in enumerate(answers[name]):
                    row[fold == k] = attacker(taught, tried, first, replace(fit, seed=seed))
        figures[kind] = judged(clips, answers)
    return figures


def judged(clips: Given, answers: Mapping[str, Sequence[Array64]]) -> dict[str, Any]:
    """Mean absolute error of each, and the gain on the constants as a share of their error.

    The seeds' answers are averaged; the error of each seed is listed. ``met``: whether the gain on the mean
    is 5 % or less; ``sure`` whether the interval's upper end is.
    """
    constants = {name: np.abs(answers[name][0] - clips.rates) for name in ("mean", "median")}
    figures: dict[str, Any] = {}
    for name, rows in answers.items():
        error = np.abs(np.mean(rows, axis=0) - clips.rates)
        units = by_unit(list(clips.subjects), np.stack([error, *constants.values()], axis=1))
        entry: dict[str, Any] = {"error": bootstrap(units, lambda t: float(t[:, 0].mean())).table()}
        if name not in constants:
            for column, constant in enumerate(constants, 1):
                entry[f"gain on the {constant}"] = bootstrap(
                    units,
                    lambda t, c=column: float(1.0 - t[:, 0].mean() / t[:, c].mean()),  # type: ignore[misc]
                ).table()
            entry["seeds"] = [round(float(np.abs(row - clips.rates).mean()), 2) for row in rows]
            entry["within 3 bpm"] = round(float(np.mean(error <= 3.0)), 3)
            entry["met"] = entry["gain on the mean"]["value"] <= MARGIN
            entry["sure"] = entry["gain on the mean"]["high"] <= MARGIN
        figures[name] = entry
    return figures
