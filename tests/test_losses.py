"""The exact-label terms and the paper's losses: zero at the truth, and larger where they should be."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.losses import (
    LossWeights,
    cost_loss,
    curriculum,
    exact_loss,
    fidelity_loss,
    frequency_loss,
    mean_colour,
    outside_loss,
    rate_spectrum,
    skin_loss,
    smooth_loss,
    waveform_loss,
)
from tests.training import FPS, beats, make_labels


@given(under=st.floats(0.0, 4.0), size=st.floats(0.001, 0.02))
@settings(max_examples=15, deadline=None)
def test_exact_loss_is_zero_at_the_label_only(under: float, size: float) -> None:
    labels = make_labels(size)
    assert float(exact_loss(labels.target(), labels, under)) == pytest.approx(0.0, abs=1e-9)
    assert float(exact_loss(labels.target() + 1e-3, labels, under)) >= (1e-3 / 0.005) ** 2 * 0.999


def test_exact_label_restores_the_pulse_free_picture() -> None:
    labels = make_labels(0.01)
    free = labels.observed / (1.0 + labels.pulse)
    torch.testing.assert_close(labels.observed * (1.0 + labels.target()), free, rtol=1e-6, atol=1e-7)


def test_leaving_pulse_costs_more_than_taking_too_much() -> None:
    labels = make_labels(0.005)
    short, long = (
        exact_loss(0.7 * labels.target(), labels, 1.0),
        exact_loss(1.3 * labels.target(), labels, 1.0),
    )
    even_short = exact_loss(0.7 * labels.target(), labels, 0.0)
    assert float(short) > 1.8 * float(long)
    assert float(short) == pytest.approx(2.0 * float(even_short), rel=0.06)


def test_beyond_the_knee_an_error_counts_linearly() -> None:
    labels = make_labels(0.0)
    small, large, larger = (
        float(exact_loss(torch.full_like(labels.observed, size), labels, knee=1.0))
        for size in (5e-4, 0.05, 0.1)
    )
    assert small == pytest.approx(0.01, rel=0.02)
    assert larger / large == pytest.approx(2.0, rel=0.1)


def test_errors_off_the_skin_do_not_count_as_label_errors_but_as_edits_outside() -> None:
    labels = make_labels(0.005)
    edit = labels.target() + 0.01 * (1.0 - labels.skin)
    assert float(exact_loss(edit, labels)) == pytest.approx(0.0, abs=1e-9)
    assert float(outside_loss(edit, labels)) > 0.5
    assert float(outside_loss(labels.target() * labels.skin, labels)) == 0.0


def test_skin_loss_prefers_the_true_map() -> None:
    labels = make_labels(0.005)
    right = (labels.skin * 2.0 - 1.0) * 6.0
    assert float(skin_loss(right, labels)) < 0.01 < 0.5 < float(skin_loss(torch.zeros_like(right), labels))


def test_cost_is_the_mean_edit_in_grey_levels() -> None:
    labels = make_labels(0.005)
    edit = torch.full_like(labels.observed, -0.01)
    expected = 2.55 * float((labels.observed * labels.skin).sum() / labels.skin.sum() / 3.0)
    assert float(cost_loss(edit, labels)) == pytest.approx(expected, rel=1e-4)


def test_smooth_loss_ignores_a_ramp_and_punishes_flicker() -> None:
    frames = torch.arange(32.0)[None, :, None, None, None]
    ramp = (1e-4 * frames).expand(1, 32, 3, 2, 2)
    flicker = (1e-3 * torch.cos(math.pi * frames)).expand(1, 32, 3, 2, 2)
    assert float(smooth_loss(ramp)) < 1e-6
    assert float(smooth_loss(flicker)) == pytest.approx(16 * (1e-3 / 0.005) ** 2, rel=1e-3)


def test_mean_colour_weighs_skin_only() -> None:
    labels = make_labels(0.0)
    picture = torch.where(labels.skin > 0, 0.25, 1.0).expand_as(labels.observed)
    torch.testing.assert_close(mean_colour(picture, labels.skin), torch.full((1, 96, 3), 0.25))


@given(gain=st.floats(0.01, 100.0), offset=st.floats(-5.0, 5.0))
@settings(max_examples=15, deadline=None)
def test_waveform_loss_ignores_gain_and_offset(gain: float, offset: float) -> None:
    wave = beats(70.0)
    assert float(waveform_loss(gain * wave + offset, wave)) == pytest.approx(0.0, abs=1e-3)
    assert float(waveform_loss(-gain * wave + offset, wave)) == pytest.approx(2.0, abs=1e-3)


def test_waveform_loss_of_unrelated_waves_is_one_and_a_flat_wave_has_a_gradient() -> None:
    assert float(waveform_loss(beats(60.0), beats(120.0))) == pytest.approx(1.0, abs=0.05)
    flat = torch.zeros(1, 300, requires_grad=True)
    waveform_loss(flat, beats(60.0)).backward()
    assert flat.grad is not None
    assert bool(torch.isfinite(flat.grad).all())


@pytest.mark.parametrize("bpm", [45.0, 72.0, 110.0, 175.0])
def test_frequency_loss_is_least_at_the_wave_s_own_rate(bpm: float) -> None:
    grid = torch.arange(40.0, 181.0)
    assert float(grid[rate_spectrum(beats(bpm), FPS, grid).argmax()]) == pytest.approx(bpm, abs=2.0)
    own = float(frequency_loss(beats(bpm), torch.tensor([bpm]), FPS))
    others = [float(frequency_loss(beats(bpm), torch.tensor([bpm + d]), FPS)) for d in (-25.0, 30.0)]
    assert own < 0.5
    assert min(others) > own + 1.0


def test_curriculum_is_the_paper_s() -> None:
    weights = LossWeights()
    assert [curriculum(epoch, weights) for epoch in (0, 9.9, 10)] == [0.0, 0.0, 0.0]
    assert curriculum(30, weights) == pytest.approx(0.1)


def test_fidelity_is_mean_square() -> None:
    first: Tensor = torch.zeros(2, 3, 4, 4)
    assert float(fidelity_loss(first, first + 0.5)) == pytest.approx(0.25)
