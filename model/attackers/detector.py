"""(e) Edited or natural? By marks made by hand and by a network, on faces that neither saw.

Natural clips have real pulses and came through the same camera: ``raw`` as it left the camera, ``painted``
with its pulse written by the filter's own dither, so that the dither alone gives nothing away. Shown rates
are drawn as the true ones are, with natural variability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional

from model.attackers.chance import area, area_interval
from model.attackers.features import band_traces, edit_marks, spectra
from model.attackers.layout import Recording
from model.attackers.learned import folds_of

Array64 = npt.NDArray[np.float64]
Kinds = npt.NDArray[np.bool_]

BAR = 0.6
_STEPS = 150
_TOLD = 6  # marks that the report names


def detector(recordings: Sequence[Recording], folds: int, seeds: int) -> dict[str, Any]:
    """Areas under the curve, against ``raw`` and against ``painted`` clips, by detector; the best marks."""
    return {natural: against(recordings, "out", natural, folds, seeds) for natural in ("raw", "painted")}


def against(
    recordings: Sequence[Recording], out: str, natural: str, folds: int, seeds: int
) -> dict[str, Any]:
    """Areas under the curve of all detectors that tell versions ``out`` from ``natural``; the best marks."""
    clips = [(one, version) for one in recordings for version in (out, natural)]
    edited = np.array([version == out for _, version in clips])
    subjects = [one.identity for one, _ in clips]
    marks = [edit_marks(one.versions[version]) for one, version in clips]
    names = list(marks[0])
    table = np.array([list(row.values()) for row in marks])
    seen = np.stack([spectra(band_traces(one.versions[version], ())) for one, version in clips])
    fold = folds_of(subjects, folds)
    columns: Mapping[str, Kinds] = {
        "marks of pixels": np.array([name.startswith("pixel") for name in names]),
        "marks of the pulse": np.array([name.startswith("pulse") for name in names]),
    }
    scores = {
        name: np.zeros(len(clips)) for name in (*columns, "boosted trees on all marks", "network on spectra")
    }
    for k in range(folds):
        known, asked = fold != k, fold == k
        for name, chosen in columns.items():
            scores[name][asked] = _logistic(table[known][:, chosen], edited[known], table[asked][:, chosen])
        trees = HistGradientBoostingClassifier(max_iter=60, max_depth=3, min_samples_leaf=5, random_state=0)
        trees.fit(table[known], edited[known])
        scores["boosted trees on all marks"][asked] = trees.predict_proba(table[asked])[:, 1]
        scores["network on spectra"][asked] = np.mean(
            [_network(seen[known], edited[known], seen[asked], seed) for seed in range(seeds)], axis=0
        )
    figures: dict[str, Any] = {"clips": len(recordings), "subjects": len(set(subjects)), "detectors": {}}
    for name, values in scores.items():
        # A fold's own threshold means nothing to another fold: scores are ranked within each.
        ranked = np.zeros(len(values))
        for k in range(folds):
            ranked[fold == k] = _ranks(values[fold == k])
        interval = area_interval(subjects, ranked, edited)
        figures["detectors"][name] = interval.table() | {"met": interval.value <= BAR}
    each = {name: area(table[:, k], edited) for k, name in enumerate(names)}
    best = sorted(each, key=lambda name: -abs(each[name] - 0.5))[:_TOLD]
    figures["best marks"] = {name: round(each[name], 3) for name in best}
    return figures


def _ranks(values: Array64) -> Array64:
    return np.asarray((values[:, None] > values).mean(axis=1))


def _logistic(known: Array64, edited: Kinds, asked: Array64) -> Array64:
    mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-9
    line = LogisticRegression(C=0.3, max_iter=500).fit((known - mean) / spread, edited)
    return np.asarray(line.decision_function((asked - mean) / spread))


def _network(
    known: npt.NDArray[np.float32], edited: Kinds, asked: npt.NDArray[np.float32], seed: int
) -> Array64:
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv1d(known.shape[1], 12, 5, padding=2),
        nn.GELU(),
        nn.Dropout(0.2),
        nn.Conv1d(12, 12, 5, padding=2),
        nn.GELU(),
        nn.AdaptiveMaxPool1d(1),
        nn.Flatten(),
        nn.Linear(12, 1),
    )
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=3e-2)
    inputs, labels = torch.tensor(known), torch.tensor(edited, dtype=torch.float32)
    for _ in range(_STEPS):
        chosen = torch.randint(len(inputs), (24,))
        loss = functional.binary_cross_entropy_with_logits(net(inputs[chosen])[:, 0], labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    net.eval()
    with torch.no_grad():
        return np.asarray(net(torch.tensor(asked))[:, 0].numpy(), np.float64)
