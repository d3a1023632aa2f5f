"""What the reference setting needs of a video VAE, and the hooks that modulate its decoder."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class VideoVae(nn.Module, abc.ABC):
    """A video VAE: 8 × less in space, ``time`` × less in time, latents of about unit variance.

    Pictures are (B, 3, T, H, W), R, G, B in -1..1, H and W multiples of 8. ``channels``: of the latent.
    """

    channels: int
    time: int

    @abc.abstractmethod
    def encode(self, pictures: Tensor) -> Tensor:
        """The posterior's mode, normalised as the VAE's configuration says: (B, channels, t, H/8, W/8)."""

    @abc.abstractmethod
    def decode(self, latent: Tensor, frames: int) -> Tensor:
        """The inverse: (B, 3, frames, H, W), not clipped."""

    @abc.abstractmethod
    def film_layers(self) -> Sequence[nn.Module]:
        """The decoder's intermediate layers, in order: each yields a map with its channels on axis 1."""

    @abc.abstractmethod
    def output_layer(self) -> nn.Module:
        """The decoder's last layer, the only one that the paper fine-tunes."""

    def latent_frames(self, frames: int) -> int:
        """Steps of the latent for ``frames`` pictures."""
        return -(-frames // self.time)

    def freeze(self) -> None:
        """No parameter takes a gradient any more; dropout and the like are off."""
        self.requires_grad_(False)
        self.eval()


def _first(output: Any) -> Tensor:
    value = output[0] if isinstance(output, tuple) else output
    assert isinstance(value, Tensor)
    return value


@torch.no_grad()
def film_channels(vae: VideoVae) -> list[int]:
    """Channels of each of ``film_layers``, read from a decoding of the smallest latent there is."""
    found: dict[int, int] = {}

    def seen(index: int) -> Any:
        def hook(_module: nn.Module, _given: Any, output: Any) -> None:
            found[index] = _first(output).shape[1]

        return hook

    layers = vae.film_layers()
    handles = [layer.register_forward_hook(seen(index)) for index, layer in enumerate(layers)]
    try:
        some = next(vae.parameters())
        latent = torch.zeros(
            1, vae.channels, vae.latent_frames(4), 2, 2, device=some.device, dtype=some.dtype
        )
        vae.decode(latent, 4)
    finally:
        for handle in handles:
            handle.remove()
    return [found[index] for index in range(len(layers))]


@contextmanager
def modulated(layers: Sequence[nn.Module], scales_shifts: Sequence[tuple[Tensor, Tensor]]) -> Iterator[None]:
    """Within it, each layer's map becomes map × (1 + scale) + shift (FiLM, Perez et al. 2018).

    ``scale`` and ``shift`` are (B, C), the same for all times and places: a decoder that works through a
    clip in pieces is modulated alike in each. A layer that sees frames as a batch (B·T, C, H, W) takes each
    clip's own values.
    """

    def hook_of(scale: Tensor, shift: Tensor) -> Any:
        def hook(_module: nn.Module, _given: Any, output: Any) -> Any:
            features = _first(output)
            each = features.shape[0] // scale.shape[0]
            shape = (features.shape[0], -1) + (1,) * (features.ndim - 2)
            by = scale.repeat_interleave(each, 0).reshape(shape)
            to = shift.repeat_interleave(each, 0).reshape(shape)
            changed = features * (1.0 + by) + to
            return (changed, *output[1:]) if isinstance(output, tuple) else changed

        return hook

    handles = [
        layer.register_forward_hook(hook_of(scale, shift))
        for layer, (scale, shift) in zip(layers, scales_shifts, strict=True)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
