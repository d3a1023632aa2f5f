"""Residual leak: how much of the true pulse an observer can still read from the edited picture.

The observer averages skin over the whole face or over a patch, takes green, luma or a chrominance mix
(POS, CHROM), and knows the true wave up to a gain and a phase. What that wave explains of the trace, near
the true rate and its second harmonic, is the leak. Rates in Hz, times in seconds, powers in (relative
change)^2: a sine of amplitude a has power a^2 / 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

BLACK = 1e-3  # added before the logarithm: an empty region stays finite


@dataclass(frozen=True)
class LeakSettings:
    """``level``: rms, relative, of a change within the band (rate ± ``half_band``) that counts as drowned:
    below it the loss is linear in power, above it logarithmic. Masking noise of rms n, even over 0.7 to
    3.5 Hz, has n·sqrt(2·half_band/2.8) of it in that band: 3e-4 answers to masking of about 7e-4.
    ``coherence``: weight of the band-limited coherence beside the logarithm. ``band``: weight of the face's
    whole power near the true rate, whatever makes it. ``patches``: the face is also
    read in patches × patches squares. ``min_cover``: smallest share of skin of a region that is read.
    ``warmup``: frames left out. ``picture``: read the whole picture's trace, with its motion and light,
    instead of what the edit and the pulse change in it. The second has less noise in its gradient, but
    counts motion that an edit takes out as a leak, by its chance likeness to the pulse.
    """

    level: float = 3e-4
    half_band: float = 0.25
    bins: int = 7
    harmonic_weight: float = 0.25
    patches: int = 3
    min_cover: float = 0.25
    warmup: int = 32
    picture: bool = True
    coherence: float = 2.0
    band: float = 0.0


class Pulse(NamedTuple):
    """The true pulse of each clip: ``wave`` (B, T), ``time`` (B, T) seconds, ``rate`` (B,) Hz, 0 for none."""

    wave: Tensor
    time: Tensor
    rate: Tensor


def regions(height: int, width: int, patches: int) -> Tensor:
    """Region weights (R, height·width), 0 or 1: the whole face first, then patches row by row."""
    parts = [torch.ones(height, width)]
    rows = [round(i * height / patches) for i in range(patches + 1)]
    columns = [round(i * width / patches) for i in range(patches + 1)]
    for row in range(patches):
        for column in range(patches):
            part = torch.zeros(height, width)
            part[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = 1.0
            parts.append(part)
    return torch.stack(parts).flatten(1)


def log_traces(picture: Tensor, skin: Tensor, areas: Tensor) -> Tensor:
    """Log mean skin colour (B, T, R, 3) of ``picture`` (B, T, 3, H, W) over each of ``areas`` (R, H·W)."""
    weight = skin.flatten(3)
    total = (weight @ areas.T).clamp_min(1e-6)
    mean = ((picture.flatten(3) * weight) @ areas.T) / total
    return torch.log(mean + BLACK).transpose(2, 3)


def covered(skin: Tensor, areas: Tensor, min_cover: float) -> Tensor:
    """(B, R) bool: regions with at least ``min_cover`` of skin in every frame."""
    share = (skin.flatten(3)[:, :, 0] @ areas.T) / areas.sum(1)
    return share.amin(1) >= min_cover


def project(traces: Tensor, reference: Tensor) -> Tensor:
    """Green, luma, POS and CHROM mixes (B, T, R, 4) of log colour ``traces`` (B, T, R, 3).

    ``reference`` (the picture's traces) sets the mix of POS and CHROM, as an observer would set it. Each mix
    is scaled to unit length, so that one level serves all.
    """
    with torch.no_grad():
        moving = reference - reference.mean(1, keepdim=True)
        deviation = [
            (moving @ moving.new_tensor(axis)).std(1, keepdim=True).clamp_min(1e-6)
            for axis in ((0.0, 1.0, -1.0), (-2.0, 1.0, 1.0), (3.0, -2.0, 0.0), (1.5, 1.0, -1.5))
        ]
        pos = (deviation[0] / deviation[1]).clamp(0.1, 3.0)
        chrom = (deviation[2] / deviation[3]).clamp(0.1, 3.0)
    red, green, blue = traces.unbind(-1)
    luma = (0.299 * red + 0.587 * green + 0.114 * blue) / 0.669
    first = (green - blue) + pos * (green + blue - 2.0 * red)
    first = first / (4 * pos**2 + (1 + pos) ** 2 + (pos - 1) ** 2).sqrt()
    second = (3 * red - 2 * green) - chrom * (1.5 * red + green - 1.5 * blue)
    second = second / ((3 - 1.5 * chrom) ** 2 + (2 + chrom) ** 2 + (1.5 * chrom) ** 2).sqrt()
    return torch.stack([green, luma, first, second], dim=-1)


class Spectra(NamedTuple):
    """Within one band: power of the trace, power explained by the wave (both (B, ...)), power of the wave
    (B,). All in the trace's, or the wave's, own unit squared."""

    total: Tensor
    explained: Tensor
    wave: Tensor


def band_spectra(signal: Tensor, pulse: Pulse, settings: LeakSettings, harmonic: int = 1) -> Spectra:
    """Power near ``harmonic`` × the true rate: Hann window, explicit transform at uneven times.

    ``signal`` (B, T, ...). Explained = |sum X·conj(B)|^2 / sum |B|^2 over the band's bins: the least-squares
    fit of the wave with a free gain and phase.
    """
    batch, frames = signal.shape[:2]
    window = torch.hann_window(frames, periodic=False, dtype=signal.dtype, device=signal.device)
    offset = torch.linspace(-1, 1, settings.bins, dtype=signal.dtype, device=signal.device)
    frequency = pulse.rate[:, None] * harmonic + settings.half_band * offset
    angle = 2 * math.pi * frequency[:, :, None] * pulse.time[:, None]
    basis = torch.cat([angle.cos(), -angle.sin()], dim=1) * window  # (B, 2F, T)
    step = (pulse.time[:, -1] - pulse.time[:, 0]) / (frames - 1)
    spacing = 2 * settings.half_band / (settings.bins - 1)
    scale = 2 * spacing * step / (window**2).sum()
    x = basis @ _detrend(signal.reshape(batch, frames, -1), pulse.time)
    b = basis @ _detrend(pulse.wave[:, :, None], pulse.time)
    x_real, x_imag = x.chunk(2, dim=1)
    b_real, b_imag = b.chunk(2, dim=1)
    real = (x_real * b_real + x_imag * b_imag).sum(1)
    imag = (x_imag * b_real - x_real * b_imag).sum(1)
    power = (b_real**2 + b_imag**2).sum(1)
    explained = (real**2 + imag**2) / power.clamp_min(1e-20)
    total = (x_real**2 + x_imag**2).sum(1)
    shape = (batch, *signal.shape[2:])
    return Spectra(
        (total * scale[:, None]).reshape(shape),
        (explained * scale[:, None]).reshape(shape),
        power[:, 0] * scale,
    )


def _detrend(signal: Tensor, time: Tensor) -> Tensor:
    """Takes mean and slope out of ``signal`` (B, T, M) at ``time`` (B, T)."""
    centred = (time - time.mean(1, keepdim=True))[..., None]
    signal = signal - signal.mean(1, keepdim=True)
    slope = (signal * centred).sum(1, keepdim=True) / (centred**2).sum(1, keepdim=True).clamp_min(1e-12)
    return signal - slope * centred


class Reading(NamedTuple):
    """What an observer gets: mixes (B, T, R, 4), which regions count (B, R), the pulse of those frames."""

    mixes: Tensor
    valid: Tensor
    pulse: Pulse


def read(edited: Tensor, pulse_free: Tensor, skin: Tensor, pulse: Pulse, settings: LeakSettings) -> Reading:
    """Reads ``edited`` (B, T, 3, H, W) against ``pulse_free`` of the same shape. Clips with no pulse are
    not valid."""
    keep = slice(settings.warmup, None)
    edited, pulse_free, skin = edited[:, keep], pulse_free[:, keep], skin[:, keep]
    areas = regions(edited.shape[-2], edited.shape[-1], settings.patches).to(edited)
    reference = log_traces(pulse_free, skin, areas)
    traces = log_traces(edited, skin, areas)
    subject = traces if settings.picture else traces - reference
    pulse = Pulse(pulse.wave[:, keep], pulse.time[:, keep], pulse.rate)
    beats = (pulse.rate > 0) & (pulse.wave.std(1) > 1e-6)
    valid = covered(skin, areas, settings.min_cover) & beats[:, None]
    return Reading(project(subject, reference), valid, pulse)


def leak_loss(reading: Reading, settings: LeakSettings) -> Tensor:
    """Mean of log(1 + explained / level^2) and of the coherence over regions, mixes and clips; zero where
    nothing is valid. The logarithm drives a clear leak down, the coherence what noise does not yet drown."""
    first = band_spectra(reading.mixes, reading.pulse, settings)
    second = band_spectra(reading.mixes, reading.pulse, settings, harmonic=2)
    # A wave with hardly any second harmonic fits noise there: such a fit says nothing and is faded out.
    trust = second.wave / (second.wave + 1e-3 * first.wave).clamp_min(1e-20)
    leak = torch.log1p(first.explained / settings.level**2)
    leak = leak + settings.harmonic_weight * trust[:, None, None] * torch.log1p(
        second.explained / settings.level**2
    )
    clear = first.explained / (first.total + settings.level**2)
    loss = masked_mean((leak + settings.coherence * clear).mean(-1), reading.valid)
    if settings.band == 0.0:
        return loss
    whole = torch.log1p(first.total[:, :1] / settings.level**2).mean(-1)
    return loss + settings.band * masked_mean(whole, reading.valid[:, :1])


def leak_level(reading: Reading, settings: LeakSettings) -> Tensor:
    """(B, R) relative rms of the true pulse left near its rate, the worst of the mixes; for reports."""
    return band_spectra(reading.mixes, reading.pulse, settings).explained.amax(-1).clamp_min(0).sqrt()


def coherence(reading: Reading, settings: LeakSettings) -> Tensor:
    """(B, R, 4) band-limited coherence, 0..1, with the true wave; for reports.

    explained / (total + floor): the floor (``level``^2) keeps a trace that is all but empty from reading
    as coherent, as noise of a receiver's 8 bits would.
    """
    spectra = band_spectra(reading.mixes, reading.pulse, settings)
    return spectra.explained / (spectra.total + settings.level**2)


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of ``values`` where ``valid`` (same shape, bool or weight); 0 where none is."""
    weight = valid.to(values.dtype)
    return (values * weight).sum() / weight.sum().clamp_min(1.0)
