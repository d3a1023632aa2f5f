"""The strength of the pulse that the reference network shows: what the paper's losses cannot tell."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from model.conditioning import wanted_wave
from model.objective import Batch
from model.reference.objective import objective, steady_phase
from model.reference.settings import ReferenceSettings, StrengthSettings, from_table, load_settings
from model.reference.strength import FLOOR, band_rms, strength_loss, wanted_colour
from model.wanted import Wanted
from streamfilter.errors import UsageError
from tests.training import FPS, beats, make_labels, make_pulse

SETTINGS = Path(__file__).resolve().parent.parent / "model" / "settings"
FRAMES = 128
PULSE = (0.001, 0.006, 0.0026)


def skin_colour(amplitude: Tensor | float, bpm: float = 90.0, start: float = 0.0) -> Tensor:
    """An even colour whose R, G, B pulse by ``amplitude``: (1, FRAMES, 3)."""
    wave = beats(bpm, FRAMES, start).double()[..., None]
    return torch.tensor([0.7, 0.5, 0.4], dtype=torch.float64) * (1.0 + amplitude * wave)


def wish(bpm: float = 90.0) -> Wanted:
    phase = steady_phase(torch.arange(FRAMES)[None] / FPS, bpm)
    one = torch.ones(1, FRAMES, 1)
    return Wanted(one[:, 0], phase, one, one, torch.tensor([bpm]), wanted_wave(phase)[..., 0])


def scene() -> Batch:
    """A face of 24 × 24 with a true pulse of 72 bpm, on a grid of 6 × 6."""
    labels = make_labels(0.005, frames=FRAMES)
    crop = functional.interpolate(labels.observed[0], scale_factor=4.0)[None]
    return Batch(crop, labels, make_pulse(frames=FRAMES), torch.full((1, FRAMES, 1), 1.0 / FPS))


def showing(batch: Batch, wave: Tensor, times: float) -> Tensor:
    """The pulse-free picture with ``times`` the wanted pulse, requiring a gradient of nothing."""
    pulse = times * torch.tensor(PULSE) * wave[..., None]
    free = batch.crop / (1.0 + functional.interpolate(batch.labels.pulse[0], scale_factor=4.0)[None])
    return free * (1.0 + pulse[..., None, None])


def test_rms_is_that_of_the_band_only() -> None:
    for amplitude in (0.003, 0.05):
        found = band_rms(skin_colour(amplitude), FPS)
        torch.testing.assert_close(found, torch.full_like(found, amplitude / math.sqrt(2)), rtol=0.02, atol=0)
    assert float(band_rms(skin_colour(0.02, bpm=420.0), FPS).max()) < 2 * FLOOR
    steady = band_rms(skin_colour(0.0), FPS)
    torch.testing.assert_close(steady, torch.full_like(steady, FLOOR))


def test_loss_tells_strength_and_nothing_else() -> None:
    aim = skin_colour(0.006)
    assert float(strength_loss(skin_colour(0.006, start=2.0), aim, FPS)) < 1e-3  # another phase
    assert float(strength_loss(skin_colour(0.006, bpm=132.0), aim, FPS)) < 1e-3  # another rate
    for factor in (20.0, 2.0, 0.5):
        found = float(strength_loss(skin_colour(0.006 * factor), aim, FPS))
        assert found == pytest.approx(math.log(factor) ** 2, rel=0.05)
    one_colour = skin_colour(torch.tensor([0.006, 0.012, 0.006], dtype=torch.float64))
    assert float(strength_loss(one_colour, aim, FPS)) == pytest.approx(math.log(2) ** 2 / 3, rel=0.05)


@pytest.mark.parametrize("factor", [20.0, 1.5, 0.6, 0.0])
def test_gradient_leads_to_the_wanted_strength(factor: float) -> None:
    amplitude = torch.tensor([0.006 * factor], dtype=torch.float64, requires_grad=True)

    def loss(value: Tensor) -> Tensor:
        return strength_loss(skin_colour(value), skin_colour(0.006), FPS)

    assert torch.autograd.gradcheck(loss, (amplitude,), eps=1e-7, rtol=1e-3)
    if factor == 0.0:  # nothing there has no direction; a finite gradient is all that is asked
        return
    optimiser = torch.optim.Adam([amplitude], lr=1e-3)
    for _ in range(200):
        optimiser.zero_grad()
        loss(amplitude).backward()
        optimiser.step()
    assert abs(float(amplitude.detach())) == pytest.approx(0.006, rel=0.02)


def test_aim_is_the_exact_label() -> None:
    batch, wanted = scene(), wish()
    aim = wanted_colour(batch.labels, wanted.wave, PULSE)
    free = torch.tensor([0.7, 0.5, 0.4])
    torch.testing.assert_close(aim, free * (1.0 + wanted.wave[..., None] * torch.tensor(PULSE)))


def test_objective_without_weight_is_the_papers_and_with_it_tells_blinking() -> None:
    batch, wanted = scene(), wish()
    paper = ReferenceSettings()
    ours = replace(paper, strength=StrengthSettings(weight=0.2, pulse=PULSE))
    right, blinking = (showing(batch, wanted.wave, times) for times in (1.0, 20.0))
    seen = {
        (name, shown): objective(output, batch, wanted, settings, 0.0, None)
        for name, settings in (("paper", paper), ("ours", ours))
        for shown, output in (("right", right), ("blinking", blinking))
    }
    assert "strength" not in seen["paper", "right"]
    waveform = {shown: float(seen["paper", shown]["waveform"]) for shown in ("right", "blinking")}
    assert waveform["blinking"] == pytest.approx(waveform["right"], abs=0.02)  # the paper's term cannot tell
    assert float(seen["ours", "right"]["strength"]) < 0.01
    assert float(seen["ours", "blinking"]["strength"]) == pytest.approx(math.log(20) ** 2, rel=0.1)
    for shown in ("right", "blinking"):
        terms = seen["ours", shown]
        torch.testing.assert_close(terms["total"], seen["paper", shown]["total"] + 0.2 * terms["strength"])


def test_only_the_compact_settings_switch_it_on() -> None:
    for name in ("wan", "cogvideox", "hunyuan"):
        assert load_settings(SETTINGS / f"reference-{name}.toml").strength.weight == 0.0
    assert load_settings(SETTINGS / "reference-compact.toml").strength.weight > 0.0
    for table in (
        {"weight": -1.0},
        {"pulse": [0.0, 0.006, 0.002]},
        {"pulse": [0.006]},
        {"pulse": [0.1, 0.2, 6.0]},
    ):
        with pytest.raises(UsageError, match="strength"):
            from_table({"strength": table})
