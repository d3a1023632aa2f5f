"""The paper's losses on the reference network's output (PhysioLatent, section 3.4), and the strength."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from model import losses
from model.conditioning import wanted_wave
from model.objective import Batch, pool_to
from model.perceptual import Lpips
from model.reference.settings import ReferenceSettings
from model.reference.strength import strength_loss, wanted_colour
from model.rppg import pos
from model.wanted import Wanted, draw_wanted


def objective(
    output: Tensor,
    batch: Batch,
    wanted: Wanted,
    settings: ReferenceSettings,
    epoch: float,
    lpips: Lpips | None,
) -> dict[str, Tensor]:
    """Unweighted terms and ``total``: fidelity to the input (MSE, and LPIPS where there is one), waveform
    (1 − Pearson of POS over the face's mean colour and the wanted wave) and frequency times beta(epoch).
    Where it has a weight, ``strength`` as well, which the paper does not have.

    ``output`` (B, T, 3, S, S), about 0..1.
    """
    weights, output = settings.loss, output.float()
    cells = pool_to(output, batch.labels.skin.shape[-1])
    fps = 1.0 / float(batch.dt.mean())
    colour = losses.mean_colour(cells, batch.labels.skin).clamp_min(1e-3)
    wave = pos(colour, fps)
    terms = {
        "fidelity": losses.fidelity_loss(output, batch.crop),
        "waveform": losses.waveform_loss(wave, wanted.wave),
        "frequency": losses.frequency_loss(wave, wanted.bpm, fps),
    }
    scale = {
        "fidelity": weights.fidelity,
        "waveform": weights.waveform,
        "frequency": weights.frequency * losses.curriculum(epoch, weights),
    }
    if settings.strength.weight > 0:
        aim = wanted_colour(batch.labels, wanted.wave, settings.strength.pulse)
        terms["strength"] = strength_loss(colour, aim, fps)
        scale["strength"] = settings.strength.weight
    if lpips is not None and weights.perceptual > 0:
        terms["perceptual"] = lpips(output.flatten(0, 1), batch.crop.flatten(0, 1))
        scale["perceptual"] = weights.perceptual
    total = sum((scale[name] * value for name, value in terms.items()), output.new_zeros(()))
    return {"total": total, **terms}


def draw_wishes(
    embedding: Tensor, bpm: Tensor, batch: Batch, settings: ReferenceSettings, generator: torch.Generator
) -> Wanted:
    """What the network is asked for. Without ``network.phase`` it cannot know a phase: the wanted beat is
    even and begins with the window."""
    wanted = draw_wanted(embedding, bpm, batch.dt, settings.condition, generator)
    if settings.network.phase:
        return wanted
    elapsed = batch.dt[..., 0].cumsum(1) - batch.dt[:, :1, 0]
    phase = steady_phase(elapsed, wanted.bpm[:, None])
    return wanted._replace(phase=phase, wave=wanted_wave(phase)[..., 0])


def steady_phase(seconds: Tensor, bpm: Tensor | float) -> Tensor:
    """cos and sin (…, 2) of an even beat that begins at 0 seconds."""
    angle = 2.0 * math.pi * seconds * bpm / 60.0
    return torch.stack([angle.cos(), angle.sin()], dim=-1)
