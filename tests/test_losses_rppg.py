"""The differentiable estimators agree with the NumPy ones and carry gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from model import rppg
from streamfilter.rppg import estimators
from streamfilter.rppg.heart_rate import heart_rate
from tests.training import FPS, beats

PAIRS = [(rppg.green, estimators.green), (rppg.pos, estimators.pos), (rppg.chrom, estimators.chrom)]


def skin_trace(bpm: float, noise: float = 0.0) -> torch.Tensor:
    """Skin colour (1, 300, 3) with a pulse of 0.5 % in G, and brightness noise common to the colours."""
    wave = beats(bpm)[..., None] * torch.tensor([0.0022, 0.0052, 0.0036])
    common = noise * torch.randn(1, 300, 1, generator=torch.Generator().manual_seed(0))
    return torch.tensor([0.7, 0.5, 0.4]) * (1.0 + wave + common)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=["green", "pos", "chrom"])
@pytest.mark.parametrize("bpm", [50.0, 90.0, 160.0])
def test_reads_the_rate_that_the_numpy_estimator_reads(
    ours: Callable[..., torch.Tensor], theirs: Callable[..., np.ndarray], bpm: float
) -> None:
    trace = skin_trace(bpm)
    wave = ours(trace, FPS)
    assert wave.shape == (1, 300)
    assert heart_rate(wave[0].double().numpy(), FPS) == pytest.approx(bpm, abs=1.0)
    reference = theirs(trace[0].double().numpy(), FPS)
    inner = slice(60, -60)
    assert np.corrcoef(wave[0, inner].numpy(), reference[inner])[0, 1] > 0.95


def test_pos_and_chrom_drop_what_all_colours_share() -> None:
    trace = skin_trace(75.0, noise=0.02)
    for estimator in (rppg.pos, rppg.chrom):
        assert heart_rate(estimator(trace, FPS)[0].double().numpy(), FPS) == pytest.approx(75.0, abs=1.5)


@pytest.mark.parametrize("estimator", [rppg.green, rppg.pos, rppg.chrom])
def test_gradients_are_finite_even_on_a_still_trace(estimator: rppg.Estimator) -> None:
    for trace in (skin_trace(80.0), torch.full((2, 100, 3), 0.5)):
        leaf = trace.clone().requires_grad_()
        (estimator(leaf, FPS) ** 2).sum().backward()
        assert leaf.grad is not None
        assert bool(torch.isfinite(leaf.grad).all())


def test_clips_of_a_batch_do_not_mix() -> None:
    both = torch.cat([skin_trace(60.0), skin_trace(120.0)])
    for estimator in (rppg.green, rppg.pos, rppg.chrom):
        torch.testing.assert_close(estimator(both, FPS)[1:], estimator(both[1:], FPS))
