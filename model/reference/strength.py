"""How strong the shown pulse is: a term that the paper's losses do not have.

Their waveform term is a correlation, which a pulse of any strength satisfies: a network may blink.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.losses import Labels, mean_colour
from model.rppg import PULSE_BAND

FLOOR = 1e-4  # relative rms added to both sides: what is far below a camera's noise counts as nothing


def wanted_colour(labels: Labels, wave: Tensor, pulse: tuple[float, float, float]) -> Tensor:
    """The face's mean colour (B, T, 3), 0..1, were the true pulse gone and the wanted one there.

    Exact label: pulse-free × (1 + ``pulse`` × ``wave``), with ``wave`` (B, T) of about ±1.3 and ``pulse``
    its relative amplitude in R, G, B.
    """
    free = mean_colour(labels.observed / (1.0 + labels.pulse), labels.skin)
    return free * (1.0 + wave[..., None] * wave.new_tensor(pulse))


def band_rms(colour: Tensor, fps: float) -> Tensor:
    """Relative change (B, 3), rms, of each colour of ``colour`` (B, T, 3) in the pulse's band, 0.65 to 4 Hz.

    Hann window about the mean, evenly spaced at ``fps``; a sine of amplitude a has a / √2. Not 0: ``FLOOR``.
    """
    frames = colour.shape[1]
    window = torch.hann_window(frames, periodic=False, dtype=colour.dtype, device=colour.device)[:, None]
    mean = (colour * window).sum(1, keepdim=True) / window.sum()
    spectrum = torch.fft.rfft((colour / mean.clamp_min(1e-3) - 1.0) * window, dim=1)
    frequency = torch.fft.rfftfreq(frames, 1.0 / fps, device=colour.device)
    band = (frequency >= PULSE_BAND[0]) & (frequency <= PULSE_BAND[1])
    power = (spectrum.real**2 + spectrum.imag**2)[:, band].sum(1) * 2.0 / (frames * (window**2).sum())
    return (power + FLOOR**2).sqrt()


def strength_loss(shown: Tensor, wanted: Tensor, fps: float) -> Tensor:
    """Mean over clips and colours of the squared log ratio of ``band_rms`` of ``shown`` and ``wanted``
    (B, T, 3): 0 where they are as strong, 0.48 at twice or half of it, whatever the waveform."""
    return (band_rms(shown, fps) / band_rms(wanted, fps)).log().square().mean()
