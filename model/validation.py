"""Reads a network on fixed validation windows: how much of the pulse is gone, and what still leaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from model import losses
from model.configuration import Settings
from model.leak import coherence, leak_level, masked_mean
from model.objective import Batch, objective, residual
from model.physiolatent import Edit, PhysioLatent
from model.wanted import Wanted

Metrics = dict[str, float]
SCORE_EPOCH = 30.0  # where the curriculum is read, so that scores of different times compare


def run_network(network: torch.nn.Module, bare: PhysioLatent, batch: Batch, wanted: Wanted) -> Edit:
    """The network on whole windows, from the state at the start of a stream. ``bare`` gives that state."""
    state = {name: part.to(batch.crop.device) for name, part in bare.init_state(len(batch.crop)).items()}
    edit, _ = network(batch.crop, wanted.text, wanted.phase, wanted.strength, batch.dt, wanted.masking, state)
    return Edit(*edit)


@torch.no_grad()
def validate(
    network: PhysioLatent, batches: Iterable[tuple[Batch, Wanted]], settings: Settings, device: torch.device
) -> Metrics:
    """Means over the windows.

    ``exact_db``: squared error over skin against that of no edit, dB, higher is better. ``left``: share of
    the pulse's amplitude that the edit leaves. ``leak_face``, ``leak_patches``: relative rms of the true
    pulse still explained, the worst of four colour mixes. ``coherence_*``: with the true pulse, in what a
    receiver sees (motion included, wanted pulse aside). ``skin_bce``, ``cost`` (grey levels), and every term
    of the objective as ``loss_*``.
    """
    training = network.training
    network.eval()
    sums: dict[str, float] = {}
    count = 0
    energy = error = kept = 0.0
    seen = replace(settings, leak=replace(settings.leak, picture=True))
    for host_batch, host_wanted in batches:
        batch = host_batch.to(device)
        wanted = Wanted(*(part.to(device) for part in host_wanted))
        edit = run_network(network, network, batch, wanted)
        labels, removal = (
            batch.labels.after(settings.window.warmup),
            edit.removal[:, settings.window.warmup :],
        )
        target = labels.target()
        energy += float((target**2 * labels.skin).sum())
        error += float(((removal - target) ** 2 * labels.skin).sum())
        kept += float((removal * target * labels.skin).sum())
        values: dict[str, Tensor] = {
            f"loss_{name}": value
            for name, value in objective(edit, batch, wanted, settings, SCORE_EPOCH, None).items()
        }
        values["skin_bce"] = losses.skin_loss(edit.skin_logit[:, settings.window.warmup :], labels)
        values["cost"] = losses.cost_loss(removal, labels)
        reading = residual(edit.removal, batch, settings)
        level = leak_level(reading, settings.leak)
        picture = residual(edit.removal, batch, seen)
        seen_coherence = coherence(picture, settings.leak).amax(-1)
        for name, part in (("face", slice(0, 1)), ("patches", slice(1, None))):
            values[f"leak_{name}"] = masked_mean(level[:, part], reading.valid[:, part])
            values[f"coherence_{name}"] = masked_mean(seen_coherence[:, part], picture.valid[:, part])
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(batch.crop)
        count += len(batch.crop)
    network.train(training)
    metrics = {name: value / max(count, 1) for name, value in sums.items()}
    # Clips with no pulse at all have no energy: the ratio is over the whole set, not a mean of ratios.
    ratio = torch.tensor([energy + 1e-20, error + 1e-20], dtype=torch.float64)
    metrics["exact_db"] = float(10.0 * torch.log10(ratio[0] / ratio[1]))
    metrics["left"] = 1.0 - kept / max(energy, 1e-20)
    return metrics


def summary(metrics: Metrics, baseline: Metrics) -> str:
    """One line: each figure of the network, and in brackets that of the front-end alone."""
    shown = (
        ("exact_db", "{:.2f} dB", 1.0),
        ("left", "{:.3f} left", 1.0),
        ("leak_face", "leak face {:.2f}e-4", 1e4),
        ("leak_patches", "patches {:.2f}e-4", 1e4),
        ("coherence_face", "coherence face {:.3f}", 1.0),
        ("coherence_patches", "patches {:.3f}", 1.0),
        ("skin_bce", "skin {:.3f}", 1.0),
        ("cost", "cost {:.3f}", 1.0),
        ("loss_total", "loss {:.4f}", 1.0),
    )
    return ", ".join(
        f"{text.format(metrics[name] * scale)} ({baseline[name] * scale:.4g})" for name, text, scale in shown
    )
