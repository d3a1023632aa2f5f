"""The training objective: every loss term of one batch, weighted and summed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from model import losses
from model.configuration import Settings
from model.leak import Pulse, Reading, leak_loss, read
from model.losses import Labels
from model.perceptual import Lpips
from model.physiolatent import Edit
from model.rppg import pos
from model.wanted import Wanted

AddTerm = Callable[[str, float, Tensor], None]


class Batch(NamedTuple):
    """``crop`` (B, T, 3, S, S) R, G, B in 0..1, ``labels`` on the cells' grid, the true ``pulse``, ``dt``
    (B, T, 1) seconds."""

    crop: Tensor
    labels: Labels
    pulse: Pulse
    dt: Tensor

    def to(self, device: torch.device) -> Batch:
        """On another device."""
        return Batch(
            self.crop.to(device, non_blocking=True),
            Labels(*(part.to(device, non_blocking=True) for part in self.labels)),
            Pulse(*(part.to(device, non_blocking=True) for part in self.pulse)),
            self.dt.to(device, non_blocking=True),
        )


def objective(
    edit: Edit, batch: Batch, wanted: Wanted, settings: Settings, epoch: float, lpips: Lpips | None
) -> dict[str, Tensor]:
    """The unweighted terms that have a weight, and ``total``, their weighted sum.

    ``epoch`` drives the paper's curriculum of the frequency term. Losses are taken in float32 whatever the
    network ran in: an edit of 0.1 % of a grey value needs it.
    """
    weights, warmup = settings.loss, settings.window.warmup
    edit = Edit(*(part.float() for part in edit))
    labels = batch.labels.after(warmup)
    removal = edit.removal[:, warmup:]
    terms: dict[str, Tensor] = {}
    scale: dict[str, float] = {}

    def add(name: str, weight: float, value: Tensor) -> None:
        terms[name], scale[name] = value, weight

    if weights.exact > 0:
        add("exact", weights.exact, losses.exact_loss(removal, labels, weights.under, weights.knee))
    if weights.skin > 0:
        add("skin", weights.skin, losses.skin_loss(edit.skin_logit[:, warmup:], labels))
        add("outside", weights.skin * weights.outside, losses.outside_loss(removal, labels))
    if weights.leak > 0:
        add("leak", weights.leak, leak_loss(residual(edit.removal, batch, settings), settings.leak))
    if weights.cost > 0:
        add("cost", weights.cost, losses.cost_loss(removal, labels))
    if weights.smooth > 0:
        add("smooth", weights.smooth, losses.smooth_loss(removal))
    if weights.waveform > 0 or weights.frequency > 0:
        _wave_terms(edit, batch, wanted, settings, epoch, add)
    if weights.fidelity > 0 or (weights.perceptual > 0 and lpips is not None):
        crop = batch.crop[:, warmup:]
        output = crop * (1.0 + edit.gain[:, warmup:])
        if weights.fidelity > 0:
            add("fidelity", weights.fidelity, losses.fidelity_loss(output, crop))
        if weights.perceptual > 0 and lpips is not None:
            add("perceptual", weights.perceptual, lpips(output.flatten(0, 1), crop.flatten(0, 1)))
    total = sum((scale[name] * value for name, value in terms.items()), batch.crop.new_zeros(()))
    return {"total": total, **terms}


def residual(removal: Tensor, batch: Batch, settings: Settings) -> Reading:
    """What an observer reads of the true pulse after ``removal`` (B, T, 3, H, W), the wanted pulse aside."""
    labels = batch.labels
    edited = labels.observed * (1.0 + removal)
    return read(edited, labels.observed / (1.0 + labels.pulse), labels.skin, batch.pulse, settings.leak)


def _wave_terms(
    edit: Edit, batch: Batch, wanted: Wanted, settings: Settings, epoch: float, add: AddTerm
) -> None:
    """The paper's physiological terms, by POS on the face's mean colour, where a pulse is asked for."""
    warmup = settings.window.warmup
    asked = wanted.strength[:, 0, 0] > 0
    labels = batch.labels.after(warmup)
    change = (edit.removal + edit.wanted)[:, warmup:]
    if not bool(asked.any()):
        zero = change.sum() * 0.0
        add("waveform", settings.loss.waveform, zero)
        add("frequency", 0.0, zero)
        return
    fps = 1.0 / float(batch.dt[:, warmup:].mean())
    wave = pos(losses.mean_colour(labels.observed * (1.0 + change), labels.skin)[asked], fps)
    beta = losses.curriculum(epoch, settings.loss) * settings.loss.frequency
    add("waveform", settings.loss.waveform, losses.waveform_loss(wave, wanted.wave[asked, warmup:]))
    add("frequency", beta, losses.frequency_loss(wave, wanted.bpm[asked], fps))


def pool_to(picture: Tensor, size: int) -> Tensor:
    """Area mean of (..., H, W) to (..., size, size); H must be a multiple of ``size``."""
    factor = picture.shape[-1] // size
    pooled = functional.avg_pool2d(picture.flatten(0, -4), factor)
    return pooled.reshape(*picture.shape[:-2], size, size)
