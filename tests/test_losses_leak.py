"""The residual leak: right in units, blind to gain and phase, and least where the pulse is gone."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.leak import (
    LeakSettings,
    Pulse,
    Reading,
    band_spectra,
    coherence,
    covered,
    leak_level,
    leak_loss,
    project,
    read,
    regions,
)
from tests.training import FPS, beats, make_labels, make_pulse

SETTINGS = LeakSettings(warmup=0)


def leak_of(removal: Tensor, size: float = 0.005, chosen: LeakSettings = SETTINGS) -> tuple[Tensor, Reading]:
    labels = make_labels(size, frames=240)
    edited = labels.observed * (1.0 + removal)
    free = labels.observed / (1.0 + labels.pulse)
    reading = read(edited, free, labels.skin, make_pulse(frames=240), chosen)
    return leak_loss(reading, chosen), reading


@given(
    bpm=st.floats(50.0, 170.0),
    amplitude=st.floats(1e-4, 1e-2),
    start=st.floats(0.0, 2 * math.pi),
    jitter=st.floats(0.0, 0.3),
)
@settings(max_examples=25, deadline=None)
def test_explained_power_is_that_of_the_sine_at_any_phase_and_with_uneven_times(
    bpm: float, amplitude: float, start: float, jitter: float
) -> None:
    generator = torch.Generator().manual_seed(1)
    time = (torch.arange(300) + jitter * (torch.rand(300, generator=generator) - 0.5))[None] / FPS
    angle = 2 * math.pi * bpm / 60.0 * time
    pulse = Pulse(torch.sin(angle), time, torch.tensor([bpm / 60.0]))
    spectra = band_spectra(amplitude * torch.sin(angle + start), pulse, SETTINGS)
    assert float(spectra.explained) == pytest.approx(amplitude**2 / 2, rel=0.15)
    assert float(spectra.explained) <= float(spectra.total) * 1.001


def test_another_rate_and_slow_drift_explain_almost_nothing() -> None:
    pulse = make_pulse(72.0, 300)
    drift = 0.05 * torch.linspace(0, 1, 300)[None]
    other = 0.005 * beats(120.0)
    explained = band_spectra(drift + other, pulse, SETTINGS).explained
    assert float(explained) < 0.01 * 0.005**2 / 2


def test_leak_falls_as_the_pulse_is_taken_out() -> None:
    target = make_labels(0.005, frames=240).target()
    losses = [float(leak_of(share * target)[0]) for share in (0.0, 0.5, 0.9, 1.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 2.0
    assert losses[-1] == pytest.approx(0.0, abs=1e-4)
    level = leak_level(leak_of(0.5 * target)[1], SETTINGS)
    assert float(level[0, 0]) == pytest.approx(0.0025 / math.sqrt(2), rel=0.2)


def test_patches_that_cancel_over_the_face_still_leak() -> None:
    labels = make_labels(0.005, frames=240)
    sign = torch.ones(6)
    sign[:3] = -1.0
    # Too much above, too little below: clean on average only.
    uneven = labels.target() * (1.0 + 0.5 * sign[:, None])
    level = leak_level(leak_of(uneven)[1], SETTINGS)
    assert float(level[0, 0]) < 1e-4
    assert float(level[0, 1:].max()) > 1e-3


def test_a_clip_without_pulse_or_skin_is_skipped() -> None:
    labels = make_labels(0.005, frames=240)
    free = labels.observed / (1.0 + labels.pulse)
    still = make_pulse(frames=240)._replace(rate=torch.zeros(1))
    flat = make_pulse(frames=240)._replace(wave=torch.zeros(1, 240))
    for pulse, skin in ((still, labels.skin), (flat, labels.skin), (make_pulse(frames=240), labels.skin * 0)):
        removal = torch.zeros_like(labels.observed, requires_grad=True)
        reading = read(labels.observed * (1.0 + removal), free, skin, pulse, SETTINGS)
        loss = leak_loss(reading, SETTINGS)
        loss.backward()
        assert float(loss.detach()) == 0.0
        assert removal.grad is not None
        assert bool(torch.isfinite(removal.grad).all())


def test_gradient_points_at_removal() -> None:
    target = make_labels(0.005, frames=240).target()
    share = torch.tensor(0.3, requires_grad=True)
    leak_of(share * target)[0].backward()
    assert share.grad is not None
    assert float(share.grad) < 0.0


def test_coherence_of_the_picture_is_one_before_and_small_after() -> None:
    chosen = LeakSettings(warmup=0, picture=True)
    target = make_labels(0.005, frames=240).target()
    before = coherence(leak_of(0.0 * target, chosen=chosen)[1], chosen)
    after = coherence(leak_of(target, chosen=chosen)[1], chosen)
    assert float(before[0, 0, 0]) > 0.9
    assert float(after.max()) < 0.01


def test_warmup_frames_do_not_count() -> None:
    labels = make_labels(0.005, frames=240)
    removal = labels.target()
    removal[:, :40] = 0.02
    assert float(leak_of(removal, chosen=LeakSettings(warmup=40))[0]) < 1e-4


@pytest.mark.parametrize("patches", [3, 4])
def test_patches_cover_the_face_once(patches: int) -> None:
    areas = regions(18, 18, patches)
    assert areas.shape == (1 + patches**2, 324)
    torch.testing.assert_close(areas[1:].sum(0), torch.ones(324))


def test_regions_with_little_skin_are_not_read() -> None:
    skin = torch.zeros(1, 5, 1, 6, 6)
    skin[..., :2, :2] = 1.0
    valid = covered(skin, regions(6, 6, 3), 0.25)
    assert valid[0].tolist() == [False, True] + [False] * 8
    skin[:, 2] = 0.0
    assert not bool(covered(skin, regions(6, 6, 3), 0.25).any())


def test_mixes_have_unit_length_so_that_one_level_serves_all() -> None:
    reference = torch.randn(2, 50, 4, 3, generator=torch.Generator().manual_seed(0)) * 0.01
    unit = torch.eye(3).expand(2, 4, 3, 3).transpose(1, 2)  # "time" runs over R, G, B
    rows = torch.stack([project(unit[:, i : i + 1], reference) for i in range(3)], dim=-1)[:, 0]
    torch.testing.assert_close((rows**2).sum(-1), torch.ones(2, 4, 4), rtol=5e-3, atol=5e-3)
    grey = project(torch.ones(2, 1, 4, 3), reference)
    torch.testing.assert_close(grey[..., 2], torch.zeros(2, 1, 4), rtol=0, atol=1e-5)
